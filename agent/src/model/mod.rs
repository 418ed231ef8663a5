//! What is known of the watched processes: plain data, no I/O and no clock.

pub mod alerting;
pub mod bounded;
pub mod delay;
pub mod dump;
pub mod escape;
pub mod exporting;
pub mod configuration;
pub mod serving;
pub mod json;
pub mod leak;
pub mod naming;
pub mod probed;
pub mod process;
pub mod runtime;
pub mod series;
pub mod series_json;
pub mod site;
pub mod snapshot;
pub mod top;
pub mod trace;
pub mod watch;

#[cfg(test)]
pub(crate) mod sample;
