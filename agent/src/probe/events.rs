//! Events from the kernel's side: processes that exec, end, or are seen for the first time.

use std::os::fd::{AsFd, BorrowedFd};

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use goroscope_ebpf_probes::{
    event::{EVENTS, Event as Record, KIND_EXEC, KIND_EXIT, KIND_NEW, KIND_SPENT, NO_SLOT},
    goroutine::GoroutineCounts,
};

use super::{ProbeError, Slot};

/// What happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It runs another image now.
    Exec,
    /// It ended.
    Exit,
    /// One of the probes was hit by it for the first time.
    New,
    /// It has run into the probes as often as its allowance said: [`super::Probes::allow`].
    Spent,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub what: What,
    /// Thread-group id, the kernel's own.
    pub tgid: u32,
    /// Thread-group id as the agent sees it; 0 where it does not, or where the kernel's side could
    /// not tell ([`What::New`], [`What::Spent`]).
    pub visible_tgid: u32,
    /// The slot it has ([`What::New`], [`What::Spent`]) or had; then it is to be released.
    pub slot: Option<Slot>,
    /// Number of the binary of the slot.
    pub binary: u32,
    /// Its last counts.
    pub counts: GoroutineCounts,
    /// Its name.
    pub comm: [u8; 16],
}

/// The ring of events.
pub struct Events(RingBuf<MapData>);

impl Events {
    /// Takes the map.
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, ProbeError> {
        ebpf.take_map(EVENTS)
            .and_then(|map| map.try_into().ok())
            .map(Self)
            .ok_or(ProbeError::Missing(EVENTS))
    }

    /// Takes the next event, if there is one.
    pub fn take(&mut self) -> Option<Event> {
        loop {
            let item = self.0.next()?;
            if let Some(event) = decode(&item) {
                return Some(event);
            }
        }
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Takes a record apart; one of another size or kind is none.
fn decode(bytes: &[u8]) -> Option<Event> {
    if bytes.len() < size_of::<Record>() {
        return None;
    }
    // SAFETY: there are enough bytes, and every bit pattern is a valid record.
    let record: Record = unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) };
    let what = match record.kind {
        KIND_EXEC => What::Exec,
        KIND_EXIT => What::Exit,
        KIND_NEW => What::New,
        KIND_SPENT => What::Spent,
        _ => return None,
    };
    Some(Event {
        what,
        tgid: record.tgid,
        visible_tgid: record.visible_tgid,
        slot: (record.slot != NO_SLOT).then_some(Slot(record.slot)),
        binary: record.binary,
        counts: record.counts,
        comm: record.comm,
    })
}
