//! Takes goroutine dumps: from a process to [`Dump`], its names included.
//!
//! A [`Dumper`] has all it needs for itself, so that a dump is taken on any thread, beside the
//! engine's, and however long it takes nobody waits for it.

use std::{
    collections::HashMap,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use super::{
    call_names::{CallNames, Spots},
    observe, opening,
    thread_sampler::ThreadSampler,
};
use crate::{
    discover::{error::DiscoverError, identity::ProcessId, proc_fs::ProcFs},
    inspect::{
        Binary,
        address::{LoadBias, ProcessAddress},
        cache::FileKey,
    },
    model::dump::{Dump, Goroutine, Stack},
    read::{
        End, MemoryError, ReadError, RuntimeFacts, RuntimeReader, Seen, State, Step, Unsampled,
        WaitReasons, process_memory::ProcessMemory,
    },
};

/// The most goroutines of one dump; they take a gigabyte.
const MAX_GOROUTINES: usize = 4 << 20;
/// How often goroutines are read that contradict one another.
const TRIES: usize = 3;
/// The number of the goroutine that runs `main`: nobody created it.
const FIRST: u64 = 1;
/// How long a process may take whose runtime has only just begun, and between two looks at it.
const STARTING: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(20);

/// Why there is no dump.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DumpError {
    /// The process, or its executable, could not be looked at.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// Its runtime cannot be read.
    #[error("the goroutines of process {} cannot be read: {error}", id.pid)]
    Read {
        /// The process.
        id: ProcessId,
        /// Why.
        error: ReadError,
    },
    /// It ended, or went on as another program.
    #[error("process {} ended, or became another program, while it was looked at", .0.pid)]
    Ended(ProcessId),
    /// There are too many goroutines.
    #[error("process {} has more than {MAX_GOROUTINES} goroutines", .0.pid)]
    TooMany(ProcessId),
}

/// Takes dumps of one process.
pub(crate) struct Dumper {
    id: ProcessId,
    proc: ProcFs,
    exe: FileKey,
    go_version: String,
    reader: RuntimeReader<ProcessMemory>,
    spots: Spots,
    names: CallNames,
}

impl Dumper {
    /// For a process that runs this binary, whose file has this key. Waits a moment for one that
    /// has only just begun.
    pub(crate) fn open(
        proc: &ProcFs,
        id: ProcessId,
        exe: FileKey,
        binary: &Arc<Binary>,
        facts: &Arc<RuntimeFacts>,
    ) -> Result<Self, DumpError> {
        let deadline = Instant::now() + STARTING;
        let (bias, reader) = loop {
            match Self::try_open(proc, id, binary, facts) {
                Ok(opened) => break opened,
                Err(_) if proc.is_gone(id) => return Err(DumpError::Ended(id)),
                Err(error) if !error.may_pass() || Instant::now() >= deadline => {
                    return Err(DumpError::Read { id, error });
                }
                Err(_) => thread::sleep(PAUSE),
            }
        };
        Ok(Self {
            id,
            proc: proc.clone(),
            exe,
            go_version: binary.facts.go_version.clone(),
            spots: Spots::new(Arc::clone(binary), bias),
            names: CallNames::new(Arc::clone(binary), bias, facts.release.minor),
            reader,
        })
    }

    fn try_open(
        proc: &ProcFs,
        id: ProcessId,
        binary: &Arc<Binary>,
        facts: &Arc<RuntimeFacts>,
    ) -> Result<(LoadBias, RuntimeReader<ProcessMemory>), ReadError> {
        // The loader has not been through yet where there is no bias.
        let bias = opening::load_bias(proc, id.pid, binary).ok_or(ReadError::NotStarted)?;
        Ok((bias, opening::open(proc, id.pid, binary, Arc::clone(facts), bias)?))
    }

