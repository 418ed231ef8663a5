//! The configuration, read anew at `SIGHUP`: taken whole, or refused.

use std::{fs, os::unix::fs::PermissionsExt as _};

use anyhow::{Result, ensure};
use goroscope_tests::{
    agent::{self, Agent},
    fixture::{self, Mode},
    http, poll, requires,
    sites::Sum,
    skip_unless,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
    user::{self, SOMEBODY},
    workspace,
};

use super::{SOON, Stage, name, needs, reload, watches};

const TAKEN: &str = "the configuration has been taken";
const REFUSED: &str = "the configuration is refused";
const SUCCESSFUL: &str = "goroscope_config_last_reload_successful";
const TAKEN_AT: &str = "goroscope_config_last_reload_success_timestamp_seconds";

#[test]
fn another_selection_takes_effect_and_a_wrong_one_changes_nothing() -> Result<()> {
    const NAME: &str = "another_selection_takes_effect_and_a_wrong_one_changes_nothing";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    let (red, blue) = (stage.program("red")?, stage.program("blue")?);
    let only = |name: &str| Ok::<_, anyhow::Error>(format!("exe: {}\n", stage.glob(name)?));
    stage.configure(&only("red")?)?;
    let mut agent = stage.agent(&["--probes", "off"])?;
    watches(&agent, red.pid(), true)?;
    watches(&agent, blue.pid(), false)?;
    let first = agent.scrape()?.value(TAKEN_AT, &[])?;
    ensure!(agent.scrape()?.value(SUCCESSFUL, &[])? == 1.0);

    stage.configure(&only("blue")?)?;
    reload(&mut agent, TAKEN)?;
    watches(&agent, blue.pid(), true)?;
    watches(&agent, red.pid(), false)?;
    let second = agent.scrape()?.value(TAKEN_AT, &[])?;
    ensure!(second > first, "taken at {first}, and again at {second}");

    let config = name(&stage.config());
    for (text, why) in [
        ("exe: /x\nno_such_key: 1\n", format!("{config}:2:1: unknown key `no_such_key`")),
        ("exe: /x\ntop_sites: [1]\n", format!("{config}:2:12: ")),
        ("exe: /x\nscan_interval: soon\n", format!("{config}:2:16: ")),
        ("exe: /x[\n", "is not a glob".to_owned()),
        ("exe: /x\n\tlisten: y\n", config.clone()),
        ("pid: 4194304\n", "4194304".to_owned()),
        (
            "exe: /x\nalerts:\n  alertmanagers:\n    - url: https://127.0.0.1:9\n      tls:\n        \
             ca_file: /nonexistent/ca\n",
            "/nonexistent/ca".to_owned(),
        ),
        (
            "exe: /x\notlp_endpoint: http://127.0.0.1:9\notlp_headers_file: /nonexistent/h\n",
            "/nonexistent/h".to_owned(),
        ),
    ] {
        stage.configure(text)?;
        let log = reload(&mut agent, REFUSED)?.join("\n");
        ensure!(log.contains(&why.replace('\\', "\\\\").replace('"', "\\\"")), "no {why}: {log}");
        let scrape = agent.scrape()?;
        ensure!(scrape.value(SUCCESSFUL, &[])? == 0.0, "{text}: successful");
        ensure!(scrape.value(TAKEN_AT, &[])? == second, "{text}: taken");
        watches(&agent, blue.pid(), true)?;
    }
    fs::remove_file(stage.config())?;
    let log = reload(&mut agent, REFUSED)?.join("\n");
    ensure!(log.contains(&config), "{log}");
    watches(&agent, blue.pid(), true)?;

    stage.configure(&only("*")?)?;
    reload(&mut agent, TAKEN)?;
    watches(&agent, red.pid(), true)?;
    watches(&agent, blue.pid(), true)?;
    ensure!(agent.scrape()?.value(SUCCESSFUL, &[])? == 1.0);
    ensure!(!agent.log().join("\n").contains("panicked"));
    Ok(())
}

#[test]
fn thresholds_dumps_and_the_log_change_and_addresses_do_not() -> Result<()> {
    const NAME: &str = "thresholds_dumps_and_the_log_change_and_addresses_do_not";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    let target = stage.program("watched")?;
    // Nobody is there: an alert that fires is counted all the same.
    let text = |above: u64, more: &str| {
        format!(
            "alerts:\n  alertmanagers: [http://127.0.0.1:9]\n  interval: 100ms\n  \
             goroutines: {{above: {above}, for: 0s}}\n{more}"
        )
    };
    stage.configure(&text(1_000_000, ""))?;
    let glob = stage.glob("watched")?;
    let mut agent = stage.agent(&["--probes", "off", "--exe", &glob])?;
    agent.wait_read(target.pid())?;
    let firing = |agent: &Agent| agent.scrape()?.value("goroscope_alerts_firing", &[]);
    ensure!(firing(&agent)? == 0.0);
    let dump = format!("/api/v1/processes/{}/dump", target.pid());
    let status =
        |agent: &Agent| Ok::<_, anyhow::Error>(http::get(agent.address(), &dump, &[])?.status);
    ensure!(status(&agent)? == 403, "dumps are given out: {}", status(&agent)?);

    let more = "listen: 127.0.0.1:1\nmax_sites: 100\nmax_processes: 10\nlog_format: text\n\
                verbose: 1\nhttp_dumps: true\ntop_sites: 0\n";
    stage.configure(&text(1, more))?;
    let log = reload(&mut agent, "has changed, but is taken by a restart only")?;
    poll::until("an alert fires", SOON, || Ok((firing(&agent)? == 1.0).then_some(())))?;
    ensure!(status(&agent)? == 200, "no dump: {}", status(&agent)?);
    let text = poll::until("all keys are named", SOON, || {
        let text = agent.log().join("\n");
        // --listen and --log-format are options here, and those win over the file.
        let named = ["max_sites", "max_processes"].iter().all(|key| text.contains(key));
        Ok(named.then_some(text))
    })?;
    ensure!(!text.contains("\"key\":\"listen\"") && !log.is_empty(), "{text}");
    poll::until("the log says more", SOON, || {
        Ok(agent.log().iter().any(|line| line.contains("\"DEBUG\"")).then_some(()))
    })?;
    let scrape = agent.scrape()?;
    let sites = scrape.series("goroscope_site_goroutines", &[("created_by", "other")]).count();
    let all = scrape.series("goroscope_site_goroutines", &[]).count();
    ensure!((sites, all) == (1, 1), "{sites} of {all} series of sites are the rest");
    Ok(())
}

