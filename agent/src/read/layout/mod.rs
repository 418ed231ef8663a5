//! Where the fields of the runtime's records are, in one build of one release.
//!
//! A layout comes from the binary's own debug information ([`dwarf`]), else from a table that was
//! generated from the toolchains ([`table`]); both answer the same questions, so that one
//! definition here serves the reader, the table and its generator. A layout is believed only after
//! `super::validate` has checked it against the live process.

pub mod dwarf;
pub mod fact;
pub mod records;
pub mod table;

pub use fact::{Fact, LayoutError, Source};
pub use records::Layout;
