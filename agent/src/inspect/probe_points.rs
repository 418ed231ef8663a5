//! Where the probes sit: the two functions that every goroutine passes exactly once, and, for a
//! trace, the one that changes its status.
//!
//! `newproc1` makes each goroutine, coroutines included; `gdestroy` ends each. Up to Go 1.21 the
//! latter is part of `goexit0`
//! (<https://github.com/golang/go/blob/go1.21.0/src/runtime/proc.go>,
//! <https://github.com/golang/go/blob/go1.22.0/src/runtime/proc.go>).

use super::{
    Binary,
    address::{FileAddress, FileOffset},
    elf::Elf,
    error::InspectError,
    facts::Arch,
    functions::{Function, Functions},
    prologue,
};

const BIRTH: &str = "runtime.newproc1";
const DEATH: &str = "runtime.gdestroy";
const DEATH_BEFORE_1_22: &str = "runtime.goexit0";
/// Changes the status of goroutines; only a trace probes it, for it is called several times in each
/// one's life.
const CHANGE: &str = "runtime.casgstatus";

/// The places for the probes of a binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbePoints {
    /// Where a goroutine is made.
    pub birth: ProbePoint,
    /// Where a goroutine ends.
    pub death: ProbePoint,
}

/// An instruction behind the stack check of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbePoint {
    /// Full name of the function.
    pub function: &'static str,
    /// The instruction in the file: what a uprobe is attached to.
    pub offset: FileOffset,
    /// Its address.
    pub address: FileAddress,
    /// The kernel emulates the instruction, so a hit costs no single step.
    pub emulated: bool,
}

impl ProbePoints {
    /// Finds them.
    pub(super) fn find(functions: &Functions, elf: &Elf) -> Result<Self, InspectError> {
        if let Arch::Other(arch) = &elf.arch {
            return Err(InspectError::UnsupportedArch { arch: arch.clone() });
        }
        let [birth, death, older] = functions.named([BIRTH, DEATH, DEATH_BEFORE_1_22])?;
        let birth = birth.ok_or(InspectError::NoFunction { name: BIRTH })?;
        let (death, name) = match (death, older) {
            (Some(death), _) => (death, DEATH),
            (None, Some(older)) => (older, DEATH_BEFORE_1_22),
            (None, None) => return Err(InspectError::NoFunction { name: DEATH }),
        };
        Ok(Self {
            birth: point(functions, elf, BIRTH, &birth)?,
            death: point(functions, elf, name, &death)?,
        })
    }
}

impl Binary {
    /// Where a goroutine changes its status, which it does several times in its life.
    ///
    /// # Errors
    ///
    /// Where the function is not found, or does not begin as Go's functions do.
    pub fn status_change(&self) -> Result<ProbePoint, InspectError> {
        let missing = InspectError::NoFunction { name: CHANGE };
        let functions = match (&self.symbols.functions, &self.probe_points) {
            (Some(functions), _) => functions,
            (None, Err(error)) => return Err(error.clone()),
            (None, Ok(_)) => return Err(missing),
        };
        let [change] = functions.named([CHANGE])?;
        point(functions, &self.elf, CHANGE, &change.ok_or(missing)?)
    }
}

fn point(
    functions: &Functions,
    elf: &Elf,
    name: &'static str,
    function: &Function,
) -> Result<ProbePoint, InspectError> {
    let missing = InspectError::NoFunction { name };
    let size = function.end.0.saturating_sub(function.entry.0);
    let seen = size.min(prologue::WINDOW);
    let executable = elf.segment_at(function.entry).is_some_and(|segment| segment.executable);
    let start = elf.in_file(function.entry, seen).filter(|_| executable).ok_or(missing)?;
    let code = functions.source.read(name, start.0, seen)?;
    // Those that are counted exactly must have a check: without one they are not what is known.
    let place = if name == CHANGE { prologue::frame_setup } else { prologue::behind_check };
    let behind = place(&elf.arch, &code, size).ok_or_else(|| {
        let bytes = code.iter().take(32).map(|byte| format!("{byte:02x}")).collect();
        InspectError::Prologue { name, bytes }
    })?;
    Ok(ProbePoint {
        function: name,
        offset: FileOffset(start.0.saturating_add(behind.distance)),
        address: FileAddress(function.entry.0.saturating_add(behind.distance)),
        emulated: behind.emulated,
    })
}
