//! A machine's durable rows: a SQLite file, and the one thread that touches it.

mod lock;
mod reader;
mod sqlite;
mod thread;

pub use reader::StoreReader;
pub(crate) use thread::Store;
