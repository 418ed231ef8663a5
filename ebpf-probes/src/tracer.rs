//! The kernel programs of `goroscope trace`, an object of their own: each file is one hook, and
//! every hit is sent.
#![no_std]
#![no_main]
#![expect(unstable_features, reason = "inline assembly for BPF: the atomic add")]
#![feature(asm_experimental_arch)]
#![expect(
    clippy::multiple_unsafe_ops_per_block,
    clippy::cast_possible_truncation,
    reason = "a field of a map's value is two unsafe steps, and registers are wider than what is \
              in them"
)]

mod casgstatus;
mod trace_switch;
mod trace_wakeup;
mod tasks;

mod counter;
mod record;
#[expect(dead_code, reason = "the agent's programs read more of a task")]
mod task;
#[expect(dead_code, reason = "the agent's programs bring in pages that are not mapped")]
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
