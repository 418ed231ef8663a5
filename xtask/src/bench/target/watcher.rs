//! The ways in which a program is watched while its throughput is measured.

use std::{
    path::Path,
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use goroscope_tests::{
    agent::{Agent, PATIENCE},
    poll,
    prometheus::Scrape,
};
use rustix::process::Signal;

use super::{super::bpftrace::Bpftrace, workload::Running};

/// Prometheus is mostly configured to scrape every 15 s; this is harder.
const SCRAPE_PAUSE: Duration = Duration::from_secs(5);

/// A way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Alone,
    Default,
    Always,
    Bpftrace,
}

impl Setting {
    pub(super) const ALL: [Self; 4] = [Self::Alone, Self::Default, Self::Always, Self::Bpftrace];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Default => "the agent with default options",
            Self::Always => "the agent with `--probes always`",
            Self::Bpftrace => "bpftrace: entries of `newproc` and `goexit1`",
        }
    }
}

/// What the agent served at the end of a turn; `None` where it has no such series.
pub(super) struct Seen {
    /// `goroscope_probes_attached`
    pub(super) attached: Option<f64>,
    /// `goroscope_probe_cost_seconds_total`
    pub(super) cost: Option<f64>,
}

/// Who watches.
pub(super) enum Watcher {
    Nobody,
    Agent { agent: Agent, pid: u32 },
    Bpftrace(Bpftrace),
}

impl Watcher {
    /// Starts it, and waits until it watches.
    pub(super) fn start(setting: Setting, running: &Running) -> Result<Self> {
        let pid = running.pid();
        let exe = path_text(&running.path)?;
        match setting {
            Setting::Alone => Ok(Self::Nobody),
            Setting::Bpftrace => Bpftrace::start(&running.path, pid).map(Self::Bpftrace),
            Setting::Default => {
                let agent = Agent::start(&["--exe", exe])?;
                // Whether probes are attached by then is what the agent decides.
                poll::until("the agent watches the program", PATIENCE, || agent.process(pid))?;
                Ok(Self::Agent { agent, pid })
            }
            Setting::Always => {
                let agent = Agent::start(&["--exe", exe, "--probes", "always"])?;
                agent.wait_probed(pid)?;
                Ok(Self::Agent { agent, pid })
            }
        }
    }

    /// Runs `turn`, of this length, while the agent, if it is one, is scraped; and what it served at the end.
    pub(super) fn during<T>(
        &self,
        length: Duration,
        turn: impl FnOnce() -> Result<T>,
    ) -> Result<(T, Option<Seen>)> {
        let Self::Agent { agent, pid } = self else { return Ok((turn()?, None)) };
        let (over, end) = channel::<()>();
        let result = thread::scope(|scope| {
            let scraper = scope.spawn(move || -> Result<()> {
                while end.recv_timeout(scrape_pause(length)) == Err(RecvTimeoutError::Timeout) {
                    agent.scrape()?;
                }
                Ok(())
            });
            let result = turn();
            drop(over);
            scraper.join().map_err(|_| anyhow!("the scraper panicked"))??;
            result
        })?;
        let scrape = agent.scrape()?;
        Ok((result, Some(Seen::of(&scrape, *pid))))
    }

    /// Ends it; the program had this many births meanwhile.
    pub(super) fn end(self, born: u64) -> Result<()> {
        match self {
            Self::Nobody => Ok(()),
            Self::Agent { agent, .. } => agent.end(Signal::TERM).map(drop),
            Self::Bpftrace(bpftrace) => bpftrace.end(born),
        }
    }
}

impl Seen {
    fn of(scrape: &Scrape, pid: u32) -> Self {
        let pid = pid.to_string();
        let value = |name: &str| scrape.value(name, &[("pid", pid.as_str())]).ok();
        Self {
            attached: value("goroscope_probes_attached"),
            cost: value("goroscope_probe_cost_seconds_total"),
        }
    }
}

/// Time between two scrapes in a turn of this length: there is one in a short turn as well.
pub(super) fn scrape_pause(turn: Duration) -> Duration {
    SCRAPE_PAUSE.min(turn / 2)
}

fn path_text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
