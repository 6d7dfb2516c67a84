//! A labman: gateway, provider, or both.

pub mod config;
