//! Dumps for whoever asks over HTTP: off the engine's thread, one at a time for each process, and
//! with limits, because the agent must not suffer from what somebody asks for.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::{
    dumping::{DumpError, Dumper},
    engine::Engine,
    reading::Facts,
};
use crate::{
    discover::{
        identity::{Pid, ProcessId},
        proc_fs::ProcFs,
    },
    inspect::{Binary, cache::FileKey},
    model::dump::{Dump, Goroutine},
    serve::source::NoDump,
};

/// Time for a dump, the wait for its turn included.
const LONGEST: Duration = Duration::from_secs(30);
/// Dumps that are taken at once, of all processes.
const AT_ONCE: usize = 2;
/// The most goroutines of a dump that is given out; they take about 100 MB.
const MOST: usize = 500_000;

/// What a dump of a watched process takes.
pub(super) struct Dumpable {
    id: ProcessId,
    exe: FileKey,
    binary: Arc<Binary>,
    facts: Facts,
    proc: ProcFs,
}

impl Engine {
    /// What a dump of this process takes; `None` where it is not watched.
    pub(super) fn dumpable(&mut self, pid: Pid) -> Option<Dumpable> {
        let watched = self.watched.get(&pid)?;
        let known = self.binaries.get(watched.binary?)?;
        Some(Dumpable {
            id: watched.id,
            exe: known.key(),
            binary: Arc::clone(&known.binary),
            facts: known.runtime(),
            proc: self.proc.clone(),
        })
    }
}

/// Who is being dumped.
pub(super) struct HandingOut {
    allowed: AtomicBool,
    under_way: Arc<Mutex<HashSet<Pid>>>,
    places: Arc<Semaphore>,
}

impl HandingOut {
    /// To nobody, unless it is allowed.
    pub(super) fn new(allowed: bool) -> Self {
        let allowed = AtomicBool::new(allowed);
        Self { allowed, under_way: Arc::default(), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// From now on it is allowed, or no longer.
    pub(super) fn allow(&self, allowed: bool) {
        self.allowed.store(allowed, Ordering::Relaxed);
    }

    /// Takes a dump; `ask` asks the engine for what it takes.
    pub(super) async fn take(
        &self,
        pid: Pid,
        ask: impl Future<Output = Option<Dumpable>>,
    ) -> Result<Dump, NoDump> {
        if !self.allowed.load(Ordering::Relaxed) {
            return Err(NoDump::NotAllowed);
        }
        let deadline = Instant::now() + LONGEST;
        let turn = Turn::take(&self.under_way, pid).ok_or(NoDump::Busy)?;
        let place = timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(NoDump::TooLong(LONGEST)) };
        let dumpable = ask.await.ok_or(NoDump::Unwatched(pid))?;
        let given_up = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&given_up);
        let taken = tokio::task::spawn_blocking(move || {
            // Held until it is really over, whoever has gone away meanwhile.
            let _held = (turn, place);
            dump(&dumpable, &heard)
        });
        match timeout_at(deadline, taken).await {
            Ok(Ok(dump)) => dump,
            Ok(Err(error)) => {
                tracing::error!(pid = pid.0, %error, "a dump broke off");
                Err(NoDump::Failed("the dump broke off; this is a bug in goroscope".to_owned()))
            }
            Err(_) => {
                given_up.store(true, Ordering::Relaxed);
                Err(NoDump::TooLong(LONGEST))
            }
        }
    }
}

fn dump(dumpable: &Dumpable, given_up: &AtomicBool) -> Result<Dump, NoDump> {
    let Dumpable { id, exe, binary, facts, proc } = dumpable;
    let failed = |error: DumpError| match error {
        DumpError::Ended(id) => NoDump::Unwatched(id.pid),
        error => NoDump::Failed(error.to_string()),
    };
    let facts = facts.as_ref();
    let facts = facts.map_err(|error| failed(DumpError::Read { id: *id, error: error.clone() }))?;
    let kept = AtomicUsize::new(0);
    let admits = |_: &Goroutine| {
        !given_up.load(Ordering::Relaxed) && kept.fetch_add(1, Ordering::Relaxed) < MOST
    };
    let dump = Dumper::open(proc, *id, *exe, binary, facts)
        .and_then(|mut dumper| dumper.dump(&admits))
        .map_err(failed)?;
    let found = kept.into_inner();
    if found > MOST {
        return Err(NoDump::Failed(format!(
            "process {} has {found} goroutines, more than the {MOST} that are given out over HTTP; \
             `goroscope dump` on the host has no such limit",
            id.pid
        )));
    }
    Ok(dump)
}

/// The only dump of a process for as long as it lives.
struct Turn {
    under_way: Arc<Mutex<HashSet<Pid>>>,
    pid: Pid,
}

impl Turn {
    fn take(under_way: &Arc<Mutex<HashSet<Pid>>>, pid: Pid) -> Option<Self> {
        let mut pids = under_way.lock().unwrap_or_else(PoisonError::into_inner);
        pids.insert(pid).then(|| Self { under_way: Arc::clone(under_way), pid })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_is_dumped_unless_it_is_allowed() {
        let refused = HandingOut::new(false);
        let never = std::future::pending();
        assert_eq!(refused.take(Pid(1), never).await, Err(NoDump::NotAllowed));
    }

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_for_each_process_and_two_of_all() {
        let out = HandingOut::new(true);
        let none = || std::future::ready(None);
        let turn = Turn::take(&out.under_way, Pid(1));
        assert_eq!(out.take(Pid(1), none()).await, Err(NoDump::Busy));
        assert_eq!(out.take(Pid(2), none()).await, Err(NoDump::Unwatched(Pid(2))));
        drop(turn);
        assert_eq!(out.take(Pid(1), none()).await, Err(NoDump::Unwatched(Pid(1))));
        let places = Arc::clone(&out.places).acquire_many_owned(2).await;
        assert_eq!(out.take(Pid(1), none()).await, Err(NoDump::TooLong(LONGEST)));
        drop(places);
        assert!(out.under_way.lock().unwrap().is_empty());
    }
}
