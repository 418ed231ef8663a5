//! From a process and its binary to a reader of its runtime.

use std::sync::Arc;

use super::{
    error::ReadError, process_memory::ProcessMemory, runtime_facts::RuntimeFacts,
    runtime_reader::RuntimeReader,
};
use crate::{
    discover::{identity::Pid, proc_fs::ProcFs},
    inspect::{
        Binary, Mapping,
        address::{FileOffset, LoadBias, ProcessAddress},
    },
};

/// Where the loader put the binary in a process that runs it; `None` where that cannot be told,
/// or not yet.
#[must_use]
pub fn load_bias(proc: &ProcFs, pid: Pid, binary: &Binary) -> Option<LoadBias> {
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
pub fn open(
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
