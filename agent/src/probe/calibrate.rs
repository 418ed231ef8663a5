//! Measures what a hit costs on this host: the agent hits its own probe.
//!
//! The price of a uprobe is charged to the target, where the agent cannot see it, and differs ten
//! times between hosts; so it is measured, once at the start, on an instruction like those that
//! the targets' probes sit on, with the program that they run.

use std::{fs, hint::black_box, num::NonZeroU32, path::Path, time::Instant};

use goroscope_ebpf_probes::process::Cookie;

use super::{Attachment, ProbeError, Probes, Scope, Target};
use crate::inspect::address::FileOffset;

/// Stands for the agent's own binary; binaries are numbered from 1.
const NUMBER: u32 = (1 << 24) - 1;
/// Calls that are timed together.
const BATCH: u32 = 100;
/// Batches; the median is taken, so that an interruption does not count.
const BATCHES: usize = 21;

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl goroscope_calibration",
    ".type goroscope_calibration, @function",
    "goroscope_calibration:",
    "push rbp",
    "pop rbp",
    "ret",
    ".size goroscope_calibration, . - goroscope_calibration",
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl goroscope_calibration",
    ".type goroscope_calibration, @function",
    "goroscope_calibration:",
    "str x30, [sp, #-16]!",
    "ldr x30, [sp], #16",
    "ret",
    ".size goroscope_calibration, . - goroscope_calibration",
);

unsafe extern "C" {
    /// Begins as the functions do that are probed, and returns.
    fn goroscope_calibration();
}

/// Calls it as Go calls `newproc1`: with a function value, and the place of the `go` statement.
#[inline(never)]
fn call(funcval: &u64) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the function above keeps to the C calling convention.
    unsafe {
        core::arch::asm!(
            "call {function}",
            function = sym goroscope_calibration,
            inout("rax") std::ptr::from_ref(funcval) => _,
            in("rcx") 1_u64,
            clobber_abi("C"),
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        // The first argument of C is that of Go there.
        let function: unsafe extern "C" fn(*const u64, u64, u64) =
            // SAFETY: the function ignores its arguments.
            unsafe { std::mem::transmute(goroscope_calibration as *const ()) };
        // SAFETY: as above.
        unsafe { function(funcval, 0, 1) };
    }
}

/// Words of what stands for a record of the runtime, larger than any that is read.
const RECORD: usize = 1024;

/// Calls it as Go calls `casgstatus` for a goroutine that begins to run: with its record, which is
/// that of the thread's own goroutine as well, and all pointers in it lead to it.
#[inline(never)]
fn call_change(record: &[u64; RECORD]) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the function above keeps to the C calling convention; RBX, which the compiler keeps
    // for itself, is restored.
    unsafe {
        core::arch::asm!(
            "push rbx",
            "mov ebx, 1",
            "call {function}",
            "pop rbx",
            function = sym goroscope_calibration,
            inout("rax") record.as_ptr() => _,
            in("rcx") 2_u64,
            in("r14") record.as_ptr(),
            clobber_abi("C"),
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        // As above.
        let function: unsafe extern "C" fn(*const u64, u64, u64) =
            // SAFETY: the function ignores its arguments.
            unsafe { std::mem::transmute(goroscope_calibration as *const ()) };
        // SAFETY: as above.
        unsafe { function(record.as_ptr(), 1, 2) };
    }
}

/// Seconds that a call takes as [`super::Tracer`] probes it.
pub(super) fn time_change() -> f64 {
    let mut record = Box::new([0_u64; RECORD]);
    let own = record.as_ptr() as u64;
    record.fill(own);
    time(|| call_change(black_box(&record)))
}

/// Seconds that a hit costs its target, and the probe that was hit, to be taken off.
///
/// # Errors
///
/// Where the kernel does not let us.
pub fn calibrate(probes: &mut Probes) -> Result<(f64, Attachment), ProbeError> {
    let offset = own_offset().ok_or(ProbeError::Missing("place in its own file"))?;
    let own = std::process::id();
    let missing = || ProbeError::Missing("process id");
    let scope = Scope::Process(NonZeroU32::new(own).ok_or_else(missing)?);
    let plain = time_birth();
    let target = Target {
        cookie: Cookie { binary: NUMBER, gopc: 0, startpc: 0 },
        birth: offset,
        // Not reached: the second instruction would do as well.
        death: offset,
    };
    let slot = probes.adopt(own, NUMBER, Vec::new)?;
    let attachment = probes.attach_birth(Path::new("/proc/self/exe"), &target, scope)?;
    let probed = time_birth();
    // Its slot is not given back: it was there for this only.
    probes.forget(own);
    probes.remove_sites(slot);
    Ok(((probed - plain).max(0.0), attachment))
}

/// Seconds that a call takes as [`Probes`] probes it.
fn time_birth() -> f64 {
    let funcval = black_box(1_u64);
    time(|| call(&funcval))
}

/// Seconds that a call takes: the median over batches.
fn time(call: impl Fn()) -> f64 {
    let mut batches = [0.0; BATCHES];
    for batch in &mut batches {
        let begin = Instant::now();
        for _ in 0..BATCH {
            call();
        }
        *batch = begin.elapsed().as_secs_f64() / f64::from(BATCH);
    }
    batches.sort_by(f64::total_cmp);
    batches.get(BATCHES / 2).copied().unwrap_or(0.0)
}

/// Where in the agent's own file the function is.
pub(super) fn own_offset() -> Option<FileOffset> {
    let address = goroscope_calibration as *const () as u64;
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let start = u64::from_str_radix(start, 16).ok()?;
        let end = u64::from_str_radix(end, 16).ok()?;
        let offset = u64::from_str_radix(fields.nth(1)?, 16).ok()?;
        (start..end).contains(&address).then(|| FileOffset(address - start + offset))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_in_the_file_holds_the_functions_first_instruction() {
        let offset = usize::try_from(own_offset().unwrap().0).unwrap();
        let file = fs::read("/proc/self/exe").unwrap();
        #[cfg(target_arch = "x86_64")]
        assert_eq!(file[offset..offset + 3], [0x55, 0x5d, 0xc3]);
        #[cfg(target_arch = "aarch64")]
        assert_eq!(file[offset..offset + 4], [0xfe, 0x0f, 0x1f, 0xf8]);
    }

    #[test]
    fn calls_come_back() {
        assert!(time_birth() >= 0.0);
        assert!(time_change() >= 0.0);
    }
}
