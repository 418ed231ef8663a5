//! The runtime of one process: checked once, then read as often as wanted.

use std::{collections::HashMap, sync::Arc};

use super::{
    counts::{self, Counts, CountsAt},
    error::ReadError,
    gc::{self, Gc, HeapGoal},
    globals::Global,
    goroutine::{Decoder, Goroutine},
    goroutine_table::{self, GoroutineTable, ScanBuffer, ScanReport},
    heap::{self, Heap},
    latency,
    memory::Memory,
    runtime_facts::RuntimeFacts,
    stack::{Code, Step, Walker},
    stack_scan::{Seen, StackBuffer, StackScan},
    system_goroutine::Start,
    thread_sample::Sampler,
    time_histogram::TimeHistogram,
    validate,
    wait_reason::WaitReasons,
};
use crate::inspect::address::{FileAddress, LoadBias, ProcessAddress};

/// Functions whose meaning is remembered; a program starts goroutines with few.
const MAX_STARTS: usize = 65_536;

/// Tells the full name of the function that begins at an address; `None` where none does.
pub type FunctionNames = dyn Fn(FileAddress) -> Option<String> + Send + Sync;

/// Records that one step of a scan looks at: about 10 ms of work.
const STEP: u64 = 32_768;

/// How often the counts are read while threads for calls from C come.
const EXTRA_ATTEMPTS: usize = 4;

/// A scan that is not done yet.
#[derive(Clone, Copy, Debug)]
pub struct PartialScan {
    /// Index of the first record that was not looked at.
    next: u64,
    report: ScanReport,
}

/// The runtime of one process.
pub struct RuntimeReader<M> {
    memory: M,
    facts: Arc<RuntimeFacts>,
    at: CountsAt,
    table: GoroutineTable,
    memstats: Result<ProcessAddress, ReadError>,
    controller: Result<ProcessAddress, ReadError>,
    wait_reasons: Result<WaitReasons, ReadError>,
    starts: Starts,
    /// Records of threads for calls from C among the first [`Self::extra_until`] of the table. A
    /// record stays what it is, and new ones come behind the others.
    extra_seen: u64,
    extra_until: u64,
    /// Counters that were reported never go down.
    reported: Counts,
}

impl<M: Memory> RuntimeReader<M> {
    /// Finds the runtime's variables in the process, and checks that the layout is the process's.
    ///
    /// What can be done without is looked for as well: [`RuntimeReader::missing`] says what of it
    /// was not found.
    ///
    /// # Errors
    /// [`ReadError::NotStarted`] while the process has only just begun: try again in a moment.
    /// [`ReadError::NotFound`] and [`ReadError::Implausible`] where the runtime is not as expected,
    /// [`ReadError::Memory`] where it cannot be read.
    pub fn open(
        facts: Arc<RuntimeFacts>,
        memory: M,
        bias: LoadBias,
        names: Arc<FunctionNames>,
    ) -> Result<Self, ReadError> {
        let mut starts = Starts { names, bias, known: HashMap::new() };
        let found = validate::find(&facts, &memory, bias, &mut starts)?;
        let mut this = Self {
            memory,
            at: found.at,
            table: found.table,
            memstats: found.memstats,
            controller: found.controller,
            wait_reasons: found.wait_reasons,
            facts,
            starts,
            extra_seen: 0,
            extra_until: 0,
            reported: Counts::default(),
        };
        this.find_extra()?;
        Ok(this)
    }

    /// What is known of the binary.
    #[must_use]
    pub fn facts(&self) -> &RuntimeFacts {
        &self.facts
    }

    /// The process's memory.
    #[must_use]
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// Names of the wait reasons.
    ///
    /// # Errors
    /// Why they are not known.
    pub fn wait_reasons(&self) -> Result<&WaitReasons, ReadError> {
        self.wait_reasons.as_ref().map_err(Clone::clone)
    }

    /// What was not found, and why; the rest works without it. See [`RuntimeReader::look_again`].
    pub fn missing(&self) -> impl Iterator<Item = (Global, &ReadError)> {
        let missing = [
            (Global::Memstats, self.memstats.as_ref().err()),
            (Global::GcController, self.controller.as_ref().err()),
            (Global::WaitReasons, self.wait_reasons.as_ref().err()),
        ];
        missing.into_iter().filter_map(|(global, error)| Some((global, error?)))
    }

