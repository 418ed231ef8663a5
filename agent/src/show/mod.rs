//! What is shown on a terminal.

pub mod paint;
pub mod plural;
pub mod table;
pub mod top;

pub use crate::model::escape;
