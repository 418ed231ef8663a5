//! Requests to servers that the agent reports to: one at a time, with TLS and secrets that may
//! change, and errors that say what to do.
//!
//! Who reports (`notify`, `otlp`) decides what is sent, when, and whether it is sent again.

pub mod address;
pub mod settings;

// How it is sent.
pub mod tls;
pub(crate) mod login;
pub(crate) mod client;

// What is done where that fails.
pub(crate) mod failure;
pub(crate) mod backoff;
pub(crate) mod talk;

pub(crate) mod count;

pub use tls::TlsError;
