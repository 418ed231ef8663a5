//! goroscope's kernel programs: each file is one hook, and says which metrics it feeds.
#![no_std]
#![no_main]
#![expect(unstable_features, reason = "inline assembly for BPF: the atomic add")]
#![feature(asm_experimental_arch)]
#![expect(
    clippy::multiple_unsafe_ops_per_block,
    clippy::cast_possible_truncation,
    clippy::needless_borrows_for_generic_args,
    reason = "a field of a map's value is two unsafe steps, registers are wider than what is in \
              them, and a key that is borrowed is not copied onto the small stack once more"
)]

mod gdestroy;
mod newproc;
mod sched_process;
mod sched_switch;
mod sched_wakeup;
mod tasks;

mod counter;
mod current;
mod followed;
mod maps;
mod site;
mod task;
#[expect(dead_code, reason = "the programs of a trace read another register")]
mod user;

/// The verifier admits no panic; the compiler wants a handler all the same.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// `bpf_probe_read_user` and its like are for GPL-compatible programs.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
