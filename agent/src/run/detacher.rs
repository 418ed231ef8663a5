//! Takes uprobes off in the background: the kernel makes whoever does it wait, 0.1 s a probe and
//! more.

use std::{sync::mpsc, thread};

use crate::probe::{Attachment, lease::Lease};

/// Probes to take off, and the lease that keeps writers waiting until they are.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) attachment: Attachment,
    pub(super) lease: Option<Lease>,
}

/// Threads that take probes off side by side when the agent ends; they wait for the kernel, which
/// lets many wait for the same thing.
const PARALLEL: usize = 64;

/// The thread that takes probes off while the agent runs.
pub(super) struct Detacher(mpsc::Sender<Leaving>);

impl Detacher {
    /// Starts it; it ends when the last sender is gone.
    pub(super) fn start() -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel::<Leaving>();
        thread::Builder::new().name("detacher".to_owned()).spawn(move || {
            while let Ok(leaving) = receiver.recv() {
                // What has piled up meanwhile waits for the kernel together.
                detach_all(std::iter::once(leaving).chain(receiver.try_iter()).collect());
            }
        })?;
        Ok(Self(sender))
    }

    /// Takes probes off, some time soon.
    pub(super) fn detach(&self, leaving: Leaving) {
        if let Err(mpsc::SendError(leaving)) = self.0.send(leaving) {
            take_off(leaving);
        }
    }
}

/// Takes off all of these now, side by side.
pub(super) fn detach_all(all: Vec<Leaving>) {
    let share = all.len().div_ceil(PARALLEL).max(1);
    let mut all = all.into_iter().peekable();
    thread::scope(|scope| {
        while all.peek().is_some() {
            let part: Vec<Leaving> = all.by_ref().take(share).collect();
            scope.spawn(move || part.into_iter().for_each(take_off));
        }
    });
}

/// The probes first: as soon as the lease is gone the file may change.
fn take_off(leaving: Leaving) {
    // Side by side: while one waits the other would still be hit.
    thread::scope(|scope| {
        for uprobe in leaving.attachment.split() {
            scope.spawn(move || drop(uprobe));
        }
    });
    drop(leaving.lease);
}
