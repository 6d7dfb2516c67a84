//! The local model runner: turns its labman's jobs into requests at a runtime. Knows nothing of mesh or FEPs.

pub mod config;
