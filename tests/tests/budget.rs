//! The probes cost a process no more than their budget: in a storm they are taken off, of that
//! process alone; they come back when it is over; the totals are exact throughout.

use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::Agent,
    fixture::{self, Mode},
    poll, requires,
    sites::Sum,
    skip_unless,
    speaker::{Report, Speaker},
    toolchain::{Go, NEWEST},
};

/// Long enough for the pause, the payback, and a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn ready() -> Result<(), String> {
    requires::kernel().and_then(|()| requires::go(NEWEST))
}

fn program(folder: &tempfile::TempDir) -> Result<String> {
    let built = fixture::build("waves", &Go::find(NEWEST)?, Mode::Normal)?;
    let path = folder.path().join("waves");
    fs::copy(&built, &path).context("copying the fixture")?;
    Ok(path.to_str().context("a path that is not UTF-8")?.to_owned())
}

fn start(path: &str) -> Result<Speaker> {
    Speaker::start(path.as_ref(), &[] as &[&str])
}

/// What is said of one process.
struct View<'a> {
    agent: &'a Agent,
    pid: u32,
}

impl View<'_> {
    fn value(&self, name: &str) -> Result<f64> {
        self.agent.scrape()?.value(name, &[("pid", &self.pid.to_string())])
    }

    fn attached(&self) -> Result<bool> {
        Ok(self.value("goroscope_probes_attached")? > 0.0)
    }

    fn wait_attached(&self, wanted: bool) -> Result<()> {
        let what = if wanted { "back" } else { "off" };
        poll::until(&format!("the probes of {} are {what}", self.pid), PATIENCE, || {
            Ok((self.attached()? == wanted).then_some(()))
        })
        .with_context(|| self.agent.log().join("\n"))
    }

    /// The runtime's totals, and no drift of the probes from them.
    fn is_exact(&self, report: &Report) -> Result<()> {
        let pid = self.pid.to_string();
        let scrape = self.agent.scrape()?;
        let of_pid = [("pid", pid.as_str())];
        let live = scrape.count("goroscope_goroutines", &of_pid)?;
        ensure!(live == report.num_goroutine, "{live} live, it says {}", report.num_goroutine);
        let created = scrape.count("goroscope_goroutines_created_total", &of_pid)?;
        let own = report.runtime_created_after.context("the newest Go counts creations")?;
        ensure!(created == own, "{created} created, it says {own}");
        for event in ["created", "exited"] {
            let labels = [("pid", pid.as_str()), ("event", event)];
            let drift = scrape.value("goroscope_count_drift_goroutines", &labels)?;
            ensure!(drift == 0.0, "drift of {event}: {drift}");
        }
        Ok(())
    }
}

/// Counted by the probes, without the runtime's own.
fn probed(agent: &Agent, pid: u32) -> Result<Sum> {
    Ok(Sum::of(&agent.sites(pid)?, |site| !site.system))
}

/// Lets it come to rest, and go on when `look` has looked.
fn at_rest<T>(target: &mut Speaker, look: impl FnOnce(&Report) -> Result<T>) -> Result<T> {
    target.say("report")?;
    let report: Report = target.hear()?;
    let seen = look(&report)?;
    target.say("on")?;
    Ok(seen)
}

