//! Which processes: the options of `agent`, `ps` and `top`.

use clap::Args;

use super::value::{PidValue, Text};

#[derive(Debug, Args)]
#[command(
    next_help_heading = "Which processes (all, where none is given; kinds are joined by \"or\")"
)]
pub(super) struct SelectionArgs {
    /// This process
    #[arg(
        long,
        value_name = "PID",
        value_delimiter = ',',
        env = "GOROSCOPE_PID",
        hide_env_values = true
    )]
    pub(super) pid: Vec<PidValue>,
    /// Those with such an executable: the path, * goes over slashes; without a slash, the name
    #[arg(long, value_name = "GLOB", env = "GOROSCOPE_EXE", hide_env_values = true)]
    pub(super) exe: Vec<Text>,
    /// Those in this cgroup or below it
    #[arg(long, value_name = "PREFIX", env = "GOROSCOPE_CGROUP", hide_env_values = true)]
    pub(super) cgroup: Vec<Text>,
    /// But not this process
    #[arg(
        long,
        value_name = "PID",
        value_delimiter = ',',
        env = "GOROSCOPE_EXCLUDE_PID",
        hide_env_values = true
    )]
    pub(super) exclude_pid: Vec<PidValue>,
    /// But not those with such an executable
    #[arg(long, value_name = "GLOB", env = "GOROSCOPE_EXCLUDE_EXE", hide_env_values = true)]
    pub(super) exclude_exe: Vec<Text>,
    /// But not those in this cgroup
    #[arg(long, value_name = "PREFIX", env = "GOROSCOPE_EXCLUDE_CGROUP", hide_env_values = true)]
    pub(super) exclude_cgroup: Vec<Text>,
}
