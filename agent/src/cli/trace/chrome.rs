//! The trace as JSON in the trace event format, which Perfetto (<https://ui.perfetto.dev>) opens.
//!
//! <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>. Three
//! "processes": goroutines, processors, threads; a track for each one of them. All slices are
//! complete events (`X`), one behind the other within a track; parts of a slice lie within it and
//! come after it.

use std::{
    collections::HashMap,
    io::{self, Write},
};

use serde_json::{Map, Value, json};

use super::report::Report;
use crate::{
    model::trace::{Doing, GoroutineSlice, ThreadState, ThreadTrack},
    show::escape::escape_json,
};

const GOROUTINES: u32 = 1;
const PROCESSORS: u32 = 2;
const THREADS: u32 = 3;
/// Goroutines whose sums are written beside the events.
const MOST_SUMS: usize = 1000;

/// Writes the whole document.
pub(super) fn write(out: &mut dyn Write, report: &Report<'_>) -> io::Result<()> {
    let mut events = Events { out, origin: report.trace.window.begin, first: true, track: 0 };
    events.out.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
    goroutines(&mut events, report)?;
    processors(&mut events, report)?;
    threads(&mut events, report)?;
    let other = other(report);
    writeln!(events.out, "\n],\"otherData\":{}}}", escape_json(&other.to_string()))
}

fn goroutines(events: &mut Events<'_>, report: &Report<'_>) -> io::Result<()> {
    events.process(GOROUTINES, &format!("goroutines of process {}", report.pid))?;
    let threads: HashMap<u32, &ThreadTrack> =
        report.trace.threads.iter().map(|track| (track.tid, track)).collect();
    for track in &report.trace.goroutines {
        let function = report.names.function(track);
        events.track(GOROUTINES, &report.goroutine(track.goid, function))?;
        for slice in &track.slices {
            let name = doing(report, slice);
            let thread = threads.get(&slice.tid).copied();
            let mut args = Map::new();
            if slice.tid != 0 {
                args.insert("thread".into(), report.thread(slice.tid).into());
            }
            if slice.processor >= 0 {
                args.insert("processor".into(), slice.processor.into());
            }
            if slice.woken_by != 0 {
                args.insert("woken by goroutine".into(), slice.woken_by.into());
            }
            let has_thread = slice.keeps_thread
                || matches!(slice.doing, Doing::Runnable | Doing::Running | Doing::Syscall);
            let parts = thread.filter(|_| has_thread);
            if let Some(thread) = parts.filter(|_| slice.doing == Doing::Runnable) {
                let waited = thread.waited(slice.start, slice.end);
                args.insert("its thread waited for a CPU, ns".into(), waited.into());
            }
            events.slice(GOROUTINES, &name, slice.start, slice.end, args)?;
            for part in parts.iter().flat_map(|thread| thread.within(slice.start, slice.end)) {
                let name = match part.state {
                    state if state.waits() => "its thread waits for a CPU",
                    ThreadState::Asleep if slice.doing != Doing::Runnable => {
                        "its thread sleeps in the kernel"
                    }
                    _ => continue,
                };
                events.slice(GOROUTINES, name, part.start, part.end, Map::new())?;
            }
        }
    }
    Ok(())
}

fn doing(report: &Report<'_>, slice: &GoroutineSlice) -> String {
    match slice.doing {
        Doing::Runnable => "runnable".to_owned(),
        Doing::Running => "running".to_owned(),
        Doing::Syscall => "syscall".to_owned(),
        Doing::Waiting(reason) => report.names.reason(reason),
        Doing::Preempted => "preempted".to_owned(),
        Doing::Unknown => "unknown (events were lost)".to_owned(),
    }
}

fn processors(events: &mut Events<'_>, report: &Report<'_>) -> io::Result<()> {
    events.process(PROCESSORS, "processors (P)")?;
    let names: HashMap<u64, &str> = report
        .trace
        .goroutines
        .iter()
        .map(|track| (track.goid, report.names.function(track)))
        .collect();
    for track in &report.trace.processors {
        events.track(PROCESSORS, &format!("P {}", track.id))?;
        for slice in &track.slices {
            let function = names.get(&slice.goid).copied().unwrap_or_default();
            let name = report.goroutine(slice.goid, function);
            let mut args = Map::new();
            args.insert("thread".into(), report.thread(slice.tid).into());
            events.slice(PROCESSORS, &name, slice.start, slice.end, args)?;
        }
    }
    Ok(())
}

