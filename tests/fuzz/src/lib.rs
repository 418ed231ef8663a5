//! Programs and processes made by hand, for the fuzz targets: valid, small, and changed by the
//! fuzzer in a few places at a time, so that it gets past the first checks.
//!
//! The stages of the agent that are fuzzed are compiled from their sources: as a dependency the
//! agent would have to be built with the sanitizer as a whole, the kernel programs and some two
//! hundred crates included.

#[path = "../../../agent/src/inspect/mod.rs"]
pub mod inspect;
#[path = "../../../agent/src/read/mod.rs"]
pub mod read;
pub mod model;
#[path = "../../../agent/src/dumps/mod.rs"]
pub mod dumps;

pub mod discover;

pub mod change;
pub mod debug_info;
pub mod elf;
pub mod function_table;
pub mod look;
pub mod process;
pub mod program;
