//! HTTP: metrics for Prometheus, and the API.
//!
//! [`listen`] opens the addresses, so that the agent can refuse early; [`serve`] answers on them
//! from what a [`source::Source`] knows at that moment.

mod accept;
pub mod listen;
pub mod metrics;
mod reply;
mod routes;
mod server;
pub mod source;
#[cfg(test)]
mod tests;

pub use server::serve;
