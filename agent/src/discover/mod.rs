//! Which processes there are, and which of them the user selected.

pub mod identity;
