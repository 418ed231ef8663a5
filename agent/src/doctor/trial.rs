//! Questions that only the kernel itself can answer: it is asked to do something small.

use std::io;

/// The kernel's no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This process may not (EPERM, EACCES).
    NotPermitted,
    /// This kernel cannot (ENOSYS).
    NotBuiltIn,
    /// Another error, by its number.
    Other(i32),
}

/// What the kernel is asked.
#[derive(Clone, Copy, Debug)]
pub struct Trials {
    /// To take an eBPF program of two instructions, and to forget it again.
    pub load_program: fn() -> Result<(), Refusal>,
    /// To open a uprobe through perf, of this type of event source, in a file that does not exist:
    /// it looks at the permission first, so nothing is ever attached.
    pub open_uprobe: fn(u32) -> Result<(), Refusal>,
}

impl Trials {
    /// The kernel that runs us.
    #[must_use]
    pub fn real() -> Self {
        Self { load_program, open_uprobe }
    }
}

fn refusal() -> Refusal {
    match io::Error::last_os_error().raw_os_error().unwrap_or_default() {
        libc::EPERM | libc::EACCES => Refusal::NotPermitted,
        libc::ENOSYS => Refusal::NotBuiltIn,
        number => Refusal::Other(number),
    }
}

/// Takes what a system call that opens something returned, and closes it again.
fn close(opened: libc::c_long) {
    if let Ok(fd) = libc::c_int::try_from(opened) {
        // SAFETY: the descriptor was opened by the call before, and nobody else knows it.
        unsafe { libc::close(fd) };
    }
}

/// The first fields of the attributes of `BPF_PROG_LOAD`; the kernel takes the rest as zero:
/// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/bpf.h#L1509>.
#[repr(C)]
struct ProgramAttributes {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

fn load_program() -> Result<(), Refusal> {
    const BPF_PROG_LOAD: libc::c_int = 5;
    const BPF_PROG_TYPE_KPROBE: u32 = 2;
    // `r0 = 0; exit`
    let instructions: [u64; 2] = [0xb7, 0x95];
    let license = c"GPL";
    let attributes = ProgramAttributes {
        program_type: BPF_PROG_TYPE_KPROBE,
        instruction_count: 2,
        instructions: address(instructions.as_ptr()),
        license: address(license.as_ptr()),
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    let size = size_of::<ProgramAttributes>();
    // SAFETY: the attributes, the instructions and the licence live until the call returns, and
    // the size is that of the attributes.
    let opened =
        unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const attributes, size) };
    if opened < 0 {
        return Err(refusal());
    }
    close(opened);
    Ok(())
}

/// The first fields of `struct perf_event_attr`, of the size `PERF_ATTR_SIZE_VER1`:
/// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/perf_event.h#L379>.
#[repr(C)]
struct EventAttributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    uprobe_path: u64,
    probe_offset: u64,
}

fn open_uprobe(kind: u32) -> Result<(), Refusal> {
    const DISABLED: u64 = 1;
    const FLAG_FD_CLOEXEC: libc::c_ulong = 8;
    let path = c"/proc/self/no-such-file";
    let size = size_of::<EventAttributes>();
    let attributes = EventAttributes {
        kind,
        size: u32::try_from(size).unwrap_or(0),
        config: 0,
        sample_period: 0,
        sample_type: 0,
        read_format: 0,
        flags: DISABLED,
        wakeup_events: 0,
        breakpoint_type: 0,
        uprobe_path: address(path.as_ptr()),
        probe_offset: 0,
    };
    let (this_process, any_cpu, no_group): (libc::pid_t, libc::c_int, libc::c_int) = (0, -1, -1);
    // SAFETY: the attributes and the path live until the call returns, and the attributes carry
    // their size.
    let opened = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            this_process,
            any_cpu,
            no_group,
            FLAG_FD_CLOEXEC,
        )
    };
    if opened >= 0 {
        close(opened);
        return Ok(());
    }
    match refusal() {
        // It would have been allowed, had there been a file.
        Refusal::Other(_) => Ok(()),
        refused => Err(refused),
    }
}

/// A pointer as the kernel's structures have it.
fn address<T>(pointer: *const T) -> u64 {
    u64::try_from(pointer.addr()).unwrap_or(0)
}
