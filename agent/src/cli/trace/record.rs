//! Takes the trace: attaches, collects for a while, lets go.

use std::{
    collections::HashMap,
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use goroscope_ebpf_probes::trace::TraceLosses;
use rustix::time::{ClockId, clock_gettime};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

use super::{TraceSettings, refused, target::Target};
use crate::{
    discover::proc_fs::ProcFs,
    model::trace::Window,
    probe::{ProbeError, RunTimes, TraceRecord, Tracer},
};

/// The ring is emptied so often.
const PAUSE: Duration = Duration::from_millis(5);
/// Whether the process is still there is asked so often.
const ALIVE: Duration = Duration::from_millis(50);
/// The progress is shown so often, on a terminal.
const PROGRESS: Duration = Duration::from_secs(1);

/// Why a trace ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Its time was over.
    InTime,
    /// The user had seen enough.
    Interrupted,
    /// The process ended.
    Gone,
    /// As many events had come as are kept.
    Full,
}

/// What was recorded.
pub(super) struct Recording {
    pub(super) records: Vec<TraceRecord>,
    pub(super) window: Window,
    pub(super) ended: Ended,
    pub(super) losses: TraceLosses,
    pub(super) run_times: Option<RunTimes>,
    /// Ids of threads as we see them, by the kernel's own; `None` where both are the same.
    pub(super) threads: Option<HashMap<u32, u32>>,
}

pub(super) fn record(
    tracer: &mut Tracer,
    procfs: &ProcFs,
    target: &Target,
    settings: &TraceSettings,
) -> anyhow::Result<Recording> {
    let wrong = |error: ProbeError| refused(&error);
    let attached =
        tracer.attach(&target.exe, target.point.offset, target.scope()).map_err(wrong)?;
    let before = tracer.visible_ids().map_err(wrong)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut interrupts = Interrupts::heed(&runtime)?;
    let mut records = Vec::new();
    let begin = now();
    tracer.begin(target.id.pid.0).map_err(wrong)?;
    tracing::debug!(pid = target.id.pid.0, "recording");
    let ended =
        runtime.block_on(collect(tracer, procfs, target, settings, &mut interrupts, &mut records));
    let mut end = now();
    tracer.end().map_err(wrong)?;
    let ended = ended?;
    let run_times = tracer.run_times();
    if ended == Ended::Full {
        // What came after the last is not known.
        end = records.iter().map(TraceRecord::at).max().unwrap_or(end);
        tracer.take(&mut |_| ());
    } else {
        tracer.take(&mut |record| records.push(record));
    }
    drop(attached);
    let losses = tracer.losses().map_err(wrong)?;
    let after = tracer.visible_ids().map_err(wrong)?;
    let threads = after.map(|after| before.into_iter().flatten().chain(after).collect());
    Ok(Recording { records, window: Window { begin, end }, ended, losses, run_times, threads })
}

/// The signals that end a recording, and keep what it has.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// From now on. Before the recording begins: once it is said to have begun, no signal may lose
    /// what it has.
    fn heed(runtime: &Runtime) -> io::Result<Self> {
        let _within = runtime.enter();
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn one(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

async fn collect(
    tracer: &mut Tracer,
    procfs: &ProcFs,
    target: &Target,
    settings: &TraceSettings,
    interrupts: &mut Interrupts,
    records: &mut Vec<TraceRecord>,
) -> anyhow::Result<Ended> {
    let began = Instant::now();
    let deadline = began + settings.duration;
    let mut look = began;
    let mut progress = Progress { again: began + PROGRESS, shown: false };
    loop {
        let mut dropped = false;
        tracer.take(&mut |record| {
            if records.len() < settings.max_events {
                records.push(record);
            } else {
                dropped = true;
            }
        });
        let now = Instant::now();
        if dropped {
            return Ok(Ended::Full);
        }
        if now >= deadline {
            return Ok(Ended::InTime);
        }
        if now >= look {
            if procfs.is_gone(target.id) {
                return Ok(Ended::Gone);
            }
            look = now + ALIVE;
        }
        progress.show(began.elapsed(), settings.duration, records.len());
        tokio::select! {
            () = tokio::time::sleep_until((now + PAUSE).min(deadline).into()) => {}
            () = interrupts.one() => return Ok(Ended::Interrupted),
        }
    }
}

/// The clock that the kernel's side reads: nanoseconds of `CLOCK_MONOTONIC`.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanos.unwrap_or(0))
}

/// A line on the terminal that says how far it is.
struct Progress {
    again: Instant,
    shown: bool,
}

impl Progress {
    fn show(&mut self, elapsed: Duration, lasting: Duration, events: usize) {
        if self.again > Instant::now() || !io::stderr().is_terminal() {
            return;
        }
        self.again = Instant::now() + PROGRESS;
        self.shown = true;
        let (elapsed, lasting) = (elapsed.as_secs(), lasting.as_secs());
        // Where there is no stderr there is nobody to tell.
        let _ = write!(
            io::stderr().lock(),
            "\rtracing: {elapsed} of {lasting} s, {events} events; Ctrl-C ends it\x1b[K"
        );
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}
