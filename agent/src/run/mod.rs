//! Wires the stages: the daemon.
//!
//! One thread, the engine, owns all that is known; it waits for the kernel's events, for requests
//! and for its clock. HTTP is answered elsewhere and asks the engine for snapshots.

pub mod settings;

mod agent;
mod allowance;
mod answering;
mod binaries;
mod budget;
mod call_names;
mod clients;
mod detacher;
mod drift;
pub(crate) mod dumping;
mod engine;
mod diagnostics;
mod handed_over;
mod handing_out;
mod health;
mod intake;
mod leaks;
mod mailbox;
mod naming;
mod nofile;
mod notify_socket;
mod observe;
pub(crate) mod opening;
mod owners;
pub(crate) mod reading;
mod reconfigure;
mod recording;
mod reload;
mod scanning;
mod spending;
mod supervisor;
mod thread_sampler;
mod watched;
pub(crate) mod watching;

pub use agent::agent;
pub use handed_over::HandOverError;
pub use reload::{Again, Fresh};
