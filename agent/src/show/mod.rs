//! What is shown on a terminal.

pub mod escape;
pub mod paint;
pub mod table;
pub mod top;
