//! The agent ends when told to, leaves nothing attached, and its targets do not notice.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::Agent,
    bpf::Objects,
    fixture::{self, Mode},
    poll, requires, skip_unless,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};
use rustix::process::Signal;
use serde::Deserialize;

#[derive(Deserialize)]
struct Rounds {
    rounds: u64,
}

/// A program that checks its own results all the time.
struct Target {
    speaker: Speaker,
    rounds: u64,
}

impl Target {
    fn start() -> Result<Self> {
        let path = fixture::build("verify", &Go::find(NEWEST)?, Mode::Normal)?;
        Ok(Self { speaker: Speaker::start(&path, &[] as &[&str])?, rounds: 0 })
    }

    /// It still runs, gets on, and its results are right: it ends at the first wrong one.
    fn check(&mut self) -> Result<()> {
        poll::until("the program gets on", Duration::from_secs(10), || {
            self.speaker.say("check")?;
            let Rounds { rounds } = self.speaker.hear().context("the program broke off")?;
            let further = rounds > self.rounds;
            self.rounds = rounds;
            Ok(further.then_some(()))
        })
    }
}

fn watching(target: &Target) -> Result<(Agent, Objects)> {
    let pid = target.speaker.pid();
    // The target creates more goroutines than the budget for probes is good for.
    let agent = Agent::start(&["--pid", &pid.to_string(), "--probes", "always"])?;
    agent.wait_probed(pid)?;
    let objects = Objects::of(agent.pid())?;
    ensure!(!objects.programs.is_empty(), "the agent holds no programs");
    ensure!(!objects.maps.is_empty(), "the agent holds no maps");
    Ok((agent, objects))
}

/// The kernel frees objects a moment after the last reference to them is gone.
fn nothing_remains(objects: &Objects) -> Result<()> {
    poll::until("the kernel has let go", Duration::from_secs(3), || {
        let remaining = objects.remaining();
        ensure!(remaining.is_empty(), "still in the kernel: {remaining:?}");
        Ok(Some(()))
    })
}

fn ends_at(signal: Signal) -> Result<()> {
    let mut target = Target::start()?;
    let (agent, objects) = watching(&target)?;
    let (status, took, log) = agent.end(signal)?;
    ensure!(status.success(), "{status}: {}", log.join("\n"));
    ensure!(took < Duration::from_secs(2), "it took {took:?}");
    nothing_remains(&objects)?;
    target.check()
}

#[test]
fn sigterm_ends_it_with_everything_detached() -> Result<()> {
    skip_unless!("sigterm_ends_it_with_everything_detached", requires::kernel());
    ends_at(Signal::TERM)
}

#[test]
fn sigint_ends_it_with_everything_detached() -> Result<()> {
    skip_unless!("sigint_ends_it_with_everything_detached", requires::kernel());
    ends_at(Signal::INT)
}

#[test]
fn after_kill_9_nothing_remains_and_the_target_runs_on() -> Result<()> {
    skip_unless!("after_kill_9_nothing_remains_and_the_target_runs_on", requires::kernel());
    let mut target = Target::start()?;
    let (agent, objects) = watching(&target)?;
    agent.end(Signal::KILL)?;
    nothing_remains(&objects)?;
    target.check()
}

#[test]
fn two_hundred_rounds_under_load_do_not_disturb_the_target() -> Result<()> {
    skip_unless!("two_hundred_rounds_under_load_do_not_disturb_the_target", requires::kernel());
    let mut target = Target::start()?;
    for round in 0..200 {
        let (agent, objects) = watching(&target).with_context(|| format!("round {round}"))?;
        // Let it be hit for a while, not always for the same time.
        thread::sleep(Duration::from_millis(round % 20));
        let signal = if round % 2 == 0 { Signal::TERM } else { Signal::KILL };
        agent.end(signal)?;
        target.check().with_context(|| format!("round {round}"))?;
        if round % 50 == 49 {
            nothing_remains(&objects)?;
        }
    }
    target.speaker.quit()?;
    Ok(())
}
