//! Loads the object: maps, and the programs that this kernel takes.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use aya::{Btf, Ebpf, EbpfLoader, programs::UProbe};
use goroscope_ebpf_probes::{
    goroutine::{ALLOWANCES, GOROUTINES, SITES},
    process::{FREE_SLOTS, TGIDS},
    sched::{FOLLOWED, SCHED, TASK_LAYOUT, THREADS, TaskLayout},
    trace::{TRACE, TRACE_LAYOUT, TraceLayout},
};

use super::{Limits, ProbeError, error::chain, followed, kernel_btf};

/// The object, as built for the BPF target.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/goroscope-probes"));

/// The object with the programs of a trace.
static TRACER: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/goroscope-tracer"));

/// `PROC_PID_INIT_INO`: number of the host's own pid namespace,
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/proc_ns.h#L45>.
const HOST_NAMESPACE: u32 = 0xeffffffc;

/// `AYA_LOG_LEVEL` for "log nothing": the levels begin at 1.
const LOG_NOTHING: u8 = 0;
/// `AYA_LOG_LEVEL` for "log all".
const LOG_ALL: u8 = 5;

/// The object with its maps made, and the kernel's types.
pub(super) struct Loaded {
    pub(super) ebpf: Ebpf,
    /// The kernel's types; without them there is no tracing of the scheduler.
    pub(super) btf: Result<Btf, String>,
    /// Size of the bits of followed threads.
    pub(super) followed_words: u32,
    /// The agent sees other ids than the kernel's.
    pub(super) translated: bool,
}

/// Makes the maps; `diagnostics` compiles the programs' log lines in.
pub(super) fn load(limits: Limits, diagnostics: bool) -> Result<Loaded, ProbeError> {
    let layout = kernel_btf::task_layout(Path::new(kernel_btf::VMLINUX));
    let btf = match &layout {
        Ok(_) => Btf::from_sys_fs().map_err(|error| chain(&error)),
        Err(error) => Err(error.to_string()),
    };
    let layout = TaskLayout { namespace: foreign_namespace(), ..layout.unwrap_or_default() };
    let level = if diagnostics { LOG_ALL } else { LOG_NOTHING };
    let followed_words = followed::words();
    let mut loader = EbpfLoader::new();
    loader
        .btf(btf.as_ref().ok())
        .override_global(TASK_LAYOUT, &layout, true)
        .override_global(aya_log::LEVEL, &level, true)
        .map_max_entries(TGIDS, limits.processes.saturating_mul(2))
        .map_max_entries(FREE_SLOTS, limits.processes)
        .map_max_entries(GOROUTINES, limits.processes)
        .map_max_entries(ALLOWANCES, limits.processes)
        .map_max_entries(SCHED, limits.processes)
        .map_max_entries(SITES, limits.sites)
        .map_max_entries(THREADS, limits.threads)
        .map_max_entries(FOLLOWED, followed_words);
    let ebpf = loader.load(OBJECT).map_err(|error| ProbeError::Load(Box::new(error)))?;
    Ok(Loaded { ebpf, btf, followed_words, translated: layout.namespace != 0 })
}

/// Makes the maps of a trace; gives the kernel's types as well, and whether ids are translated.
pub(super) fn load_tracer(
    layout: TraceLayout,
    ring_bytes: u32,
) -> Result<(Ebpf, Btf, bool), ProbeError> {
    let task = kernel_btf::task_layout(Path::new(kernel_btf::VMLINUX))?;
    let task = TaskLayout { namespace: foreign_namespace(), ..task };
    let no_types = |error: aya::BtfError| ProbeError::NoTypes(chain(&error));
    let btf = Btf::from_sys_fs().map_err(no_types)?;
    let mut loader = EbpfLoader::new();
    loader
        .btf(Some(&btf))
        .override_global(TASK_LAYOUT, &task, true)
        .override_global(TRACE_LAYOUT, &layout, true)
        .map_max_entries(TRACE, ring_bytes);
    let ebpf = loader.load(TRACER).map_err(|error| ProbeError::Load(Box::new(error)))?;
    Ok((ebpf, btf, task.namespace != 0))
}

/// Number of the agent's pid namespace; 0 where it is the host's own.
fn foreign_namespace() -> u32 {
    let own = fs::metadata("/proc/self/ns/pid").ok();
    let own = own.and_then(|own| u32::try_from(own.ino()).ok()).unwrap_or(HOST_NAMESPACE);
    if own == HOST_NAMESPACE { 0 } else { own }
}

/// Loads the first of these uprobe programs that the kernel takes, and names it.
pub(super) fn first_uprobe(
    ebpf: &mut Ebpf,
    names: &[&'static str],
) -> Result<&'static str, ProbeError> {
    let mut last = ProbeError::Missing("uprobe program");
    for &name in names {
        let program: &mut UProbe = ebpf
            .program_mut(name)
            .and_then(|program| program.try_into().ok())
            .ok_or(ProbeError::Missing(name))?;
        match program.load() {
            Ok(()) => return Ok(name),
            Err(error) => last = ProbeError::Program { program: name, reason: chain(&error) },
        }
    }
    Err(last)
}

/// Loads and attaches a BTF tracepoint; it stays attached as long as `ebpf` lives.
pub(super) fn tracepoint(ebpf: &mut Ebpf, btf: &Btf, name: &'static str) -> Result<(), ProbeError> {
    tracepoint_as(ebpf, btf, name, name)
}

/// As [`tracepoint`], of a program that has another name than the tracepoint.
pub(super) fn tracepoint_as(
    ebpf: &mut Ebpf,
    btf: &Btf,
    name: &'static str,
    tracepoint: &'static str,
) -> Result<(), ProbeError> {
    let program: &mut aya::programs::BtfTracePoint = ebpf
        .program_mut(name)
        .and_then(|program| program.try_into().ok())
        .ok_or(ProbeError::Missing(name))?;
    let refused = |error| ProbeError::Program { program: name, reason: chain(&error) };
    program.load(tracepoint, btf).map_err(refused)?;
    program.attach().map_err(refused)?;
    Ok(())
}