    /// Looks at all goroutines; keeps those that `admits` admits.
    pub(crate) fn dump(&mut self, admits: &dyn Fn(&Goroutine) -> bool) -> Result<Dump, DumpError> {
        let id = self.id;
        if self.reader.missing().next().is_some() {
            self.reader.look_again();
        }
        let reasons = self.reader.wait_reasons().ok();
        let taken_at = observe::now();
        let mut taking = Taking {
            words: Words::new(reasons),
            names: &mut self.names,
            now: monotonic(),
            empty: Stack::from([]),
            why: HashMap::new(),
        };
        let mut sampler = ThreadSampler::new(self.proc.clone(), id.pid);
        let mut goroutines = Vec::new();
        let mut too_many = false;
        let mut tries = 1..=TRIES;
        let read = loop {
            let last = tries.next().is_none_or(|number| number == TRIES);
            goroutines.clear();
            let read =
                self.reader.stacks(&mut self.spots, Some(&mut sampler), &mut |seen, steps| {
                    if goroutines.len() >= MAX_GOROUTINES {
                        too_many = true;
                        return;
                    }
                    let goroutine = taking.goroutine(seen, steps);
                    if admits(&goroutine) {
                        goroutines.push(goroutine);
                    }
                });
            match read {
                Err(error) if error.may_pass() && !last => {}
                read => break read,
            }
        };
        let unsampled = taking.refused();
        self.names.forget_stacks();
        // Asked behind the reading: what was read is of this process if it still is what it was.
        if self.has_ended() || matches!(read, Err(ReadError::Memory(MemoryError::Gone))) {
            return Err(DumpError::Ended(id));
        }
        let report = read.map_err(|error| DumpError::Read { id, error })?;
        if report.unreadable > report.live / 2 {
            let error = ReadError::Torn("the table of goroutines");
            return Err(DumpError::Read { id, error });
        }
        if too_many {
            return Err(DumpError::TooMany(id));
        }
        goroutines.sort_unstable_by_key(|goroutine| goroutine.goid);
        Ok(Dump {
            pid: id.pid.0,
            go_version: self.go_version.clone(),
            taken_at: Some(taken_at),
            unsampled,
            goroutines,
        })
    }

    /// It has ended, or executes another program under its old id.
    fn has_ended(&self) -> bool {
        let exe = self.proc.open_exe(self.id.pid).ok().and_then(|file| file.metadata().ok());
        self.proc.is_gone(self.id)
            || exe.is_none_or(|exe| !FileKey::of(&exe).is_same_file(self.exe))
    }
}

/// The clock of the goroutines' waits, in nanoseconds.
fn monotonic() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let since =
        Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0));
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The words for states and reasons, each once.
struct Words {
    states: [Arc<str>; State::ALL.len()],
    reasons: Vec<Option<Arc<str>>>,
}

impl Words {
    fn new(reasons: Option<&WaitReasons>) -> Self {
        let name = |number| reasons.and_then(|reasons| reasons.name(number)).map(Arc::from);
        Self {
            states: State::ALL.map(|state| state.as_str().into()),
            reasons: (0..=u8::MAX).map(name).collect(),
        }
    }

    fn state(&self, state: State) -> Arc<str> {
        let index = State::ALL.iter().position(|known| *known == state);
        let known = index.and_then(|index| self.states.get(index));
        known.map_or_else(|| state.as_str().into(), Arc::clone)
    }

    fn reason(&self, number: u8) -> Option<Arc<str>> {
        self.reasons.get(usize::from(number)).cloned().flatten()
    }
}

/// A dump that is being taken.
struct Taking<'a> {
    words: Words,
    names: &'a mut CallNames,
    now: u64,
    empty: Stack,
    /// The reasons why goroutines that run have no stack, in words, each once.
    why: HashMap<Unsampled, Arc<str>>,
}

impl Taking<'_> {
    /// What the kernel said against sampling threads.
    fn refused(&self) -> Option<Arc<str>> {
        let refusal = |(why, text): (&Unsampled, &Arc<str>)| {
            matches!(why, Unsampled::Refused(_)).then(|| Arc::clone(text))
        };
        self.why.iter().find_map(refusal)
    }

    fn goroutine(&mut self, seen: &Seen, steps: &[Step]) -> Goroutine {
        let Seen { goroutine, end, sampled, unsampled, torn, locked, in_bubble, thread, since } =
            *seen;
        let wait_reason = self.words.reason(goroutine.wait_reason);
        let why = unsampled.filter(|_| !goroutine.system);
        let no_stack = why
            .map(|why| Arc::clone(self.why.entry(why).or_insert_with(|| why.to_string().into())));
        let stack = self.names.stack(steps);
        let fits = stack.is_some();
        let known = |at: ProcessAddress| (at.0 != 0).then_some(at);
        let creator = known(goroutine.created_at).filter(|_| goroutine.goid != FIRST);
        #[expect(clippy::cast_precision_loss, reason = "seconds are told as a double")]
        let waited = |since| self.now.saturating_sub(since) as f64 / 1e9;
        Goroutine {
            goid: goroutine.goid,
            parent_goid: goroutine.parent_goid.filter(|parent| *parent != 0),
            wait_seconds: (since != 0).then(|| waited(since)),
            state: self.words.state(goroutine.state),
            durable: in_bubble && wait_reason.as_deref().is_some_and(WaitReasons::is_durable),
            wait_reason,
            system: goroutine.system,
            torn,
            locked_to_thread: locked,
            truncated: !fits || matches!(end, Some(End::TooDeep | End::Lost)),
            thread,
            sampled,
            no_stack,
            created_by: creator.and_then(|at| self.names.created_by(at, !goroutine.system)),
            start: known(goroutine.start).and_then(|at| self.names.start(at)),
            stack: stack.unwrap_or_else(|| Arc::clone(&self.empty)),
            count: 1,
        }
    }
}
