//! What the daemon is told.
use crate::{discover::selection::Selection, probe::Limits};
use std::time::Duration;
/// Whether uprobes are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbesMode {
    /// a
    Auto,
    /// b
    Always,
    /// c
    Off,
}
/// Settings.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// s
    pub selection: Selection,
    /// l
    pub listen: Vec<String>,
    /// p
    pub probes: ProbesMode,
    /// t
    pub top_sites: usize,
    /// m
    pub limits: Limits,
    /// i
    pub scan_interval: Duration,
    /// Whether diagnostics
    pub kernel_diagnostics: bool,
}
