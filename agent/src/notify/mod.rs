//! Alerts, pushed to Alertmanagers.
//!
//! `notifier` asks for a snapshot every few seconds, has the judge say what is firing, and puts
//! that into a queue for each Alertmanager. A `sender` empties its queue by itself: one
//! Alertmanager that is down or slow holds up neither the others nor the watching.

pub mod address;
pub mod settings;

// What is sent, and when.
mod body;
mod queue;

// How it is sent.
mod request;
mod refusal;

mod tally;
mod sender;
mod notifier;

pub use notifier::Notifier;
