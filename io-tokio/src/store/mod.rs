//! A machine's durable rows: a SQLite file, and the one thread that touches it.

mod lock;
mod sqlite;
mod thread;

pub(crate) use thread::Store;
