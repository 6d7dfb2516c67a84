//! The built-in runtime: a toy for trying the mesh without a model.

pub mod config;