#[test]
fn a_storm_ends_the_probes_of_one_process_only_and_totals_stay_exact() -> Result<()> {
    skip_unless!("a_storm_ends_the_probes_of_one_process_only_and_totals_stay_exact", ready());
    let folder = tempfile::tempdir()?;
    let path = program(&folder)?;
    let mut stormy = start(&path)?;
    let mut calm = start(&path)?;
    let agent = Agent::start(&["--exe", &path])?;
    agent.wait_probed(stormy.pid())?;
    agent.wait_probed(calm.pid())?;
    let storm_view = View { agent: &agent, pid: stormy.pid() };
    let calm_view = View { agent: &agent, pid: calm.pid() };
    let calm_before =
        at_rest(&mut calm, |report| Ok((report.created, probed(&agent, calm_view.pid)?)))?;

    stormy.say("storm")?;
    storm_view.wait_attached(false)?;
    let watch = agent.process(stormy.pid())?.context("it is not watched any more")?.watch;
    ensure!(watch.probes.contains("--probe-budget"), "no reason: {watch:?}");
    ensure!(watch.runtime == "ok", "{watch:?}");
    // The other one is probed all the time; a process that starts meanwhile is probed as well.
    ensure!(calm_view.attached()?, "the calm process lost its probes too");
    let mut late = start(&path)?;
    agent.wait_probed(late.pid())?;
    thread::sleep(Duration::from_secs(2));
    // What the storm costs: what was saved in 5 s of 1 % of a core, and what it was hit with until
    // the probes were off.
    let cost = storm_view.value("goroscope_probe_cost_seconds_total")?;
    ensure!(cost < 1.0, "the storm cost {cost} s");
    ensure!(!storm_view.attached()?, "the probes are back in the storm");
    at_rest(&mut stormy, |report| storm_view.is_exact(report))?;

    stormy.say("calm")?;
    storm_view.wait_attached(true)?;
    let gaps = storm_view.value("goroscope_probe_gaps_total")?;
    ensure!(gaps == 1.0, "{gaps} gaps");
    let gap = storm_view.value("goroscope_probe_gap_seconds_total")?;
    ensure!(gap >= 5.0, "a gap of {gap} s");
    // From here on all are counted again, and those of the others always were.
    let before =
        at_rest(&mut stormy, |report| Ok((report.created, probed(&agent, storm_view.pid)?)))?;
    thread::sleep(Duration::from_secs(2));
    at_rest(&mut stormy, |report| {
        storm_view.is_exact(report)?;
        let grown = probed(&agent, storm_view.pid)?.since(before.1);
        let expected = report.created - before.0;
        ensure!(
            expected > 0 && grown == Sum { created: expected, exited: expected },
            "{grown:?}, {expected}"
        );
        Ok(())
    })?;
    at_rest(&mut calm, |report| {
        calm_view.is_exact(report)?;
        let grown = probed(&agent, calm_view.pid)?.since(calm_before.1);
        let expected = report.created - calm_before.0;
        ensure!(
            expected > 0 && grown == Sum { created: expected, exited: expected },
            "{grown:?}, {expected}"
        );
        Ok(())
    })?;
    let late_view = View { agent: &agent, pid: late.pid() };
    at_rest(&mut late, |report| late_view.is_exact(report))?;
    for target in [stormy, calm, late] {
        target.quit()?;
    }
    Ok(())
}

#[test]
fn selected_by_its_id_it_is_paused_and_resumed_alike() -> Result<()> {
    skip_unless!("selected_by_its_id_it_is_paused_and_resumed_alike", ready());
    let folder = tempfile::tempdir()?;
    let mut target = start(&program(&folder)?)?;
    let pid = target.pid();
    let agent = Agent::start(&["--pid", &pid.to_string()])?;
    agent.wait_probed(pid)?;
    let view = View { agent: &agent, pid };
    target.say("storm")?;
    view.wait_attached(false)?;
    target.say("calm")?;
    view.wait_attached(true)?;
    at_rest(&mut target, |report| view.is_exact(report))?;
    target.quit()?;
    Ok(())
}

#[test]
fn asked_for_in_any_case_they_stay() -> Result<()> {
    skip_unless!("asked_for_in_any_case_they_stay", ready());
    let folder = tempfile::tempdir()?;
    let mut target = start(&program(&folder)?)?;
    let pid = target.pid();
    let agent = Agent::start(&["--pid", &pid.to_string(), "--probes", "always"])?;
    agent.wait_probed(pid)?;
    let view = View { agent: &agent, pid };
    let before = probed(&agent, pid)?;
    let created = at_rest(&mut target, |report| Ok(report.created))?;
    target.say("storm")?;
    thread::sleep(Duration::from_secs(5));
    ensure!(view.attached()?, "they are off");
    at_rest(&mut target, |report| {
        view.is_exact(report)?;
        let grown = probed(&agent, pid)?.since(before);
        ensure!(grown.created >= report.created - created, "{grown:?} of {report:?}");
        Ok(())
    })?;
    target.quit()?;
    Ok(())
}

#[test]
fn a_budget_of_nothing_needs_no_second_hit() -> Result<()> {
    skip_unless!("a_budget_of_nothing_needs_no_second_hit", ready());
    let folder = tempfile::tempdir()?;
    let target = start(&program(&folder)?)?;
    let pid = target.pid();
    let agent = Agent::start(&["--pid", &pid.to_string(), "--probe-budget", "0"])?;
    let view = View { agent: &agent, pid };
    view.wait_attached(false)?;
    target.quit()?;
    Ok(())
}
