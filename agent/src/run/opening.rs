//! From a process and its binary to a reader of its runtime.

use std::sync::Arc;

use crate::{
    discover::{identity::Pid, proc_fs::ProcFs},
    inspect::{
        Binary, Mapping,
        address::{FileOffset, LoadBias, ProcessAddress},
    },
    read::{ReadError, RuntimeFacts, RuntimeReader, process_memory::ProcessMemory},
};

/// Where the loader put the binary in a process that runs it; `None` where that cannot be told,
/// or not yet.
#[must_use]
pub(crate) fn load_bias(proc: &ProcFs, pid: Pid, binary: &Binary) -> Option<LoadBias> {
    let mappings = proc.exe_mappings(pid).ok()?;
    binary.load_bias(mappings.into_iter().map(|mapping| Mapping {
        executable: mapping.is_executable(),
        start: ProcessAddress(mapping.start),
        end: ProcessAddress(mapping.end),
        offset: FileOffset(mapping.offset),
    }))
}

/// Opens the runtime of a process that runs this binary.
///
/// # Errors
/// As [`RuntimeReader::open`].
pub(crate) fn open(
    proc: &ProcFs,
    pid: Pid,
    binary: &Arc<Binary>,
    facts: Arc<RuntimeFacts>,
    bias: LoadBias,
) -> Result<RuntimeReader<ProcessMemory>, ReadError> {
    let names = Arc::clone(binary);
    let memory = ProcessMemory::new(pid, proc.root())?;
    RuntimeReader::open(facts, memory, bias, Arc::new(move |at| names.function_at(at)))
}
