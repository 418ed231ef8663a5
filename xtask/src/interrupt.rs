//! Ctrl-C, noticed instead of obeyed at once, so that what was started can be ended first.

use std::{
    io::Error,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, Result};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn notice(_signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// From now on SIGINT, SIGTERM and SIGHUP are noticed.
pub(crate) fn watch() -> Result<()> {
    let handler = notice as extern "C" fn(libc::c_int) as libc::sighandler_t;
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler does nothing but store to an atomic, which a signal handler may.
        let before = unsafe { libc::signal(signal, handler) };
        if before == libc::SIG_ERR {
            return Err(Error::last_os_error()).context("cannot watch for signals");
        }
    }
    Ok(())
}

/// Whether one has come.
pub(crate) fn came() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}
