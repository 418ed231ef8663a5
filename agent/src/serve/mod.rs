//! HTTP: metrics for Prometheus, and the API.
//!
//! [`listen`] opens the addresses, so that the agent can refuse early; [`serve`] answers on them
//! from what a [`source::Source`] knows at that moment, whom a [`gate::Gate`] lets through.

pub mod source;

pub mod metrics;

mod accept;
mod reply;
mod page;
mod stacks;
mod dumps;
mod routes;

pub mod listen;
mod web;
mod host;
mod places;
pub mod gate;
mod connection;
mod server;

#[cfg(test)]
mod client;
#[cfg(test)]
mod tests;

pub use server::serve;
pub use web::WebError;
