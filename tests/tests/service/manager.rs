//! What the service manager hears.

use std::{
    ffi::OsStr,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::{self, Agent},
    halted::Halted,
    http,
    service_manager::ServiceManager,
    skip_unless,
};
use rustix::process::Signal;

use super::{SOON, Stage, needs};

/// An agent that tells this address how it does, and watches the programs of the stage.
fn start(stage: &Stage, address: &OsStr, more: &[(&str, &str)]) -> Result<Agent> {
    let glob = stage.glob("*")?;
    let mut command = agent::command(&["--probes", "off", "--exe", &glob])?;
    command.env("NOTIFY_SOCKET", address).envs(more.iter().copied());
    Agent::start_command(&mut command)
}

#[test]
fn it_is_ready_when_it_knows_the_host_and_says_how_it_does_and_when_it_ends() -> Result<()> {
    const NAME: &str = "it_is_ready_when_it_knows_the_host_and_says_how_it_does_and_when_it_ends";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    let mut target = stage.program("watched")?;
    let manager = ServiceManager::start()?;
    let mut agent = start(&stage, manager.path().as_os_str(), &[])?;
    let first = manager.next(SOON)?.context("nothing heard")?;
    ensure!(first == "READY=1", "first of all: {first:?}");
    // At once, without asking a second time.
    let answer = http::get(agent.address(), "/readyz", &[])?;
    ensure!(answer.status == 200, "ready, and /readyz has status {}", answer.status);
    ensure!(agent.process(target.pid())?.is_some(), "ready, and the process is not known");
    let census = goroscope_tests::census::Census::take(&mut target)?;
    let status = manager.until("STATUS=1 process, ", SOON)?;
    ensure!(!status.is_empty() && census.num_goroutine > 1);

    agent.guard().signal(Signal::HUP)?;
    let heard = manager.until("READY=1", SOON)?;
    let reloading = heard.iter().find(|message| message.starts_with("RELOADING=1\n"));
    let micros =
        reloading.and_then(|message| message.lines().nth(1)?.strip_prefix("MONOTONIC_USEC="));
    let micros: u64 = micros.with_context(|| format!("{heard:?}"))?.parse()?;
    let uptime = std::fs::read_to_string("/proc/uptime")?;
    let seconds: f64 = uptime.split(' ').next().context("no uptime")?.parse()?;
    let ago = seconds - micros as f64 / 1e6;
    ensure!((-1.0..60.0).contains(&ago), "the reload began {ago} s ago");

    let (status, _, _) = agent.end(Signal::TERM)?;
    ensure!(status.success(), "{status}");
    manager.until("STOPPING=1", SOON).map(drop)
}

#[test]
fn the_watchdog_is_fed_as_long_as_the_engine_answers() -> Result<()> {
    const NAME: &str = "the_watchdog_is_fed_as_long_as_the_engine_answers";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    let manager = ServiceManager::start()?;
    let agent = start(&stage, manager.path().as_os_str(), &[("WATCHDOG_USEC", "900000")])?;
    manager.until("READY=1", SOON)?;
    let begun = Instant::now();
    for _ in 0..4 {
        manager.until("WATCHDOG=1", Duration::from_millis(900))?;
    }
    let took = begun.elapsed();
    ensure!(took >= Duration::from_millis(500), "four times in {took:?} is a flood");

    let halted = Halted::thread_of(agent.pid(), "engine")?;
    // What was on its way.
    while manager.next(Duration::from_millis(400))?.is_some_and(|word| word.contains("WATCHDOG")) {}
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        let heard = manager.next(Duration::from_millis(200))?.unwrap_or_default();
        ensure!(!heard.contains("WATCHDOG=1"), "fed while the engine stands still");
    }
    // The process as such is well: a watchdog that only asks it would be content.
    ensure!(
        http::get(agent.address(), "/healthz", &[])?.status == 200,
        "HTTP stands still as well"
    );
    let log = agent.log().join("\n");
    ensure!(log.contains("the engine does not answer"), "{log}");
    drop(halted);
    let heard = manager.until("WATCHDOG=1", SOON)?;
    ensure!(heard.last().is_some_and(|last| last.contains("STATUS=0 processes")), "{heard:?}");
    Ok(())
}

#[test]
fn a_watchdog_of_another_process_is_not_fed() -> Result<()> {
    const NAME: &str = "a_watchdog_of_another_process_is_not_fed";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    let manager = ServiceManager::start()?;
    let watchdog = [("WATCHDOG_USEC", "100000"), ("WATCHDOG_PID", "1")];
    let _agent = start(&stage, manager.path().as_os_str(), &watchdog)?;
    manager.until("STATUS=0 processes", SOON)?;
    let more = manager.next(Duration::from_millis(500))?;
    ensure!(more.is_none(), "{more:?}");
    Ok(())
}

#[test]
fn the_address_may_be_an_abstract_name() -> Result<()> {
    const NAME: &str = "the_address_may_be_an_abstract_name";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    let name = format!("goroscope-service-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
    socket.set_read_timeout(Some(SOON))?;
    let _agent = start(&stage, OsStr::new(&format!("@{name}")), &[])?;
    let mut buffer = [0; 100];
    let length = socket.recv(&mut buffer)?;
    ensure!(&buffer[..length] == b"READY=1", "{:?}", String::from_utf8_lossy(&buffer[..length]));
    Ok(())
}

#[test]
fn a_manager_that_is_not_there_does_no_harm() -> Result<()> {
    const NAME: &str = "a_manager_that_is_not_there_does_no_harm";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    let file = stage.path("no-socket");
    std::fs::write(&file, "")?;
    for address in [OsStr::new("/nonexistent/notify"), file.as_os_str(), OsStr::new("vsock:2:9")] {
        let agent = start(&stage, address, &[("WATCHDOG_USEC", "100000")])?;
        std::thread::sleep(Duration::from_millis(400));
        let log = agent.log();
        let said = log.iter().filter(|line| line.contains("NOTIFY_SOCKET")).count();
        ensure!(said == 1, "{address:?}: said {said} times:\n{}", log.join("\n"));
        let (status, _, _) = agent.end(Signal::TERM)?;
        ensure!(status.success(), "{address:?}: {status}");
    }
    Ok(())
}
