//! What is shown on a terminal.

pub mod paint;
pub mod table;

pub use crate::model::escape;
