//! What a trace says on the terminal.

use std::{collections::HashMap, fmt::Write as _, path::Path, time::Duration};

use goroscope_ebpf_probes::trace::TraceLosses;

use super::{cost::Cost, names::Names, record::Ended};
use crate::{
    discover::identity::Pid,
    model::trace::{Advice, GoroutineTrack, Host, Totals, Trace},
    show::{
        escape::{NAME_LIMIT, PATH_LIMIT, escape},
        table::{Align, Table},
    },
};

/// All that is known in the end.
pub(super) struct Report<'a> {
    pub(super) pid: Pid,
    pub(super) go_version: &'a str,
    pub(super) trace: &'a Trace,
    pub(super) totals: Totals,
    pub(super) advice: Advice,
    pub(super) host: Host,
    pub(super) cost: Cost,
    pub(super) losses: TraceLosses,
    pub(super) ended: Ended,
    pub(super) names: &'a Names,
    /// Ids of threads as we see them, by the kernel's own; `None` where both are the same.
    pub(super) threads: &'a Option<HashMap<u32, u32>>,
    /// Goroutines in the table.
    pub(super) top: usize,
    pub(super) output: Option<&'a Path>,
}

impl Ended {
    /// In a word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::InTime => "in time",
            Self::Interrupted => "interrupted",
            Self::Gone => "process ended",
            Self::Full => "full",
        }
    }
}

impl Report<'_> {
    /// A goroutine's name.
    pub(super) fn goroutine(&self, goid: u64, function: &str) -> String {
        let number = if goid == 0 { "?".to_owned() } else { goid.to_string() };
        format!("goroutine {number} {function}").trim_end().to_owned()
    }

    /// The id of a thread as we see it.
    pub(super) fn thread(&self, tid: u32) -> u32 {
        self.threads.as_ref().and_then(|ids| ids.get(&tid)).copied().unwrap_or(tid)
    }

    /// Goroutines that were kept waiting, the longest first.
    pub(super) fn slowest(&self) -> Vec<&GoroutineTrack> {
        let mut tracks: Vec<_> =
            self.trace.goroutines.iter().filter(|track| track.split.delay() > 0).collect();
        tracks.sort_by_key(|track| std::cmp::Reverse(track.split.delay()));
        tracks
    }

    /// The advice in a word.
    pub(super) fn advice_word(&self) -> &'static str {
        match self.advice {
            Advice::Nothing => "nothing",
            Advice::RaiseGomaxprocs => "raise GOMAXPROCS",
            Advice::MoreCpu => "more CPU",
            Advice::FixCode => "fix the code",
            Advice::Scheduler => "scheduler",
        }
    }

    fn advice_text(&self) -> String {
        let Host { gomaxprocs, cpus } = self.host;
        match self.advice {
            Advice::Nothing => "No goroutine was kept waiting for long.".to_owned(),
            Advice::RaiseGomaxprocs => format!(
                "Most of it was in Go's run queue, with all processors busy: GOMAXPROCS is \
                 {gomaxprocs}, the process may use {cpus} CPUs. Raise GOMAXPROCS."
            ),
            Advice::MoreCpu => format!(
                "Most of it was threads waiting for a CPU (GOMAXPROCS {gomaxprocs}, {cpus} CPUs \
                 allowed): raise the CPU limit, widen the affinity, or look for neighbours that use \
                 the CPUs."
            ),
            Advice::FixCode => format!(
                "Most of it was in Go's run queue, with all processors busy and GOMAXPROCS \
                 ({gomaxprocs}) at the CPUs allowed ({cpus}): the code has more work than CPUs. \
                 Make the turns shorter or the work less; the longest run was {}.",
                span(self.totals.goroutines.longest_run)
            ),
            Advice::Scheduler => {
                "Most of it was in Go's run queue while processors were not busy: \
                 goroutines wait for a thread to be woken. Many short hand-overs do that; fewer, \
                 larger pieces of work help."
                    .to_owned()
            }
        }
    }
}

/// The whole summary.
pub(super) fn text(report: &Report<'_>, width: Option<usize>) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = head(&mut text, report);
    let slowest = report.slowest();
    if !slowest.is_empty() && report.top > 0 {
        let shown = slowest.len().min(report.top);
        let _ =
            writeln!(text, "\nGoroutines that were kept waiting ({shown} of {}):", slowest.len());
        text.push_str(&table(report, &slowest).render(width));
    }
    let _ = writeln!(text, "\n{}", report.advice_text());
    let _ = tail(&mut text, report);
    text
}

