//! The options of `goroscope trace`.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use crate::cli::{
    config::one,
    value::{Interval, PidValue, Text, Within},
};

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
    #[arg(
        short,
        long,
        value_name = "TIME",
        env = "GOROSCOPE_TRACE_DURATION",
        hide_env_values = true
    )]
    pub(in crate::cli) duration: Option<Interval>,
    /// Write the events to this file, for Perfetto (ui.perfetto.dev) [default: only the summary]
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "GOROSCOPE_TRACE_OUTPUT",
        hide_env_values = true
    )]
    pub(in crate::cli) output: Option<PathBuf>,
    /// Goroutines in the summary, those first that were kept waiting the longest [default: 10]
    #[arg(long, value_name = "N", env = "GOROSCOPE_TRACE_TOP", hide_env_values = true)]
    pub(in crate::cli) top: Option<Top>,
    /// Size of the kernel's buffer for events that were not fetched yet; what does not fit is lost
    /// and counted [default: 16]
    #[arg(long, value_name = "MIB", env = "GOROSCOPE_TRACE_BUFFER_MIB", hide_env_values = true)]
    pub(in crate::cli) buffer_mib: Option<BufferMib>,
    /// End when so many events have come; a million takes 56 MB of memory, and some 100 MB as a
    /// file [default: 2000000]
    #[arg(long, value_name = "N", env = "GOROSCOPE_TRACE_MAX_EVENTS", hide_env_values = true)]
    pub(in crate::cli) max_events: Option<MaxEvents>,
}

type Top = Within<0, 10_000>;
type BufferMib = Within<1, 1024>;
type MaxEvents = Within<1, 100_000_000>;

/// The key `trace` of the configuration file.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::cli) struct TraceConfig {
    #[serde(deserialize_with = "one")]
    duration: Option<Interval>,
    #[serde(deserialize_with = "one")]
    output: Option<Text>,
    #[serde(deserialize_with = "one")]
    top: Option<Top>,
    #[serde(deserialize_with = "one")]
    buffer_mib: Option<BufferMib>,
    #[serde(deserialize_with = "one")]
    max_events: Option<MaxEvents>,
}

impl TraceArgs {
    /// What neither the line nor the environment says is as the file has it.
    pub(in crate::cli) fn or(self, config: TraceConfig) -> Self {
        Self {
            pid: self.pid,
            duration: self.duration.or(config.duration),
            output: self.output.or(config.output.map(|text| text.0.into())),
            top: self.top.or(config.top),
            buffer_mib: self.buffer_mib.or(config.buffer_mib),
            max_events: self.max_events.or(config.max_events),
        }
    }
}
