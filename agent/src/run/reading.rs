//! The runtime of one watched process: opened when it can be, then read.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::opening;
use crate::{
    discover::{identity::Pid, proc_fs::ProcFs},
    inspect::{Binary, address::LoadBias},
    judge::process::{ProcessJudge, SiteAddress},
    model::{
        leak::Verdict,
        runtime::{GoroutineTable, Runtime, Scans},
        watch::Watch,
    },
    read::{
        Counts, Group, GroupKey, ReadError, RuntimeFacts, RuntimeReader,
        process_memory::ProcessMemory,
    },
};

/// First and longest pause before a process is tried again whose runtime could not be opened.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often counts are read that do not make sense.
const ATTEMPTS: usize = 3;

/// What is known of the runtime in a binary, or why nothing is; shared by its processes.
pub(crate) type Facts = Result<Arc<RuntimeFacts>, ReadError>;

/// The runtime of one watched process.
pub(crate) struct Reading {
    state: State,
    /// What the last look at all goroutines found.
    pub(crate) table: Option<Table>,
    pub(crate) scans: Scans,
    /// Says which of its sites leak.
    pub(crate) judge: ProcessJudge,
    /// What of that was said in the log.
    pub(crate) told: HashMap<SiteAddress, Verdict>,
}

/// What a look at all goroutines found.
pub(crate) struct Table {
    pub(crate) summary: Arc<GoroutineTable>,
    /// The goroutines by what they have in common.
    pub(crate) groups: Vec<(GroupKey, Group)>,
    /// Goroutines that are in no group, because there were too many groups.
    pub(crate) ungrouped: u64,
    /// The runtime's words for what they wait for, by its numbers.
    pub(crate) words: HashMap<u8, Arc<str>>,
    /// When it began.
    pub(crate) at: Instant,
    /// When it began, on the clock of the goroutines' waits, in nanoseconds.
    pub(crate) monotonic: u64,
}

enum State {
    /// Nothing tried yet, or in vain, for this reason; again at that time.
    Closed {
        again: Instant,
        pause: Duration,
        reason: Option<ReadError>,
    },
    Open(Box<RuntimeReader<ProcessMemory>>),
    /// It will not be otherwise.
    Never(String),
}

impl Reading {
    /// The runtime of a process that has just been taken on.
    pub(crate) fn new() -> Self {
        Self::of(State::Closed { again: Instant::now(), pause: FIRST_PAUSE, reason: None })
    }

    /// One that cannot be read.
    pub(crate) fn never(reason: String) -> Self {
        Self::of(State::Never(reason))
    }

    fn of(state: State) -> Self {
        Self {
            state,
            table: None,
            scans: Scans::default(),
            judge: ProcessJudge::default(),
            told: HashMap::new(),
        }
    }

    /// Is it to be opened now?
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        matches!(self.state, State::Closed { again, .. } if again <= now)
    }

    /// When it is to be opened, unless it is or never will be.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Closed { again, .. } => Some(again),
            State::Open(_) | State::Never(_) => None,
        }
    }

    /// Opens it; where that fails for now, it is due again later.
    pub(crate) fn open(
        &mut self,
        proc: &ProcFs,
        pid: Pid,
        binary: &Arc<Binary>,
        facts: Facts,
        bias: Option<LoadBias>,
    ) {
        let opened = facts.and_then(|facts| {
            // The loader has not been through yet.
            let bias = bias.ok_or(ReadError::NotStarted)?;
            opening::open(proc, pid, binary, facts, bias)
        });
        match opened {
            Ok(reader) => {
                for (global, why) in reader.missing() {
                    tracing::debug!(pid = pid.0, part = global.symbol(), %why, "not found yet");
                }
                self.state = State::Open(Box::new(reader));
            }
            Err(error) => self.failed(pid, error),
        }
    }

    fn failed(&mut self, pid: Pid, error: ReadError) {
        if is_final(&error) {
            tracing::warn!(pid = pid.0, reason = %error, "the Go runtime cannot be read");
            self.state = State::Never(error.to_string());
            return;
        }
        let pause = match &self.state {
            State::Closed { pause, reason: Some(_), .. } => (*pause * 2).min(LONGEST_PAUSE),
            _ => FIRST_PAUSE,
        };
        // A process that has only just begun is no news; one that goes on like that is, once.
        let lasting = Duration::from_secs(2);
        if pause >= lasting && pause < lasting * 2 {
            tracing::warn!(pid = pid.0, reason = %error, "the Go runtime cannot be read yet");
        }
        let again = Instant::now() + pause;
        self.state = State::Closed { again, pause, reason: Some(error) };
    }

    /// Gives it up for now: what is read does not make sense any more.
    pub(crate) fn close(&mut self, pid: Pid, error: ReadError) {
        tracing::debug!(pid = pid.0, reason = %error, "reading the Go runtime failed");
        self.table = None;
        self.failed(pid, error);
    }

    /// Who reads it, where it is open.
    pub(crate) fn reader(&mut self) -> Option<&mut RuntimeReader<ProcessMemory>> {
        match &mut self.state {
            State::Open(reader) => Some(reader),
            State::Closed { .. } | State::Never(_) => None,
        }
    }

    /// Can it be read?
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// How many goroutines there are and were; a few microseconds.
    pub(crate) fn counts(&mut self, pid: Pid) -> Option<Counts> {
        let reader = self.reader()?;
        // Words that are read while they change may contradict one another; not again and again.
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match reader.counts() {
                Ok(counts) => return Some(counts),
                Err(error) => last = Some(error),
            }
        }
        self.close(pid, last?);
        None
    }

    /// All that is read at a scrape, beside the counts.
    pub(crate) fn read(&mut self, counts: Counts) -> Option<Runtime> {
        let (table, scans) = (self.table.as_ref().map(|t| Arc::clone(&t.summary)), self.scans);
        let reader = self.reader()?;
        if reader.missing().next().is_some() {
            reader.look_again();
        }
        Some(Runtime {
            counts,
            sched_delay: reader.sched_latency().ok(),
            gc: reader.gc().ok(),
            heap_goal: reader.heap_goal().ok(),
            heap: reader.heap().ok(),
            table,
            scans,
        })
    }

    /// How well it can be read.
    pub(crate) fn watch(&self) -> Watch {
        match &self.state {
            State::Never(reason) => Watch::Failed(reason.clone()),
            State::Closed { reason, .. } => {
                Watch::Failed(reason.as_ref().unwrap_or(&ReadError::NotStarted).to_string())
            }
            State::Open(reader) => {
                let missing: Vec<String> = reader
                    .missing()
                    .map(|(global, why)| format!("without {}: {why}", global.symbol()))
                    .collect();
                if missing.is_empty() { Watch::Ok } else { Watch::Partly(missing.join("; ")) }
            }
        }
    }
}

/// Will another try end in the same way?
fn is_final(error: &ReadError) -> bool {
    match error {
        ReadError::Release(_)
        | ReadError::Arch(_)
        | ReadError::Binary(_)
        | ReadError::Layout(_)
        | ReadError::NotFound(_) => true,
        ReadError::Memory(_)
        | ReadError::NotStarted
        | ReadError::Implausible { .. }
        | ReadError::Torn(_) => false,
    }
}
