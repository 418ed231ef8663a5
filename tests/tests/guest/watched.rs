//! A Go program in the machine, and an agent that is asked what it is: they must say the same.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    guest::Guest,
    prometheus::{self, Scrape},
    speaker::Report,
};

use crate::PATIENCE;

/// What the program says of itself at the end of its work.
pub(crate) struct Told {
    pid: String,
    pub(crate) report: Report,
}

/// The process of a unit.
pub(crate) fn pid(guest: &mut Guest, unit: &str) -> Result<String> {
    guest.sh(&format!("systemctl show --value --property MainPID {unit}.service"))
}

/// An agent there, by where it listens.
pub(crate) struct Agent {
    pub(crate) address: &'static str,
}

impl Agent {
    pub(crate) fn scrape(&self, guest: &mut Guest) -> Result<Scrape> {
        prometheus::parse(&guest.get(self.address, "/metrics")?)
    }

    /// Has the program of this unit work, which reads `/run/UNIT.words` and writes `/run/UNIT.says`:
    /// the agent tells all of it, from its runtime, by the probes and of its threads.
    pub(crate) fn counts(&self, guest: &mut Guest, unit: &str) -> Result<Told> {
        let says = format!("cat /run/{unit}.says");
        guest.until("the program is ready", PATIENCE, &says, |said| said.contains("ready"))?;
        let pid = pid(guest, unit)?;
        let labels = [("pid", pid.as_str())];
        let mut before = None;
        let begun = Instant::now();
        while before.is_none() {
            // It may not listen yet.
            let scrape = self.scrape(guest);
            ensure!(begun.elapsed() < PATIENCE, "{unit} is not watched: {:?}", scrape.err());
            let probed = |scrape: &Scrape| {
                scrape.value("goroscope_probes_attached", &labels).is_ok_and(|probes| probes > 0.0)
            };
            before = scrape.ok().filter(probed);
        }
        let before = before.context("not watched")?;
        guest.sh(&format!("echo go > /run/{unit}.words"))?;
        let said = guest
            .until("the program reports", PATIENCE, &says, |said| said.contains("num_goroutine"))?;
        let line = said.lines().last().context("it says nothing")?;
        let report: Report = serde_json::from_str(line).with_context(|| format!("{line:?}"))?;
        let told = Told { pid: pid.clone(), report };
        self.equal(guest, &told)?;
        let after = self.scrape(guest)?;
        let sites = |scrape: &Scrape, name: &str| -> u64 {
            scrape.series(name, &labels).filter_map(|sample| sample.count()).sum()
        };
        for (name, expected) in [
            ("goroscope_site_goroutines_created_total", told.report.created),
            ("goroscope_site_goroutines_exited_total", told.report.exited),
        ] {
            let seen = sites(&after, name).saturating_sub(sites(&before, name));
            ensure!(seen == expected, "the program says {expected}, the probes {seen} ({name})");
        }
        let delays = after.count("goroscope_thread_sched_delay_seconds_count", &labels)?;
        ensure!(delays > 0, "no delay of threads is told");
        let lost: u64 = after
            .series("goroscope_events_lost_total", &[])
            .filter_map(|sample| sample.count())
            .sum();
        ensure!(lost == 0, "{lost} events were lost");
        Ok(told)
    }

    /// What the agent serves of the program's runtime is what the program says.
    pub(crate) fn equal(&self, guest: &mut Guest, told: &Told) -> Result<()> {
        let labels = [("pid", told.pid.as_str())];
        let created = told.report.runtime_created_after.context("Go counts its goroutines")?;
        let wanted = [
            ("goroscope_goroutines", told.report.num_goroutine),
            ("goroscope_goroutines_created_total", created),
        ];
        let begun = Instant::now();
        loop {
            let scrape = self.scrape(guest)?;
            let seen: Vec<_> =
                wanted.iter().map(|(name, _)| scrape.count(name, &labels).ok()).collect();
            if seen.iter().zip(&wanted).all(|(seen, (_, wanted))| *seen == Some(*wanted)) {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "the program says {wanted:?}, served is {seen:?}");
        }
    }

    /// Whether the program is among those that are watched.
    pub(crate) fn lists(&self, guest: &mut Guest, pid: &str, wanted: bool) -> Result<()> {
        let begun = Instant::now();
        loop {
            let scrape = self.scrape(guest)?;
            let seen = scrape.value("goroscope_goroutines", &[("pid", pid)]).is_ok();
            if seen == wanted {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "the program is watched: {seen}");
        }
    }
}
