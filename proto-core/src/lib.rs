//! Every decision a labman mesh makes, as pure state machines.
//!
//! What is here: the mesh protocol, admission, gossip, routing, the OpenAI surface, the life of a paid job on both of
//! its sides, receipts and claims, the runner of models ([`portman`]) and the Front-End Portal's ledger ([`portal`]).
//!
//! What is absent: sockets, files, threads, a clock, randomness. Time, keys and seeds are passed in; bytes come in and
//! effects go out through the one contract in [`machine`]. That is why the same code runs under real QUIC and under a
//! simulator, and why a run can be replayed exactly.
//!
//! Four machines implement the contract: [`Node`](node::Node) (a labman), [`Portman`](portman::Portman) (the model
//! runner), [`Portal`](portal::Portal) (a FEP) and [`Toy`](toy::Toy) (the built-in runtime, for trying the mesh).

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod audit;
pub mod economics;
mod flow;
mod gateway;
mod gossip;
pub mod http;
pub mod identity;
pub mod journal;
pub mod keys;
mod labnet;
pub mod limits;
pub mod machine;
mod market;
pub mod money;
pub mod mutants;
pub mod names;
pub mod node;
mod numbers;
pub mod openai;
pub mod portal;
pub mod portman;
mod provider;
mod rate;
pub mod rng;
mod routing;
pub mod store;
pub mod time;
mod timers;
pub mod toy;
pub mod wire;
