//! The Go runtime's own records, read from outside.
//!
//! A running Go program keeps account of itself: every goroutine it ever made is in a table, its
//! state and what it waits for stand in it, and the scheduler and the collector count what they do.
//! This stage reads those accounts through `process_vm_readv`; the program is not stopped and does
//! not notice. It finds where the records are ([`globals`]), how they are laid out in this build
//! ([`layout`]), checks both against the live process ([`validate`]) and then walks them.
//!
//! Nothing read is trusted: every size, length and loop is bounded, and what does not make sense is
//! an error or a counted torn read, never a number.

pub mod layout;
pub mod memory;
pub mod process_memory;
pub mod release;