fn threads(events: &mut Events<'_>, report: &Report<'_>) -> io::Result<()> {
    events.process(THREADS, "threads")?;
    for track in &report.trace.threads {
        events.track(THREADS, &format!("thread {}", report.thread(track.tid)))?;
        for slice in &track.slices {
            let mut args = Map::new();
            let name = match slice.state {
                ThreadState::OnCpu(cpu) => {
                    args.extend(cpu.map(|cpu| ("cpu".to_owned(), cpu.into())));
                    "on a CPU"
                }
                ThreadState::Woken => "waits for a CPU (woken)",
                ThreadState::Preempted => "waits for a CPU (preempted)",
                // What is nothing is not drawn.
                ThreadState::Asleep => continue,
                ThreadState::Unknown => "unknown (events were lost)",
            };
            events.slice(THREADS, name, slice.start, slice.end, args)?;
        }
    }
    Ok(())
}

/// What else is to be known of the trace; times in nanoseconds.
fn other(report: &Report<'_>) -> Value {
    let split = &report.totals.goroutines;
    let goroutines: Vec<Value> = report
        .slowest()
        .into_iter()
        .take(MOST_SUMS)
        .map(|track| {
            let split = &track.split;
            json!({
                "goid": track.goid,
                "function": report.names.function(track),
                "delay": split.delay(),
                "go_queue": split.queue,
                "thread_in_queue": split.thread_in_queue,
                "thread_while_running": split.thread_running,
                "on_cpu": split.on_cpu,
                "asleep": split.asleep,
                "waiting": split.waiting,
                "turns": split.turns,
                "longest_turn": split.longest_turn,
                "longest_run": split.longest_run,
            })
        })
        .collect();
    let run_times = report.cost.run_times.map(|times| {
        let one = |(runs, time): (u64, std::time::Duration)| json!({"runs": runs, "seconds": time.as_secs_f64()});
        json!({"uprobe": one(times.uprobe), "tracepoints": one(times.tracepoints)})
    });
    json!({
        "goroscope": env!("CARGO_PKG_VERSION"),
        "pid": report.pid.0,
        "go_version": report.go_version,
        "ended": report.ended.word(),
        "duration": report.trace.window.length(),
        "lost": {
            "goroutine_events": report.losses.goroutines,
            "thread_events": report.losses.threads,
        },
        "cost": {
            "hits": report.cost.hits,
            "seconds_per_hit": report.cost.hit,
            "seconds": report.cost.seconds(),
            "kernel": run_times,
        },
        "gomaxprocs": report.host.gomaxprocs,
        "cpus": report.host.cpus,
        "totals": {
            "go_queue": split.queue,
            "thread_in_queue": split.thread_in_queue,
            "thread_while_running": split.thread_running,
            "on_cpu": split.on_cpu,
            "threads_waited": report.totals.threads_waited,
            "processors_busy": report.totals.processors_busy,
            "unknown": report.totals.unknown,
        },
        "advice": report.advice_word(),
        "goroutines": goroutines,
    })
}

/// The list of events.
struct Events<'a> {
    out: &'a mut dyn Write,
    /// Times count from here.
    origin: u64,
    first: bool,
    /// Number of the track that is written. Each has one of its own, whatever it shows.
    track: u32,
}

impl Events<'_> {
    fn process(&mut self, pid: u32, name: &str) -> io::Result<()> {
        let args = json!({ "name": name });
        self.event(&json!({"ph": "M", "name": "process_name", "pid": pid, "args": args}))?;
        let args = json!({ "sort_index": pid });
        self.event(&json!({"ph": "M", "name": "process_sort_index", "pid": pid, "args": args}))
    }

    fn track(&mut self, pid: u32, name: &str) -> io::Result<()> {
        self.track = self.track.saturating_add(1);
        let (tid, args) = (self.track, json!({ "name": name }));
        self.event(
            &json!({"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": args}),
        )?;
        let args = json!({ "sort_index": tid });
        self.event(
            &json!({"ph": "M", "name": "thread_sort_index", "pid": pid, "tid": tid, "args": args}),
        )
    }

    fn slice(
        &mut self,
        pid: u32,
        name: &str,
        start: u64,
        end: u64,
        args: Map<String, Value>,
    ) -> io::Result<()> {
        let name = Value::from(name).to_string();
        let (at, lasts) = (start.saturating_sub(self.origin), end.saturating_sub(start));
        self.comma()?;
        // Times are in microseconds; written by hand, because a float would not keep nanoseconds.
        write!(
            self.out,
            "{{\"ph\":\"X\",\"name\":{},\"pid\":{pid},\"tid\":{},\"ts\":{}.{:03},\"dur\":{}.{:03}",
            escape_json(&name),
            self.track,
            at / 1000,
            at % 1000,
            lasts / 1000,
            lasts % 1000,
        )?;
        if !args.is_empty() {
            write!(self.out, ",\"args\":{}", Value::Object(args))?;
        }
        self.out.write_all(b"}")
    }

    fn event(&mut self, event: &Value) -> io::Result<()> {
        self.comma()?;
        self.out.write_all(escape_json(&event.to_string()).as_bytes())
    }

    fn comma(&mut self) -> io::Result<()> {
        let between: &[u8] = if self.first { b"\n" } else { b",\n" };
        self.first = false;
        self.out.write_all(between)
    }
}
