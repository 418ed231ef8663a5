//! Death of goroutines: `runtime.gdestroy`, or `runtime.goexit0` where there is none, behind the
//! prologue.
//!
//! Feeds `goroscope_goroutines_exited_total`, `goroscope_site_goroutines` and
//! `goroscope_site_goroutines_exited_total`. Normal returns, `runtime.Goexit`, and the ends of
//! coroutines all pass it, on the system stack.
//!
//! `func gdestroy(gp *g)`, ABIInternal:
//! <https://github.com/golang/go/blob/go1.26.6/src/runtime/proc.go#L4443>

use aya_ebpf::{
    EbpfContext, helpers::bpf_get_attach_cookie, macros::uprobe, programs::ProbeContext,
};
use goroscope_ebpf_probes::{goroutine::SiteKey, process::Cookie};

use crate::{
    current,
    site::{Happened, count_death, count_site, count_unreadable},
    user::{Read, argument},
};

/// For kernels that run sleepable uprobe programs.
#[uprobe(sleepable)]
pub(crate) fn gdestroy_sleepable(ctx: ProbeContext) -> u32 {
    death(&ctx, Read::Sleepable);
    0
}

/// For the others.
#[uprobe]
pub(crate) fn gdestroy(ctx: ProbeContext) -> u32 {
    death(&ctx, Read::Atomic);
    0
}

#[inline(always)]
fn death(ctx: &ProbeContext, read: Read) {
    // SAFETY: the helper takes the program's own context.
    let cookie = Cookie::unpack(unsafe { bpf_get_attach_cookie(ctx.as_ptr()) });
    let Some(slot) = current::slot(cookie.binary) else {
        return;
    };
    count_death(slot);
    let g = argument(ctx, 0);
    if cookie.gopc == 0 || cookie.startpc == 0 {
        count_unreadable(slot);
        return;
    }
    let gopc = read.word(g.wrapping_add(u64::from(cookie.gopc)));
    let startpc = read.word(g.wrapping_add(u64::from(cookie.startpc)));
    match (gopc, startpc) {
        (Some(gopc), Some(startpc)) => {
            count_site(&SiteKey { gopc, startpc, slot, reserved: 0 }, Happened::Death);
        }
        _ => count_unreadable(slot),
    }
}
