//! Birth of goroutines: `runtime.newproc1`, behind its prologue.
//!
//! Feeds `goroscope_goroutines_created_total`, `goroscope_site_goroutines` and
//! `goroscope_site_goroutines_created_total`. `newproc1` runs on the system stack, so it is not
//! run again by `morestack` as `newproc` is; every `go` statement and every coroutine passes it.
//!
//! `func newproc1(fn *funcval, callergp *g, callerpc uintptr, …) *g`, ABIInternal:
//! <https://github.com/golang/go/blob/go1.26.6/src/runtime/proc.go#L5235>

use aya_ebpf::{
    EbpfContext, helpers::bpf_get_attach_cookie, macros::uprobe, programs::ProbeContext,
};
use goroscope_ebpf_probes::{goroutine::SiteKey, process::Cookie};

use crate::{
    current,
    site::{Happened, count_birth, count_site},
    user::{Read, argument},
};

/// For kernels that run sleepable uprobe programs: a page of the target that is not mapped yet is
/// brought in.
#[uprobe(sleepable)]
pub(crate) fn newproc1_sleepable(ctx: ProbeContext) -> u32 {
    birth(&ctx, Read::Sleepable);
    0
}

/// For the others.
#[uprobe]
pub(crate) fn newproc1(ctx: ProbeContext) -> u32 {
    birth(&ctx, Read::Atomic);
    0
}

#[inline(always)]
fn birth(ctx: &ProbeContext, read: Read) {
    // SAFETY: the helper takes the program's own context.
    let cookie = Cookie::unpack(unsafe { bpf_get_attach_cookie(ctx.as_ptr()) });
    let Some(slot) = current::slot(cookie.binary) else {
        return;
    };
    if count_birth(slot) {
        current::send_spent(slot, cookie.binary);
    }
    let funcval = argument(ctx, 0);
    let gopc = argument(ctx, 2);
    // A funcval begins with the entry of its function. Unreadable is 0: the agent puts such
    // births to the site of the same `go` statement.
    let startpc = read.word(funcval).unwrap_or(0);
    count_site(&SiteKey { gopc, startpc, slot, reserved: 0 }, Happened::Birth);
}