fn head(text: &mut String, report: &Report<'_>) -> std::fmt::Result {
    let Totals { goroutines: split, threads_waited, processors_busy, unknown } = report.totals;
    let lasted = report.trace.window.length();
    write!(
        text,
        "process {} ({}), traced for {}",
        report.pid,
        escape(report.go_version, NAME_LIMIT),
        span(lasted)
    )?;
    match report.ended {
        Ended::InTime => writeln!(text)?,
        Ended::Interrupted => writeln!(text, ", until it was interrupted")?,
        Ended::Gone => writeln!(text, ", until the process ended")?,
        Ended::Full => {
            writeln!(text, ", until as many events had come as are kept (--max-events)")?
        }
    }
    let tracks = report.trace.goroutines.len();
    writeln!(text, "{tracks} goroutines did something, {} threads", report.trace.threads.len())?;
    writeln!(
        text,
        "\nGoroutines that could run were kept waiting for {} in all:",
        span(split.delay())
    )?;
    let line = |what: &str, time: u64| format!("  {:<50} {:>10}", what, span(time));
    writeln!(text, "{}", line("waited in Go's run queue", split.queue))?;
    writeln!(text, "{}", line("their thread waited for a CPU", split.thread()))?;
    writeln!(text, "{}", line("    before they ran", split.thread_in_queue))?;
    writeln!(text, "{}", line("    while they ran", split.thread_running))?;
    writeln!(text, "They ran on CPUs for {}.", span(split.on_cpu))?;
    let other = threads_waited.saturating_sub(split.thread());
    if other > lasted / 100 {
        writeln!(
            text,
            "Threads waited for a CPU for {} in all, also where no goroutine was runnable yet (woken \
             for timers or the network) or where they had none.",
            span(threads_waited)
        )?;
    }
    if report.host.gomaxprocs > 0 && lasted > 0 {
        let room = lasted.saturating_mul(report.host.gomaxprocs);
        writeln!(
            text,
            "Processors ran goroutines {} % of the time (GOMAXPROCS {}, {} CPUs allowed).",
            processors_busy.saturating_mul(100) / room.max(1),
            report.host.gomaxprocs,
            report.host.cpus
        )?;
    }
    let TraceLosses { goroutines, threads } = report.losses;
    if goroutines > 0 || threads > 0 {
        writeln!(
            text,
            "LOST: {goroutines} events of goroutines and {threads} of threads did not fit into the \
             ring buffer (--buffer-mib); {} of goroutines' time is unknown, and in none of the sums.",
            span(unknown)
        )?;
    }
    Ok(())
}

fn table(report: &Report<'_>, slowest: &[&GoroutineTrack]) -> Table {
    let mut table = Table::new(&[
        ("GOROUTINE", Align::Right),
        ("KEPT WAITING", Align::Right),
        ("GO'S QUEUE", Align::Right),
        ("THREAD FOR CPU", Align::Right),
        ("TURNS", Align::Right),
        ("LONGEST", Align::Right),
        ("ON CPU", Align::Right),
        ("FUNCTION", Align::Left),
    ]);
    for track in slowest.iter().take(report.top) {
        let split = &track.split;
        table.row(vec![
            track.goid.to_string(),
            span(split.delay()),
            span(split.queue),
            span(split.thread()),
            split.turns.to_string(),
            span(split.longest_turn),
            span(split.on_cpu),
            report.names.function(track).to_owned(),
        ]);
    }
    table
}

fn tail(text: &mut String, report: &Report<'_>) -> std::fmt::Result {
    let cost = &report.cost;
    let micros = cost.hit * 1e6;
    writeln!(
        text,
        "What the trace cost the process: {} {}, {:.2} % of a core ({} hits of {micros:.2} µs).",
        if cost.at_least { "at least" } else { "about" },
        seconds(cost.seconds()),
        cost.share * 100.0,
        cost.hits,
    )?;
    if let Some(times) = cost.run_times {
        writeln!(
            text,
            "By the kernel's account the programs ran for {} at those hits, and for {} at {} switches \
             and wake-ups of the whole host.",
            seconds(times.uprobe.1.as_secs_f64()),
            seconds(times.tracepoints.1.as_secs_f64()),
            times.tracepoints.0,
        )?;
    }
    if let Some(path) = report.output {
        let path = escape(&path.display().to_string(), PATH_LIMIT);
        writeln!(text, "{path} opens in https://ui.perfetto.dev")?;
    }
    Ok(())
}

fn seconds(seconds: f64) -> String {
    let time = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    span(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// Nanoseconds with three digits or so.
fn span(nanos: u64) -> String {
    let (unit, name) = match nanos {
        0 => return "0".to_owned(),
        1..1_000 => return format!("{nanos} ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let (whole, rest) = (nanos / unit, nanos % unit);
    match whole {
        ..10 => format!("{whole}.{:02} {name}", rest * 100 / unit),
        10..100 => format!("{whole}.{} {name}", rest * 10 / unit),
        _ => format!("{whole} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (nanos, text) in [
            (0, "0"),
            (999, "999 ns"),
            (1_234, "1.23 µs"),
            (56_780, "56.7 µs"),
            (345_678_901, "345 ms"),
            (12_345_678_901, "12.3 s"),
        ] {
            assert_eq!(span(nanos), text);
        }
        assert_eq!(seconds(0.0015), "1.50 ms");
        assert_eq!(seconds(f64::NAN), "0");
    }
}
