//! The kernel programs: loaded, attached to binaries and to the scheduler, and read.
//!
//! [`Probes`] is the whole of it; one file stands for one hook (and has the same name on the
//! kernel's side) or for one of the tables.

pub mod kernel_btf;
pub mod limits;
pub mod error;

mod followed;
mod gdestroy;
mod load;
mod newproc;
mod sched_process;
mod sched_switch;
mod sched_wakeup;
mod tasks;

pub mod attach;
pub mod calibrate;
pub mod events;
pub mod lease;
mod losses;
mod processes;
pub mod sites;
mod slots;

mod front;

pub use attach::{Attachment, Scope, Target};
pub use error::ProbeError;
pub use front::Probes;
pub use limits::Limits;
pub use slots::Slot;
