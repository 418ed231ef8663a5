//! Where the runtime's variables are.

mod amd64;
mod arm64;
pub mod from_code;

use super::{layout::Layout, release::Arch};
use crate::inspect::{
    Binary, InspectError,
    address::{FileAddress, LoadBias, ProcessAddress},
};

/// The runtime's variables that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Global {
    /// `runtime.allglen`: length of the table of goroutines.
    AllgLen,
    /// `runtime.allgptr`: its first element.
    AllgPtr,
    /// `runtime.allp`: the processors, a slice of pointers.
    Allp,
    /// `runtime.sched`: the scheduler.
    Sched,
    /// `runtime.memstats`: statistics of the allocator and the collector.
    Memstats,
    /// `runtime.gcController`: the collector's pacer.
    GcController,
    /// `runtime.waitReasonStrings`: names of the wait reasons.
    WaitReasons,
    /// `runtime.extraMLength`: threads for calls from C that are not in use; up to 1.20
    /// `runtime.extraMCount`.
    ExtraLength,
    /// `runtime.extraMInUse`: those that are in use.
    ExtraInUse,
}

impl Global {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::AllgLen,
        Self::AllgPtr,
        Self::Allp,
        Self::Sched,
        Self::Memstats,
        Self::GcController,
        Self::WaitReasons,
        Self::ExtraLength,
        Self::ExtraInUse,
    ];

    /// Those without which nothing can be read.
    pub const NEEDED: [Self; 4] = [Self::AllgLen, Self::AllgPtr, Self::Allp, Self::Sched];

    /// The name of its symbol.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::AllgLen => "runtime.allglen",
            Self::AllgPtr => "runtime.allgptr",
            Self::Allp => "runtime.allp",
            Self::Sched => "runtime.sched",
            Self::Memstats => "runtime.memstats",
            Self::GcController => "runtime.gcController",
            Self::WaitReasons => "runtime.waitReasonStrings",
            Self::ExtraLength => "runtime.extraMLength",
            Self::ExtraInUse => "runtime.extraMInUse",
        }
    }
}

/// For each variable the addresses where it may be, the likeliest first. With a symbol table there
/// is one; without, there are those that the code of the runtime refers to, and the live process
/// decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    addresses: Vec<(Global, FileAddress)>,
}

impl Candidates {
    /// Adds an address, unless it is there.
    pub fn add(&mut self, global: Global, at: FileAddress) {
        if !self.addresses.contains(&(global, at)) {
            self.addresses.push((global, at));
        }
    }

    /// Whether there is any for a variable.
    #[must_use]
    pub fn has(&self, global: Global) -> bool {
        self.addresses.iter().any(|(of, _)| *of == global)
    }

    /// The addresses of one variable in a process.
    pub fn of(&self, global: Global, bias: LoadBias) -> impl Iterator<Item = ProcessAddress> {
        self.addresses
            .iter()
            .filter(move |(of, _)| *of == global)
            .filter_map(move |(_, at)| at.in_process(bias))
    }
}

/// Looks for the variables in a binary: by its symbols, else by its code.
///
/// # Errors
///
/// Where the binary cannot be read.
pub fn find(binary: &Binary, layout: &Layout, arch: Arch) -> Result<Candidates, InspectError> {
    let mut candidates = Candidates::default();
    let names = Global::ALL.map(Global::symbol);
    for (global, at) in Global::ALL.into_iter().zip(binary.variables(names)?) {
        if let Some(at) = at {
            candidates.add(global, at);
        }
    }
    // Up to 1.20 one counter had another name.
    let [old] = binary.variables(["runtime.extraMCount"])?;
    if let Some(old) = old {
        candidates.add(Global::ExtraLength, old);
    }
    if Global::NEEDED.iter().all(|needed| candidates.has(*needed)) {
        return Ok(candidates);
    }
    from_code::find(binary, layout, arch)
}