    /// Looks again for what was missing: a process that had just begun may not have had it yet.
    pub fn look_again(&mut self) {
        let Self { facts, memory, starts, .. } = self;
        let bias = starts.bias;
        if self.memstats.is_err() {
            self.memstats = validate::find_memstats(facts, memory, bias, self.at.sched);
        }
        if self.controller.is_err() {
            self.controller = validate::find_controller(facts, memory, bias, &self.memstats);
        }
        if self.wait_reasons.is_err() {
            self.wait_reasons = validate::find_wait_reasons(facts, memory, bias);
        }
    }

    /// How many goroutines there are and were: a few system calls, however many there are.
    ///
    /// # Errors
    /// [`ReadError::Memory`], [`ReadError::Implausible`].
    pub fn counts(&mut self) -> Result<Counts, ReadError> {
        let mut read;
        let mut attempts = 0;
        loop {
            self.find_extra()?;
            let until = self.extra_until;
            read = counts::read(&self.memory, &self.facts.layout, &self.at, self.extra_seen)?;
            attempts += 1;
            // A thread that came in between would be taken for a goroutine.
            if self.find_extra()? == until || attempts == EXTRA_ATTEMPTS {
                break;
            }
        }
        // A processor that takes numbers just now looks as if it had given them out: for an
        // instant the sum is too high, and must not make a counter go back afterwards.
        let created = read.created.max(self.reported.created);
        let exited = read.exited.max(self.reported.exited).min(created);
        self.reported = Counts { created, exited, live: read.live.min(created), ..read };
        Ok(self.reported)
    }

    /// Without the variables that count the threads for calls from C, the table of goroutines tells
    /// how many there are: looks at the records that are new in it. Gives how many it has.
    fn find_extra(&mut self) -> Result<u64, ReadError> {
        if self.at.extra.contains(&None) {
            let records = goroutine_table::length(&self.memory, self.table)?;
            if self.extra_until < records {
                let extra = self.extra_seen;
                let report = ScanReport { records, extra, ..ScanReport::default() };
                let mut scan = PartialScan { next: self.extra_until, report };
                while self.go_on(&mut scan, &mut ScanBuffer::default(), &mut |_| ())?.is_none() {}
            }
        }
        Ok(self.extra_until)
    }

    /// Shows `visit` every goroutine.
    ///
    /// # Errors
    /// [`ReadError::Memory`], [`ReadError::Implausible`], [`ReadError::Torn`].
    pub fn scan(
        &mut self,
        buffer: &mut ScanBuffer,
        visit: &mut dyn FnMut(&Goroutine),
    ) -> Result<ScanReport, ReadError> {
        let mut scan = self.begin_scan()?;
        loop {
            if let Some(report) = self.go_on(&mut scan, buffer, visit)? {
                return Ok(report);
            }
        }
    }

    /// Begins a scan that is done in steps, for those who have other work in between.
    ///
    /// # Errors
    /// [`ReadError::NotStarted`], [`ReadError::Memory`], [`ReadError::Implausible`].
    pub fn begin_scan(&self) -> Result<PartialScan, ReadError> {
        let records = goroutine_table::length(&self.memory, self.table)?;
        Ok(PartialScan { next: 0, report: ScanReport { records, ..ScanReport::default() } })
    }

    /// Shows `visit` the next goroutines: those of 32 768 records. Gives the report when the
    /// last were among them.
    ///
    /// # Errors
    /// As [`RuntimeReader::scan`].
    pub fn go_on(
        &mut self,
        scan: &mut PartialScan,
        buffer: &mut ScanBuffer,
        visit: &mut dyn FnMut(&Goroutine),
    ) -> Result<Option<ScanReport>, ReadError> {
        let end = scan.next.saturating_add(STEP).min(scan.report.records);
        let finalizer_wait = self.reason_number("finalizer wait");
        let starts = &mut self.starts;
        let mut start = |at| starts.of(at).unwrap_or(Start::User);
        let mut decoder = Decoder {
            layout: &self.facts.layout.g,
            wait_reasons: self.facts.layout.wait_reasons,
            finalizer_wait,
            start: &mut start,
        };
        let step = goroutine_table::scan(
            &self.memory,
            self.table,
            scan.next..end,
            &mut decoder,
            buffer,
            visit,
        )?;
        scan.next = end;
        scan.report.add(&step);
        if end < scan.report.records {
            return Ok(None);
        }
        self.extra_seen = scan.report.extra;
        self.extra_until = scan.report.records;
        Ok(Some(scan.report))
    }

