//! `cargo xtask demo`: a Go program that leaks goroutines, watched from outside.

mod observe;
mod view;

use std::{
    io::{IsTerminal as _, Write as _, stdout},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::Args;
use goroscope_tests::{
    agent::Agent,
    fixture::{self, Mode},
    requires,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};

use crate::{build, interrupt, setup};
use observe::{Observation, Observer};

/// How to show it.
#[derive(Args)]
pub(crate) struct Options {
    /// How long to watch
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

/// Sets up, builds, starts, watches, and ends what it started.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if let Err(reason) = requires::kernel() {
        anyhow::bail!("the demo watches with eBPF, which does not work here: {reason}");
    }
    interrupt::watch()?;
    build::release()?;
    setup::go(&[NEWEST])?;
    let go = Go::find(NEWEST)?;
    let program = fixture::build("leak", &go, Mode::Normal)?;
    let mut target = Speaker::start(&program, &[] as &[&str])?;
    let agent = Agent::start(&["--pid", &target.pid().to_string()])?;
    agent.wait_probed(target.pid())?;
    target.say("go")?;
    let last = watch(&agent, target.pid(), &go, Duration::from_secs(options.seconds));
    let program = target.quit();
    let ended = agent.end(rustix::process::Signal::TERM);
    let last = last?;
    program.context("the program")?;
    ended.context("the agent")?;
    match last {
        Some(seen) if seen.is_something() => {
            println!("Both have ended, nothing is left behind.");
            Ok(ExitCode::SUCCESS)
        }
        _ if interrupt::came() => Ok(ExitCode::FAILURE),
        _ => {
            eprintln!("error: the agent saw nothing of the program");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn watch(agent: &Agent, pid: u32, go: &Go, limit: Duration) -> Result<Option<Observation>> {
    let live = stdout().is_terminal();
    let pause = Duration::from_millis(if live { 500 } else { 4000 });
    let start = Instant::now();
    let mut observer = Observer::new(pid);
    let mut last = None;
    while !interrupt::came() {
        let passed = start.elapsed();
        let seen = observer.look(agent)?;
        let title = format!(
            "{go} program \"leak\" (pid {pid}), watched from outside: {} of {} s",
            passed.as_secs().min(limit.as_secs()),
            limit.as_secs()
        );
        let block = view::block(&title, &format!("http://{}/metrics", agent.address()), &seen);
        let mut out = stdout().lock();
        if live {
            // Home, and clear what was below.
            write!(out, "\x1b[H\x1b[J")?;
        }
        writeln!(out, "{block}")?;
        out.flush()?;
        drop(out);
        last = Some(seen);
        if passed >= limit {
            break;
        }
        let next = Instant::now() + pause.min(limit.saturating_sub(passed));
        while Instant::now() < next && !interrupt::came() {
            thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(last)
}