#[test]
fn an_address_that_changes_is_named_and_kept() -> Result<()> {
    const NAME: &str = "an_address_that_changes_is_named_and_kept";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    let glob = stage.glob("*")?;
    stage.configure("listen: 127.0.0.1:0\n")?;
    let config = stage.glob("goroscope.yml")?;
    let mut command = std::process::Command::new(workspace::goroscope()?);
    command.args(["agent", "--log-format", "json", "--probes", "off", "--exe", &glob]);
    command.args(["--config", &config]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut agent = Agent::start_command(&mut command)?;
    let address = agent.address();
    stage.configure("listen: 127.0.0.1:1\n")?;
    let log = reload(&mut agent, "\"listen\"")?.join("\n");
    ensure!(log.contains("restart"), "{log}");
    ensure!(http::get(address, "/healthz", &[])?.status == 200);
    Ok(())
}

#[test]
fn probes_come_and_go() -> Result<()> {
    const NAME: &str = "probes_come_and_go";
    skip_unless!(NAME, requires::kernel().and_then(|()| requires::go(NEWEST)));
    let stage = Stage::set()?;
    let built = fixture::build("workloads", &Go::find(NEWEST)?, Mode::Normal)?;
    fs::copy(&built, stage.path("worker"))?;
    let start = || Speaker::start(&stage.path("worker"), &["churn"]);
    let mut workers = [start()?, start()?, start()?];
    let pids = workers.each_ref().map(Speaker::pid);
    let with = |probes: &str, pid: Option<u32>| {
        let selection = match pid {
            Some(pid) => format!("pid: {pid}\n"),
            None => format!("exe: {}\n", stage.glob("worker")?),
        };
        stage.configure(&format!("probes: {probes}\n{selection}"))
    };
    with("off", None)?;
    let mut agent = stage.agent(&[])?;
    ensure!(agent.wait_read(pids[0])?.watch.probes == "off");
    // Probes on processes, on their file, and on a process again: no hit is missed or counted twice.
    for (selections, index) in
        [(vec![Some(pids[0]), None], 0), (vec![], 1), (vec![Some(pids[2])], 2)]
    {
        for selection in selections {
            with("always", selection)?;
            reload(&mut agent, TAKEN)?;
        }
        let pid = pids[index];
        agent.wait_read(pid)?;
        agent.wait_probed(pid)?;
        let users = || Ok::<_, anyhow::Error>(Sum::of(&agent.sites(pid)?, |site| !site.system));
        let before = users()?;
        let report = workers[index].work()?;
        let expected = Sum { created: report.created, exited: report.exited };
        poll::until("every birth and death is counted once", SOON, || {
            let counted = users()?.since(before);
            ensure!(counted.created <= expected.created, "{counted:?} of {expected:?}");
            Ok((counted == expected).then_some(()))
        })?;
    }
    with("off", None)?;
    reload(&mut agent, TAKEN)?;
    ensure!(agent.wait_read(pids[0])?.watch.probes == "off");
    let hits = agent.scrape()?.series("goroscope_probe_hits_total", &[]).count();
    ensure!(hits == 0, "{hits} series of hits without probes");
    Ok(())
}

#[test]
fn probes_that_cannot_be_had_refuse_all_of_it() -> Result<()> {
    const NAME: &str = "probes_that_cannot_be_had_refuse_all_of_it";
    skip_unless!(NAME, needs().and_then(|()| requires::command("setpriv")));
    let stage = Stage::set()?;
    let (folder, copies) = user::public_copies(&[&workspace::goroscope()?, &stage.built])?;
    let config = folder.path().join("goroscope.yml");
    let selected = copies[1].display();
    fs::write(&config, format!("probes: off\nexe: {selected}\n"))?;
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644))?;
    let target = Speaker::start(&copies[1], &[] as &[&str])?;
    let mut known = std::process::Command::new(&copies[0]);
    known.args(agent::command(&["--config"])?.get_args()).arg(&config);
    let mut agent = Agent::start_command(&mut user::as_user(SOMEBODY, &["sys_ptrace"], &known))?;
    agent.wait_read(target.pid())?;
    fs::write(&config, "probes: always\nexe: /x\n")?;
    let log = reload(&mut agent, REFUSED)?.join("\n");
    ensure!(log.contains("--probes always"), "{log}");
    watches(&agent, target.pid(), true)
}

#[test]
fn without_a_file_there_is_nothing_to_change() -> Result<()> {
    const NAME: &str = "without_a_file_there_is_nothing_to_change";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    let target = stage.program("watched")?;
    let glob = stage.glob("watched")?;
    let mut agent = Agent::start(&["--probes", "off", "--exe", &glob])?;
    agent.wait_read(target.pid())?;
    for _ in 0..3 {
        reload(&mut agent, TAKEN)?;
    }
    watches(&agent, target.pid(), true)?;
    ensure!(agent.guard().ended()?.is_none());
    Ok(())
}
