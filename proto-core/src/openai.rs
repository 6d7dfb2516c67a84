//! The OpenAI HTTP surface: what may be asked, how it is answered, how errors look.
//!
//! What is absent: anything kept between requests, such as stored responses, files or assistants.

pub mod answer;
pub mod error;
mod fields;
pub(crate) mod head;
mod messages;
pub(crate) mod models;
pub mod request;
mod responses;
pub(crate) mod route;
mod spot;
pub mod sse;
pub mod task;
mod tools;
