//! The run-queue delay is the kernel's own, and the switch counts are, too.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    affinity::Pinned,
    agent::Agent,
    fixture::{self, Mode},
    poll, proc, requires, skip_unless,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};
use serde_json::Value;

/// One test at a time: they all use the same CPU.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A fixture with four threads, and an agent that watches it.
struct Watched {
    target: Speaker,
    agent: Agent,
    pid: String,
}

/// What the agent has counted, and the kernel.
#[derive(Clone, Copy, Debug)]
struct Delays {
    /// Sum of the histogram, in seconds.
    histogram: f64,
    /// `schedstat`, in seconds.
    kernel: f64,
}

impl Watched {
    /// The fixture may run on one CPU only.
    fn start() -> Result<Self> {
        let path = fixture::build("spin", &Go::find(NEWEST)?, Mode::Normal)?;
        let target = {
            let _pinned = Pinned::to_one_cpu()?;
            Speaker::start(&path, &[] as &[&str])?
        };
        let pid = target.pid().to_string();
        let agent = Agent::start(&["--pid", &pid])?;
        agent.wait_probed(target.pid())?;
        Ok(Self { target, agent, pid })
    }

    fn delays(&self) -> Result<Delays> {
        let scrape = self.agent.scrape()?;
        let kernel = Duration::from_nanos(proc::run_delay(self.target.pid())?).as_secs_f64();
        let labels = [("pid", self.pid.as_str())];
        let histogram = scrape.value("goroscope_thread_sched_delay_seconds_sum", &labels)?;
        Ok(Delays { histogram, kernel })
    }

    /// Delays added in `time`, by the histogram and by the kernel, in seconds.
    fn added(&self, time: Duration) -> Result<Delays> {
        let before = self.delays()?;
        thread::sleep(time);
        let after = self.delays()?;
        Ok(Delays {
            histogram: after.histogram - before.histogram,
            kernel: after.kernel - before.kernel,
        })
    }

    /// Switches by the agent and by the kernel, at a moment when nothing moved.
    fn switches(&self) -> Result<((u64, u64), (u64, u64))> {
        poll::until("the threads rest", Duration::from_secs(20), || {
            let before = proc::switches(self.target.pid())?;
            let scrape = self.agent.scrape()?;
            let after = proc::switches(self.target.pid())?;
            let count = |kind| {
                let labels = [("pid", self.pid.as_str()), ("kind", kind)];
                scrape.count("goroscope_thread_switches_total", &labels)
            };
            let own = (count("voluntary")?, count("preempted")?);
            Ok((before == after).then_some((own, after)))
        })
    }
}

#[test]
fn four_busy_threads_on_one_core_wait_as_long_as_the_kernel_says() -> Result<()> {
    skip_unless!(
        "four_busy_threads_on_one_core_wait_as_long_as_the_kernel_says",
        requires::kernel()
    );
    let _alone = alone();
    let mut watched = Watched::start()?;
    watched.target.say("busy")?;
    let _: Value = watched.target.hear()?;
    // All four have been switched once, and are known.
    thread::sleep(Duration::from_millis(500));
    let Delays { histogram, kernel } = watched.added(Duration::from_secs(10))?;
    // Four threads share one core: at any time three wait.
    ensure!(kernel > 20.0, "the kernel saw only {kernel} s of delay in ten seconds");
    let off = (histogram - kernel).abs() / kernel;
    println!("histogram {histogram:.3} s, schedstat {kernel:.3} s, {:.2} % apart", off * 100.0);
    ensure!(off < 0.05, "histogram {histogram} s, schedstat {kernel} s: {} % apart", off * 100.0);
    watched.target.say("stop")?;
    Ok(())
}

#[test]
fn an_idle_program_shows_no_delay() -> Result<()> {
    skip_unless!("an_idle_program_shows_no_delay", requires::kernel());
    let _alone = alone();
    let watched = Watched::start()?;
    let Delays { histogram, kernel } = watched.added(Duration::from_secs(3))?;
    println!("histogram {histogram:.6} s, schedstat {kernel:.6} s");
    ensure!(histogram < 0.05, "{histogram} s of delay in three idle seconds");
    ensure!((histogram - kernel).abs() < 0.005, "histogram {histogram} s, schedstat {kernel} s");
    Ok(())
}

#[test]
fn switches_are_those_the_kernel_counts() -> Result<()> {
    skip_unless!("switches_are_those_the_kernel_counts", requires::kernel());
    let _alone = alone();
    let mut watched = Watched::start()?;
    let (own_before, kernel_before) = watched.switches()?;
    watched.target.say("switch")?;
    let _: Value = watched.target.hear()?;
    let start = Instant::now();
    watched.target.say("done?")?;
    let _: Value = watched.target.hear()?;
    let (own, kernel) = watched.switches().context("after the work")?;
    let own = (own.0 - own_before.0, own.1 - own_before.1);
    let kernel = (kernel.0 - kernel_before.0, kernel.1 - kernel_before.1);
    println!("in {:?}: probes {own:?}, kernel {kernel:?}", start.elapsed());
    ensure!(kernel.0 > 1000, "the work made only {kernel:?} switches");
    ensure!(own == kernel, "voluntary and not: probes {own:?}, kernel {kernel:?}");
    Ok(())
}
