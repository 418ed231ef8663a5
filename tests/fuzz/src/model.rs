//! Of the agent's stage `model` only what the fuzzed stages name.

#[path = "../../../agent/src/model/dump.rs"]
pub mod dump;
#[path = "../../../agent/src/model/escape.rs"]
pub mod escape;
