//! The options of `goroscope trace`.

use std::path::PathBuf;

use clap::Args;

use super::super::value::{Interval, PidValue, Within};

/// What stands below the options.
pub(in crate::cli) const TRACE_HELP: &str = "Each change of a goroutine's status hits a uprobe, about a microsecond each (measured at the \
     start; the summary says what it came to), in this process only. It ends by itself, at Ctrl-C, \
     or when the process ends; what was recorded up to then is written.\n\n\
     A goroutine that can run is kept waiting\n  \
     in Go's run queue: no thread has taken it. GOMAXPROCS is too low, or others run for too long;\n  \
     by its thread: that has taken it, or takes it in the end, and waits for a CPU itself. The CPU \
     limit is too low, or neighbours use the CPUs.\n\n\
     Examples:\n  \
     goroscope trace 4242\n  \
     goroscope trace 4242 --duration 5s -o trace.json    (opens in https://ui.perfetto.dev)\n  \
     goroscope trace 4242 --duration 30s --buffer-mib 64 --max-events 10000000 -o trace.json";

#[derive(Debug, Args)]
#[command(next_help_heading = "The trace")]
pub(in crate::cli) struct TraceArgs {
    /// The process
    #[arg(value_name = "PID")]
    pub(in crate::cli) pid: PidValue,
    /// How long to record; Ctrl-C ends it before [default: 5s]
    #[arg(short, long, value_name = "TIME", env = "GOROSCOPE_DURATION", hide_env_values = true)]
    pub(in crate::cli) duration: Option<Interval>,
    /// Write the events to this file, for Perfetto (ui.perfetto.dev) [default: only the summary]
    // Without a variable: that of this name is the form of the other commands' output.
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// Goroutines in the summary, those first that were kept waiting the longest [default: 10]
    #[arg(long, value_name = "N", env = "GOROSCOPE_TOP", hide_env_values = true)]
    pub(in crate::cli) top: Option<Within<0, 10_000>>,
    /// Size of the kernel's buffer for events that were not fetched yet; what does not fit is lost
    /// and counted [default: 16]
    #[arg(long, value_name = "MIB", env = "GOROSCOPE_BUFFER_MIB", hide_env_values = true)]
    pub(in crate::cli) buffer_mib: Option<Within<1, 1024>>,
    /// End when so many events have come; a million takes 56 MB of memory, and some 100 MB as a
    /// file [default: 2000000]
    #[arg(long, value_name = "N", env = "GOROSCOPE_MAX_EVENTS", hide_env_values = true)]
    pub(in crate::cli) max_events: Option<Within<1, 100_000_000>>,
}
