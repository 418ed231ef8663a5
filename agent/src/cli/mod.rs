//! The commands.

use std::{process::ExitCode, time::Duration};

use clap::Parser;

use crate::{
    discover::selection::{Criteria, Selection},
    probe::Limits,
    run::settings::{AgentSettings, ProbesMode},
};

#[derive(Parser)]
enum Command {
    Agent {
        #[arg(long)]
        pid: Vec<u32>,
        #[arg(long)]
        exe: Vec<String>,
        #[arg(long)]
        cgroup: Vec<String>,
        #[arg(long, default_value = "127.0.0.1:4676")]
        listen: Vec<String>,
        #[arg(long)]
        log_format: Option<String>,
        #[arg(short, action = clap::ArgAction::Count)]
        v: u8,
    },
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let Command::Agent { pid, exe, cgroup, listen, log_format, v } = Command::parse();
    let level = [tracing::Level::INFO, tracing::Level::DEBUG, tracing::Level::TRACE]
        .into_iter()
        .nth(v.into())
        .unwrap_or(tracing::Level::TRACE);
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    if log_format.as_deref() == Some("json") {
        log.json().init()
    } else {
        log.init()
    }
    let criteria = Criteria { pids: pid, exes: exe, cgroups: cgroup };
    let Ok(selection) = Selection::new(&criteria, &Criteria::default()) else {
        return ExitCode::from(2);
    };
    let settings = AgentSettings {
        selection,
        listen,
        probes: ProbesMode::Auto,
        top_sites: 50,
        limits: Limits::default(),
        scan_interval: Duration::from_secs(10),
        kernel_diagnostics: v > 1,
    };
    match crate::run::agent(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
