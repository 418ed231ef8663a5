//! Ids of threads: the kernel's own, and those that the agent sees.

use crate::plain;

/// What the iterator over all threads writes for each.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// Thread id, the kernel's own.
    pub pid: u32,
    /// Thread id in the agent's pid namespace, never 0: other threads are left out.
    pub visible_pid: u32,
}
const _: () = assert!(size_of::<Ids>() == 8);

plain!(Ids);
