//! All that is known at one moment: what the later stages serve and show.

use super::{
    alerting::Alerting, configuration::Configuration, exporting::Exporting, naming::LookupFailures,
    process::Process, serving::Serving,
};

/// Events and table entries that were lost, by where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Ring buffer of process events was full.
    pub events: u64,
    /// No room for a process.
    pub processes: u64,
    /// No room for a creation site.
    pub sites: u64,
    /// No room for a thread.
    pub threads: u64,
}

/// The agent about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AgentHealth {
    /// Losses since start.
    pub lost: Lost,
    /// What one uprobe hit costs the target on this host, in seconds; measured at start.
    pub seconds_per_hit: Option<f64>,
    /// CPU time the agent used, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// Start, in seconds since the Unix epoch.
    pub started_at: f64,
    /// Look-ups of names of containers that failed.
    pub lookup_failures: LookupFailures,
}

/// All that is known at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// When it was taken, in seconds since the Unix epoch.
    pub taken_at: f64,
    /// The watched processes, by pid.
    pub processes: Vec<Process>,
    /// The agent about itself.
    pub agent: AgentHealth,
    /// Most creation sites of a process that get series of their own; `None` leaves it to those
    /// who make series.
    pub top_sites: Option<usize>,
    /// What became of the agent's own alerts; `None` where it sends none.
    pub alerting: Option<Alerting>,
    /// What became of the measurements that the agent pushes; `None` where it pushes none.
    pub exporting: Option<Exporting>,
    /// What became of the agent's configuration; `None` where it has none that could be read again.
    pub configuration: Option<Configuration>,
    /// How serving over HTTP goes; `None` where nothing is served.
    pub serving: Option<Serving>,
}
