//! The kernel programs of a trace: an object of their own, loaded while one is taken.

use std::{collections::HashMap, num::NonZeroU32, os::fd::OwnedFd, path::Path, time::Duration};

use aya::{
    Btf, Ebpf,
    maps::{Array, MapData, RingBuf},
    programs::ProgramInfo,
    sys::{Stats, enable_stats},
};
use goroscope_ebpf_probes::trace::{TRACE, TRACE_LOSSES, TRACED, TraceLayout, TraceLosses};

use super::{
    Attachment, ProbeError, Scope, TraceRecord,
    attach::attach_one,
    calibrate, casgstatus,
    load::{self, first_uprobe},
    tasks::Tasks,
    trace_switch, trace_wakeup,
};
use crate::inspect::address::FileOffset;

/// What the programs cost, as the kernel itself has measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunTimes {
    /// Runs of the uprobe's program, and the time they took; the way into the kernel and back is
    /// not in it.
    pub uprobe: (u64, Duration),
    /// The same of the scheduler's tracepoints, at all switches and wake-ups of the host.
    pub tracepoints: (u64, Duration),
}

/// The kernel programs of a trace, loaded. Dropping it takes them out of the kernel.
pub struct Tracer {
    ebpf: Ebpf,
    btf: Btf,
    ring: RingBuf<MapData>,
    traced: Array<MapData, u32>,
    losses: Array<MapData, TraceLosses>,
    /// Losses before the trace began.
    before: TraceLosses,
    tasks: Tasks,
    /// While it is open, the kernel measures; `None` where it does not.
    stats: Option<OwnedFd>,
    /// What it had measured before: others may have it measure, too.
    measured: RunTimes,
}

impl Tracer {
    /// Loads the programs, for a runtime of this layout; nothing is attached yet.
    ///
    /// # Errors
    ///
    /// Where the kernel refuses, or has no BTF.
    pub fn load(layout: TraceLayout, ring_bytes: u32) -> Result<Self, ProbeError> {
        let (mut ebpf, btf, translated) = load::load_tracer(layout, ring_bytes)?;
        first_uprobe(&mut ebpf, &[casgstatus::PROGRAM])?;
        let missing = ProbeError::Missing;
        let mut map = |name| ebpf.take_map(name).ok_or(missing(name));
        let ring = map(TRACE)?.try_into().map_err(|_| missing(TRACE))?;
        let traced = map(TRACED)?.try_into().map_err(|_| missing(TRACED))?;
        let losses = map(TRACE_LOSSES)?.try_into().map_err(|_| missing(TRACE_LOSSES))?;
        let tasks = Tasks::new(&mut ebpf, &btf, translated)?;
        let before = TraceLosses::default();
        let measured = RunTimes::default();
        Ok(Self { ebpf, btf, ring, traced, losses, before, tasks, stats: None, measured })
    }

    /// Seconds that a hit of the uprobe costs, measured on ourselves; before anything is attached.
    ///
    /// # Errors
    ///
    /// Where the kernel does not let us.
    pub fn calibrate(&mut self) -> Result<f64, ProbeError> {
        let own = std::process::id();
        let offset = calibrate::own_offset().ok_or(ProbeError::Missing("place in its own file"))?;
        let scope = NonZeroU32::new(own).map(Scope::Process);
        let scope = scope.ok_or(ProbeError::Missing("process id"))?;
        let plain = calibrate::time_change();
        let attachment = self.attach_uprobe(Path::new("/proc/self/exe"), offset, scope)?;
        self.begin(own)?;
        let probed = calibrate::time_change();
        self.end()?;
        drop(attachment);
        self.take(&mut |_| ());
        Ok((probed - plain).max(0.0))
    }

