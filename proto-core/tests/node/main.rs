//! A node among others that lie, break the protocol, fall silent or vanish. Every other party is played by hand, byte
//! for byte, with keys of its own.

mod audit;
mod clocks;
mod conduct;
mod denials;
mod disputes;
mod errands;
mod exchange;
mod exposure;
mod fep;
mod feps;
mod gossip;
mod hosting;
mod leaving;
mod membership;

mod peer;
mod peers;
mod portman;

mod rig;

mod acks;
mod both;
mod invites;
mod jobs;
mod keys;
mod lies;
mod loads;
mod logs;
mod market;
mod marks;
mod pulls;
mod queue;
mod receipts;
#[path = "../rig/rings.rs"]
mod rings;
mod routing;
mod settling;
mod signing;
#[path = "../rig/store.rs"]
mod store;
mod tasks;
#[path = "../rig/twists.rs"]
mod twists;
mod unpaid;
mod users;
