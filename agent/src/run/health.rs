//! What the agent knows of itself.

use procfs::process::Process;

use crate::model::{
    naming::LookupFailures,
    snapshot::{AgentHealth, Lost},
};

/// The agent's own use of the host; what cannot be read is zero.
pub(super) fn health(
    lost: Lost,
    lookup_failures: LookupFailures,
    seconds_per_hit: Option<f64>,
    started_at: f64,
) -> AgentHealth {
    let myself = Process::myself().ok();
    let stat = myself.as_ref().and_then(|process| process.stat().ok());
    #[expect(clippy::cast_precision_loss, reason = "2^53 ticks are a long time")]
    let cpu_seconds = stat
        .as_ref()
        .map_or(0.0, |stat| (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64);
    AgentHealth {
        lost,
        seconds_per_hit,
        cpu_seconds,
        resident_bytes: stat.map_or(0, |stat| stat.rss * procfs::page_size()),
        open_fds: myself
            .and_then(|process| process.fd_count().ok())
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or(0),
        started_at,
        lookup_failures,
    }
}