    /// The target's number of a wait reason.
    fn reason_number(&self, name: &str) -> Option<u8> {
        self.wait_reasons.as_ref().ok()?.number(name)
    }

    /// Shows `visit` every goroutine with the calls on its stack, the innermost first. Those that
    /// run have one where there is a `sampler`.
    ///
    /// # Errors
    /// As [`RuntimeReader::scan`].
    pub fn stacks(
        &mut self,
        code: &mut dyn Code,
        mut sampler: Option<&mut dyn Sampler>,
        visit: &mut dyn FnMut(&Seen, &[Step]),
    ) -> Result<ScanReport, ReadError> {
        let finalizer_wait = self.reason_number("finalizer wait");
        let coroutine = self.reason_number("coroutine");
        let mut walker = Walker::new(self.facts.arch);
        let mut buffer = StackBuffer::default();
        let mut scanned = ScanBuffer::default();
        let mut records = Vec::new();
        let mut running = Vec::new();
        let mut scan = self.begin_scan()?;
        loop {
            records.clear();
            let done = self.go_on(&mut scan, &mut scanned, &mut |goroutine| {
                records.push(goroutine.record);
            })?;
            let starts = &mut self.starts;
            let mut start = |at| starts.of(at).unwrap_or(Start::User);
            let layout = &self.facts.layout;
            let mut stacks = StackScan {
                memory: &self.memory,
                decoder: Decoder {
                    layout: &layout.g,
                    wait_reasons: layout.wait_reasons,
                    finalizer_wait,
                    start: &mut start,
                },
                thread: &layout.m,
                coroutine,
                walker: &mut walker,
                code: &mut *code,
                visit: &mut *visit,
                samples: sampler.is_some(),
                running: std::mem::take(&mut running),
            };
            stacks.take(&records, &mut buffer)?;
            if let Some(report) = done {
                if let Some(sampler) = sampler.as_deref_mut() {
                    stacks.sample(sampler, &mut buffer)?;
                }
                return Ok(report);
            }
            running = stacks.running;
        }
    }

    /// How long goroutines that could run waited until they did, since the process started.
    ///
    /// # Errors
    /// [`ReadError::Memory`], [`ReadError::Implausible`].
    pub fn sched_latency(&self) -> Result<TimeHistogram, ReadError> {
        latency::read(&self.memory, &self.facts.layout, self.facts.release.minor, self.at.sched)
    }

    /// How the collector is doing.
    ///
    /// # Errors
    /// Why its statistics were not found; [`ReadError::Memory`], [`ReadError::Implausible`].
    pub fn gc(&self) -> Result<Gc, ReadError> {
        let stats = self.memstats.clone()?;
        let minor = self.facts.release.minor;
        gc::read(&self.memory, &self.facts.layout, minor, stats, self.at.sched)
    }

    /// How large the collector lets the heap grow, and what of it lives.
    ///
    /// # Errors
    /// Why the pacer was not found; [`ReadError::Memory`], [`ReadError::Implausible`].
    pub fn heap_goal(&self) -> Result<HeapGoal, ReadError> {
        let controller = self.controller.clone()?;
        let minor = self.facts.release.minor;
        gc::goal(&self.memory, &self.facts.layout.controller, minor, controller)
    }

    /// What the heap holds and has held.
    ///
    /// # Errors
    /// Why its statistics were not found; [`ReadError::Torn`], [`ReadError::Memory`],
    /// [`ReadError::Implausible`].
    pub fn heap(&self) -> Result<Heap, ReadError> {
        heap::read(&self.memory, &self.facts.layout, self.memstats.clone()?)
    }
}

/// What the functions mean that goroutines are started with.
pub(super) struct Starts {
    names: Arc<FunctionNames>,
    bias: LoadBias,
    known: HashMap<ProcessAddress, Option<Start>>,
}

impl Starts {
    /// What the function that begins at an address means; `None` where none does.
    pub(super) fn of(&mut self, at: ProcessAddress) -> Option<Start> {
        if let Some(known) = self.known.get(&at) {
            return *known;
        }
        let name = at.in_file(self.bias).and_then(|at| (self.names)(at));
        let start = name.map(|name| Start::of(Some(&name)));
        if self.known.len() < MAX_STARTS {
            self.known.insert(at, start);
        }
        start
    }
}
