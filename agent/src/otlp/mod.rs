//! Measurements, pushed by OTLP to a collector of OpenTelemetry.
//!
//! The mapping is pure: of a snapshot it makes requests, a resource for each process, with
//! OpenTelemetry's names where it has some, and values as they were counted. To add a metric, add
//! it to the file of its subject, and its row to `docs/otlp.md`. The pusher asks for a snapshot
//! now and then and sends what comes of it; a collector that is down or slow holds up nothing but
//! the pushing itself.

pub mod endpoint;
pub mod settings;

// What is sent.
mod series;
mod resource;
mod runtime;
mod goroutines;
mod kernel;
mod agent;
mod batches;

// How it is sent, and what is answered.
mod headers;
mod answer;
mod refusal;

mod tally;
mod pusher;
mod exporter;

#[cfg(test)]
mod documented;
#[cfg(test)]
mod tests;

pub use exporter::{Exporter, OtlpError};
pub use headers::Header;
