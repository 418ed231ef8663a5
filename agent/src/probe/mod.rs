//! The kernel programs: loaded, attached to binaries and to the scheduler, and read.
//!
//! [`Probes`] is the whole of it for the agent, [`Tracer`] for a trace; one file stands for one hook (and has the same name on the
//! kernel's side) or for one of the tables.

pub mod kernel_btf;
pub mod limits;
pub mod error;

mod followed;
mod casgstatus;
mod gdestroy;
mod load;
mod newproc;
mod sched_process;
mod sched_switch;
mod sched_wakeup;
mod tasks;
mod trace_switch;
mod trace_wakeup;

pub mod attach;
pub mod calibrate;
pub mod events;
pub mod lease;
mod losses;
mod processes;
pub mod sites;
mod slots;

mod front;
mod trace_record;
mod tracer;

pub use attach::{Attachment, Scope, Target};
pub use error::ProbeError;
pub use front::Probes;
pub use limits::Limits;
pub use slots::Slot;
pub use trace_record::TraceRecord;
pub use tracer::{RunTimes, Tracer};
