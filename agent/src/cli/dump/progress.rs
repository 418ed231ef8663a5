//! How far a dump is, on a terminal, where it takes longer than a second.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use crate::show::plural::plural;

const EACH: Duration = Duration::from_secs(1);

/// Does the work, which adds to a count of goroutines.
pub(super) fn with_progress<T>(work: impl FnOnce(&AtomicU64) -> T) -> T {
    let seen = AtomicU64::new(0);
    if !io::stderr().is_terminal() {
        return work(&seen);
    }
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let seen = &seen;
        scope.spawn(move || tell(seen, &is_done));
        let result = work(seen);
        drop(done);
        result
    })
}

/// Tells how many there are so far, each second, until the other end of the channel is gone.
fn tell(seen: &AtomicU64, is_done: &mpsc::Receiver<()>) {
    let mut told = false;
    while is_done.recv_timeout(EACH) == Err(RecvTimeoutError::Timeout) {
        told = true;
        // Where there is no stderr there is nobody to tell.
        let read = plural(seen.load(Ordering::Relaxed), "goroutine");
        let _ = write!(io::stderr().lock(), "\r\x1b[K{read} read");
    }
    if told {
        let _ = write!(io::stderr().lock(), "\r\x1b[K");
    }
}