    /// Attaches the scheduler's tracepoints, and the uprobe at this place of a file.
    ///
    /// # Errors
    ///
    /// Where the kernel refuses.
    pub fn attach(
        &mut self,
        path: &Path,
        offset: FileOffset,
        scope: Scope,
    ) -> Result<Attachment, ProbeError> {
        self.stats = enable_stats(Stats::RunTime).ok();
        trace_wakeup::attach(&mut self.ebpf, &self.btf)?;
        trace_switch::attach(&mut self.ebpf, &self.btf)?;
        self.measured = self.all_run_times().unwrap_or_default();
        self.attach_uprobe(path, offset, scope)
    }

    fn attach_uprobe(
        &mut self,
        path: &Path,
        offset: FileOffset,
        scope: Scope,
    ) -> Result<Attachment, ProbeError> {
        let (program, function) = (casgstatus::PROGRAM, casgstatus::FUNCTION);
        attach_one(&mut self.ebpf, program, function, path, offset, None, scope)
    }

    /// From now on this process's events are sent.
    ///
    /// # Errors
    ///
    /// Where the process is gone, or a table cannot be written.
    pub fn begin(&mut self, pid: u32) -> Result<(), ProbeError> {
        self.tasks.refresh(&mut self.ebpf)?;
        let tgid = self.tasks.kernel_id(pid).ok_or(ProbeError::Unseen(pid))?;
        self.before = self.read_losses()?;
        self.traced.set(0, tgid, 0).map_err(ProbeError::map(TRACED))
    }

    /// From now on no events are sent.
    ///
    /// # Errors
    ///
    /// Where a table cannot be written.
    pub fn end(&mut self) -> Result<(), ProbeError> {
        self.traced.set(0, 0, 0).map_err(ProbeError::map(TRACED))
    }

    /// Hands over what has come.
    pub fn take(&mut self, receive: &mut dyn FnMut(TraceRecord)) {
        while let Some(item) = self.ring.next() {
            if let Some(record) = TraceRecord::decode(&item) {
                receive(record);
            }
        }
    }

    /// What was lost since the begin.
    ///
    /// # Errors
    ///
    /// Where the table cannot be read.
    pub fn losses(&self) -> Result<TraceLosses, ProbeError> {
        let now = self.read_losses()?;
        Ok(TraceLosses {
            goroutines: now.goroutines.saturating_sub(self.before.goroutines),
            threads: now.threads.saturating_sub(self.before.threads),
        })
    }

    fn read_losses(&self) -> Result<TraceLosses, ProbeError> {
        self.losses.get(&0, 0).map_err(ProbeError::map(TRACE_LOSSES))
    }

    /// What the programs cost since they were attached; `None` where the kernel does not measure it.
    #[must_use]
    pub fn run_times(&self) -> Option<RunTimes> {
        let now = self.all_run_times()?;
        let since = |now: (u64, Duration), before: (u64, Duration)| {
            (now.0.saturating_sub(before.0), now.1.saturating_sub(before.1))
        };
        Some(RunTimes {
            uprobe: since(now.uprobe, self.measured.uprobe),
            tracepoints: since(now.tracepoints, self.measured.tracepoints),
        })
    }

    fn all_run_times(&self) -> Option<RunTimes> {
        self.stats.as_ref()?;
        let of = |name: &str| -> Option<(u64, Duration)> {
            let info: ProgramInfo = self.ebpf.program(name)?.info().ok()?;
            Some((info.run_count(), info.run_time()))
        };
        let [old, new] = trace_wakeup::PROGRAMS;
        let mut tracepoints = (0, Duration::ZERO);
        for name in [trace_switch::PROGRAM, old, new] {
            let (count, time) = of(name)?;
            tracepoints = (tracepoints.0 + count, tracepoints.1 + time);
        }
        Some(RunTimes { uprobe: of(casgstatus::PROGRAM)?, tracepoints })
    }

    /// The ids under which we see threads, by the kernel's own; `None` where both are the same.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    pub fn visible_ids(&mut self) -> Result<Option<HashMap<u32, u32>>, ProbeError> {
        self.tasks.refresh(&mut self.ebpf)?;
        Ok(self.tasks.visible_ids())
    }
}
