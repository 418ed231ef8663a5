//! What the daemon is told.

use std::time::Duration;

use crate::{
    discover::selection::Selection, names::settings::NamesSettings,
    notify::settings::NotifySettings, otlp::settings::OtlpSettings, probe::Limits,
    serve::gate::GateSettings,
};

/// Whether uprobes are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbesMode {
    /// Where that is possible, and as long as they cost no more than the budget; where not, the
    /// reason is shown.
    Auto,
    /// Whatever they cost; the agent refuses to start where that is not possible.
    Always,
    /// Never.
    Off,
}

/// What the daemon is told.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// Which processes are watched.
    pub selection: Selection,
    /// Where HTTP is served: `HOST:PORT`, or `unix:PATH`.
    pub listen: Vec<String>,
    /// Whether uprobes are attached.
    pub probes: ProbesMode,
    /// What the host is called in what is pushed; `None` for the name it has itself.
    pub node_name: Option<String>,
    /// Most creation sites of a process that get series of their own.
    pub top_sites: usize,
    /// Sizes of the kernel's tables.
    pub limits: Limits,
    /// Time between two looks at all processes.
    pub scan_interval: Duration,
    /// Share of one core that looking at goroutines may take; 0.01 is 1 %.
    pub goroutine_scan_budget: f64,
    /// Share of one core that the probes may cost a process, with [`ProbesMode::Auto`].
    pub probe_budget: f64,
    /// Whether stacks of goroutines are given out over HTTP.
    pub http_dumps: bool,
    /// Where names of containers are looked up.
    pub names: NamesSettings,
    /// Who is answered.
    pub gate: GateSettings,
    /// What is told of whom; `None` where nobody is.
    pub notify: Option<NotifySettings>,
    /// What is pushed where; `None` where nothing is.
    pub otlp: Option<OtlpSettings>,
    /// The kernel programs tell what they do.
    pub kernel_diagnostics: bool,
}
