//! goroscope: watches the Go processes of a Linux host from outside.
//!
//! The modules are the stages that data passes through, one way, in this order; a stage imports
//! from earlier ones only, and `run` wires them. See `ARCHITECTURE.md`.

pub mod discover;
pub mod inspect;
pub mod probe;
pub mod read;
pub mod model;
pub mod judge;
pub mod dumps;
pub mod push;
pub mod serve;
pub mod names;
pub mod notify;
pub mod otlp;
pub mod show;
pub mod doctor;
pub mod run;
pub mod cli;
