//! Of the agent's stage `discover` only what the fuzzed stages name.

#[path = "../../../agent/src/discover/identity.rs"]
pub mod identity;
