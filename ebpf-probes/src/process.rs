//! Which process owns which slot of the counter arrays.

use crate::plain;

/// Name of the map from thread-group id to [`ProcessRef`].
pub const TGIDS: &str = "TGIDS";
/// Name of the queue of slots that no process uses.
pub const FREE_SLOTS: &str = "FREE_SLOTS";
/// Name of the array of [`Losses`] (one element).
pub const LOSSES: &str = "LOSSES";

/// The agent has looked at this process and wants it counted.
pub const FLAG_ADOPTED: u32 = 1;
/// The agent has looked at this process and does not want it counted.
pub const FLAG_IGNORED: u32 = 2;

/// Value of [`TGIDS`]: what the kernel side knows of a process.
///
/// An entry is made by the agent when it takes a process on, or by the first probe hit of a
/// process that the agent has not seen yet; it is removed by the kernel side when the process
/// ends or execs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessRef {
    /// Index into the arrays of counters.
    pub slot: u32,
    /// The binary whose probes count for this process ([`Cookie::binary`]); hits of another
    /// binary's probes at the same place (one image reached through two inodes) do not.
    pub binary: u32,
    /// [`FLAG_ADOPTED`], [`FLAG_IGNORED`], or 0: the agent has not decided.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}
const _: () = assert!(size_of::<ProcessRef>() == 16);

/// Losses of the kernel side, each counted where it happens.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Probe hits of processes that got no slot.
    pub processes: u64,
    /// Births and deaths that got no site entry, summed over processes.
    pub sites: u64,
    /// Threads that got no entry.
    pub threads: u64,
    /// Events that did not fit into the ring buffer.
    pub events: u64,
}
const _: () = assert!(size_of::<Losses>() == 32);

/// What an attached uprobe carries: the binary, and where its `g` keeps two fields.
///
/// Packed into the 64 bits of a BPF attach cookie, so that a hit needs no look-up for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Number of the binary within this run of the agent; below 2^24, never 0.
    pub binary: u32,
    /// Offset of `gopc` in `runtime.g`; 0 where it is not known.
    pub gopc: u16,
    /// Offset of `startpc` in `runtime.g`; 0 where it is not known.
    pub startpc: u16,
}

impl Cookie {
    /// The 64 bits the kernel hands back with each hit.
    #[must_use]
    pub const fn pack(self) -> u64 {
        (self.binary as u64) << 32 | (self.gopc as u64) << 16 | self.startpc as u64
    }

    /// The inverse of [`Cookie::pack`].
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "takes the fields apart")]
    pub const fn unpack(bits: u64) -> Self {
        Self { binary: (bits >> 32) as u32, gopc: (bits >> 16) as u16, startpc: bits as u16 }
    }
}

plain!(ProcessRef, Losses);
