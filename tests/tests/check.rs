//! The leak gate on real Go programs: test programs, services, and `go test` itself.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    fixture::{self, Mode},
    process::Guard,
    requires, skip_unless,
    toolchain::{Go, NEWEST},
    user::{self, SOMEBODY},
    workspace,
};
use rustix::process::Signal;
use serde_json::Value;

const RELEASES: [&str; 3] = ["1.21.13", "1.24.11", NEWEST];

/// Exit status.
const FINE: i32 = 0;
const LEAK: i32 = 1;
const UNKNOWN: i32 = 2;

/// `goroscope check` with these options, before the command.
fn check(options: &[&str]) -> Result<Command> {
    let mut command = Command::new(workspace::goroscope()?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GOROSCOPE_") {
            command.env_remove(name);
        }
    }
    command.arg("check").args(options).stdin(Stdio::null());
    Ok(command)
}

/// What it says of a program with these arguments.
fn checked(options: &[&str], program: &Path, arguments: &[&str]) -> Result<Output> {
    Ok(check(options)?.arg("--").arg(program).args(arguments).output()?)
}

fn ended_with(output: &Output, status: i32) -> Result<()> {
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.code() == Some(status), "{}\n{stdout}\n{stderr}", output.status);
    ensure!(!stderr.contains("panicked"), "{stderr}");
    Ok(())
}

/// The report as JSON, from a file of its own; the exit status is this one.
fn report(status: i32, options: &[&str], program: &Path, arguments: &[&str]) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("report.json");
    let file = path.to_str().context("not UTF-8")?;
    let mut all = vec!["--output", "json", "--report", file];
    all.extend(options);
    ended_with(&checked(&all, program, arguments)?, status)?;
    let left = fs::read_dir(folder.path())?.count();
    ensure!(left == 1, "{left} files beside the report");
    Ok(serde_json::from_slice(&fs::read(&path)?)?)
}

/// The leaks of all processes: function with the go statement, location, number, rule, wait reason.
fn leaks(report: &Value) -> Vec<(String, String, u64, String, String)> {
    let processes = report["processes"].as_array().into_iter().flatten();
    let leaks = processes.flat_map(|process| process["leaks"].as_array().into_iter().flatten());
    let text = |leak: &Value, key: &str| leak[key].as_str().unwrap_or_default().to_owned();
    let mut leaks: Vec<_> = leaks
        .map(|leak| {
            let created_by = text(leak, "created_by");
            let function = created_by.rsplit('/').next().unwrap_or_default().to_owned();
            let count = leak["goroutines"].as_u64().unwrap_or(0);
            (function, text(leak, "location"), count, text(leak, "rule"), text(leak, "wait_reason"))
        })
        .collect();
    leaks.sort();
    leaks
}

/// What the tests of the package `shop` leave behind: this they say of themselves in their comments.
fn are_those_of_shop(report: &Value) -> Result<()> {
    let leaks = leaks(report);
    let leaks: Vec<_> = leaks
        .iter()
        .map(|(f, l, n, r, w)| (f.as_str(), l.as_str(), *n, r.as_str(), w.as_str()))
        .collect();
    let wanted = [
        ("shop.Price", "shop.go:7", 3, "outlived", "chan send"),
        ("shop.TestListens", "shop_test.go:23", 1, "outlived", "IO wait"),
    ];
    ensure!(leaks == wanted, "{leaks:?}");
    Ok(())
}

fn program(name: &str, go: &Go) -> Result<PathBuf> {
    fixture::build(&format!("checked/{name}"), go, Mode::Normal)
}

fn tests_of(package: &str, go: &Go) -> Result<PathBuf> {
    fixture::build_tests(&format!("checked/{package}"), go)
}

#[test]
fn tests_that_leave_goroutines_behind_are_named() -> Result<()> {
    for release in RELEASES {
        skip_unless!("tests_that_leave_goroutines_behind_are_named", requires::go(release));
        let shop = tests_of("shop", &Go::find(release)?)?;
        let report = report(LEAK, &[], &shop, &[])?;
        are_those_of_shop(&report).context(release)?;
        let process = &report["processes"][0];
        ensure!(report["verdict"] == "leak" && report["command_status"] == 0, "{report}");
        ensure!(process["go_version"] == format!("go{release}"), "{process}");
        ensure!(process["is_test"] == true && process["verdict"] == "leak", "{process}");
        let leak = &process["leaks"][0];
        ensure!(leak["stack_bytes"].as_u64() == Some(3 * 2048), "{leak}");
        ensure!(leak["still_seconds"].as_f64().is_some_and(|s| (0.5..5.0).contains(&s)), "{leak}");
    }
    Ok(())
}

#[test]
fn clean_tests_are_fine_however_much_waits_meanwhile() -> Result<()> {
    for release in RELEASES {
        skip_unless!("clean_tests_are_fine_however_much_waits_meanwhile", requires::go(release));
        let report = report(FINE, &[], &tests_of("clean", &Go::find(release)?)?, &[])?;
        ensure!(report["verdict"] == "fine" && leaks(&report).is_empty(), "{report}");
        ensure!(report["processes"][0]["looks"].as_u64() > Some(10), "{report}");
    }
    Ok(())
}

#[test]
fn go_test_of_all_packages() -> Result<()> {
    for release in RELEASES {
        skip_unless!("go_test_of_all_packages", requires::go(release));
        let go = Go::find(release)?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("report.json");
        let path = file.to_str().context("not UTF-8")?;
        let mut gate = check(&["--settle", "400ms", "--output", "json", "--report", path])?;
        let line = go.command()?;
        for (name, value) in line.get_envs() {
            match value {
                Some(value) => gate.env(name, value),
                None => gate.env_remove(name),
            };
        }
        gate.arg("--").arg(line.get_program()).args(["test", "-count=1", "./checked/..."]);
        let output = gate.env("CGO_ENABLED", "0").current_dir(fixture::sources()).output()?;
        ended_with(&output, LEAK)?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(said.contains("checked/shop") && !said.contains('{'), "the command's own: {said}");
        let report: Value = serde_json::from_slice(&fs::read(&file)?)?;
        are_those_of_shop(&report).context(release)?;
        let processes = report["processes"].as_array().context("no processes")?;
        for process in processes {
            let exe = process["exe"].as_str().unwrap_or_default();
            ensure!(exe.ends_with(".test"), "the toolchain is not judged: {process}");
            let leaks = process["verdict"] == "leak";
            ensure!(leaks == exe.ends_with("/shop.test"), "{process}");
        }
        let clean =
            |process: &&Value| process["exe"].as_str().is_some_and(|e| e.ends_with("/clean.test"));
        ensure!(processes.iter().find(clean).is_some_and(|p| p["verdict"] == "fine"), "{report}");
    }
    Ok(())
}

#[test]
fn what_is_allowed_is_no_leak() -> Result<()> {
    skip_unless!("what_is_allowed_is_no_leak", requires::go(NEWEST));
    let shop = tests_of("shop", &Go::find(NEWEST)?)?;
    let report = report(LEAK, &["--allow", "*/shop.Price"], &shop, &[])?;
    ensure!(leaks(&report).len() == 1, "{report}");
    let both = ["--allow", "*/shop.Price", "--allow", "*shop.TestListens.gowrap?"];
    ended_with(&checked(&both, &shop, &[])?, FINE)?;
    let mut by_variable = check(&[])?;
    by_variable.env("GOROSCOPE_ALLOW", "*/shop.Price,*.TestListens").arg("--").arg(&shop);
    ended_with(&by_variable.output()?, FINE)
}

#[test]
fn services() -> Result<()> {
    for release in RELEASES {
        skip_unless!("services", requires::go(release));
        let go = Go::find(release)?;
        let (service, tidy) = (program("service", &go)?, program("tidy", &go)?);
        let report_of = report(LEAK, &[], &service, &["3s"])?;
        let found = leaks(&report_of);
        let [(function, location, count, rule, reason)] = found.as_slice() else {
            anyhow::bail!("{found:?}")
        };
        let words = [function.as_str(), location, rule, reason];
        ensure!(words == ["main.handle", "main.go:40", "growth", "chan send"], "{found:?}");
        ensure!(*count > 20, "{found:?}");
        ended_with(&checked(&[], &tidy, &["-for", "3s"])?, FINE)?;
        let strict = report(LEAK, &["--strict"], &tidy, &["-for", "1500ms"])?;
        let found = leaks(&strict);
        let workers =
            ("main.main".into(), "main.go:23".into(), 8, "strict".into(), "chan receive".into());
        ensure!(found == [workers], "{found:?}");
    }
    Ok(())
}

#[test]
fn what_waits_until_a_program_is_over() -> Result<()> {
    for release in RELEASES {
        skip_unless!("what_waits_until_a_program_is_over", requires::go(release));
        let go = Go::find(release)?;
        let leftover = program("leftover", &go)?;
        let found = leaks(&report(LEAK, &[], &leftover, &[])?);
        let found: Vec<_> = found
            .iter()
            .map(|(f, l, n, r, w)| (f.as_str(), l.as_str(), *n, r.as_str(), w.as_str()))
            .collect();
        let wanted = [
            ("main.forgets", "main.go:38", 2, "left", "chan send"),
            ("main.locks", "main.go:47", 1, "left", "sync.Mutex.Lock"),
        ];
        ensure!(found == wanted, "{release}: {found:?}");
        // Workers that were never told to end, tickers and sleepers are none.
        let batch = report(FINE, &[], &program("batch", &go)?, &[])?;
        ensure!(batch["processes"][0]["verdict"] == "fine", "{release}: {batch}");
    }
    Ok(())
}

#[test]
fn a_service_may_be_idle_when_it_ends() -> Result<()> {
    skip_unless!("a_service_may_be_idle_when_it_ends", requires::go(NEWEST));
    let leftover = program("leftover", &Go::find(NEWEST)?)?;
    for how in ["listens", "signals"] {
        let report = report(FINE, &[], &leftover, &[how])?;
        let blocked = report["processes"][0]["blocked"].as_array().context("no list")?;
        ensure!(blocked.len() == 2, "{how}: they are told all the same: {report}");
    }
    // So may what is told to end.
    let mut gate = check(&["--ignore-exit", "--"])?;
    let mut gate = Guard::start(gate.arg(&leftover).stdout(Stdio::null()))?;
    thread::sleep(Duration::from_millis(1500));
    gate.signal(Signal::TERM)?;
    ensure!(gate.wait(Duration::from_secs(10))?.code() == Some(FINE));
    Ok(())
}

#[test]
fn processes_that_run_already() -> Result<()> {
    skip_unless!("processes_that_run_already", requires::go(NEWEST));
    let go = Go::find(NEWEST)?;
    for (name, status) in [("service", LEAK), ("tidy", FINE)] {
        let target = Guard::start(&mut Command::new(program(name, &go)?))?;
        let pid = target.pid().to_string();
        let output = check(&["--pid", &pid, "--for", "3s", "--output", "json"])?.output()?;
        ended_with(&output, status)?;
        let report: Value = serde_json::from_slice(&output.stdout)?;
        ensure!(report["processes"][0]["pid"] == target.pid(), "{report}");
        ensure!(report["command_status"].is_null(), "{report}");
    }
    Ok(())
}

#[test]
fn an_interrupt_judges_by_what_was_seen() -> Result<()> {
    skip_unless!("an_interrupt_judges_by_what_was_seen", requires::go(NEWEST));
    let target = Guard::start(&mut Command::new(program("service", &Go::find(NEWEST)?)?))?;
    let pid = target.pid().to_string();
    let mut gate = Guard::start(check(&["--pid", &pid, "--for", "10m"])?.stdout(Stdio::null()))?;
    thread::sleep(Duration::from_secs(3));
    gate.signal(Signal::INT)?;
    ensure!(gate.wait(Duration::from_secs(10))?.code() == Some(LEAK));
    Ok(())
}

#[test]
fn a_signal_to_end_reaches_the_command() -> Result<()> {
    skip_unless!("a_signal_to_end_reaches_the_command", requires::go(NEWEST));
    let tidy = program("tidy", &Go::find(NEWEST)?)?;
    let mut gate = Guard::start(check(&["--"])?.arg(tidy).stdout(Stdio::null()))?;
    thread::sleep(Duration::from_secs(2));
    gate.signal(Signal::TERM)?;
    ensure!(gate.wait(Duration::from_secs(10))?.code() == Some(FINE));
    Ok(())
}

#[test]
fn programs_behind_shells() -> Result<()> {
    skip_unless!("programs_behind_shells", requires::go(NEWEST));
    let service = program("service", &Go::find(NEWEST)?)?;
    let service = service.to_str().context("not UTF-8")?;
    for script in ["exec \"$0\" 3s", "\"$0\" 3s; true", "(\"$0\" 4s &) ; sleep 3"] {
        let report = report(LEAK, &[], Path::new("/bin/sh"), &["-c", script, service])?;
        ensure!(leaks(&report).len() == 1, "{script}: {report}");
    }
    Ok(())
}

#[test]
fn forms_of_the_report() -> Result<()> {
    skip_unless!("forms_of_the_report", requires::go(NEWEST));
    let shop = tests_of("shop", &Go::find(NEWEST)?)?;
    let said = |form| -> Result<String> {
        let output = checked(&["--output", form], &shop, &[])?;
        ended_with(&output, LEAK)?;
        Ok(String::from_utf8(output.stdout)?)
    };
    let table = said("table")?;
    ensure!(table.contains("leak: 4 goroutines of 2 creation sites left behind"), "{table}");
    let github = said("github")?;
    let lines: Vec<&str> =
        github.lines().filter(|line| line.starts_with("::error file=")).collect();
    ensure!(lines.len() == 2, "{github}");
    ensure!(
        lines.iter().any(|l| l.contains("shop/shop.go,line=7,title=goroutine leak::3 left")),
        "{github}"
    );
    let junit = said("junit")?;
    let (_, xml) = junit.split_once("<?xml").context(junit.clone())?;
    for part in
        ["<testsuites", "tests=\"2\"", "failures=\"2\"", "shop.Price shop.go:7", "</testsuites>"]
    {
        ensure!(xml.contains(part), "{part}: {xml}");
    }
    Ok(())
}

#[test]
fn an_ordinary_user_checks_its_own_children() -> Result<()> {
    const NAME: &str = "an_ordinary_user_checks_its_own_children";
    let root = rustix::process::geteuid().is_root();
    skip_unless!(
        NAME,
        root.then_some(()).ok_or_else(|| "needs root, to be another user".to_owned())
    );
    skip_unless!(NAME, requires::command("setpriv").and_then(|()| requires::go(NEWEST)));
    let shop = tests_of("shop", &Go::find(NEWEST)?)?;
    let (_folder, copies) = user::public_copies(&[&workspace::goroscope()?, &shop])?;
    let [goroscope, shop] = copies.as_slice() else { anyhow::bail!("two copies") };
    let mut gate = user::command(SOMEBODY, &[], goroscope);
    let output = gate.args(["check", "--"]).arg(shop).current_dir("/").output()?;
    ended_with(&output, LEAK)?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(said.contains("4 goroutines of 2 creation sites"), "{said}");
    Ok(())
}

/// It says with one error and a hint why it could not judge.
fn could_not(output: &Output, words: &str) -> Result<()> {
    ended_with(output, UNKNOWN)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let errors = stderr.lines().filter(|line| line.starts_with("error: ")).count();
    let hints = stderr.lines().filter(|line| line.starts_with("hint: ")).count();
    ensure!((errors, hints) == (1, 1) && stderr.contains(words), "{words:?}: {stderr}");
    Ok(())
}

#[test]
fn what_cannot_be_judged() -> Result<()> {
    skip_unless!("what_cannot_be_judged", requires::go(NEWEST));
    let go = Go::find(NEWEST)?;
    let (tidy, shop) = (program("tidy", &go)?, tests_of("shop", &go)?);
    could_not(&checked(&[], Path::new("/nonexistent/x"), &[])?, "cannot start /nonexistent/x")?;
    could_not(&checked(&[], Path::new("/bin/sleep"), &["1"])?, "no Go process")?;
    could_not(&checked(&[], &tests_of("quick", &go)?, &[])?, "could not judge")?;
    could_not(&checked(&[], &tidy, &["-for", "200ms"])?, "less than the settling time")?;
    could_not(&checked(&[], &tidy, &["-for", "1s", "-status", "3"])?, "exit status: 3")?;
    could_not(&check(&[])?.output()?, "neither a command nor one process")?;
    could_not(&check(&["--pid", "4294967295"])?.output()?, "no process 4294967295")?;
    let sleeper = Guard::start(Command::new("sleep").arg("60"))?;
    let pid = sleeper.pid().to_string();
    could_not(&check(&["--pid", &pid])?.output()?, "no Go program")?;
    ended_with(&checked(&["--ignore-exit"], &tidy, &["-for", "1s", "-status", "3"])?, FINE)?;
    // A leak is one, whatever else failed.
    let fails = ["-c", "\"$0\"; exit 3", shop.to_str().context("not UTF-8")?];
    ended_with(&checked(&[], Path::new("/bin/sh"), &fails)?, LEAK)?;
    let unwritable = ["--report", "/nonexistent/report"];
    could_not_write(&checked(&unwritable, &tidy, &["-for", "1s"])?)
}

fn could_not_write(output: &Output) -> Result<()> {
    ended_with(output, UNKNOWN)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(stderr.contains("cannot write /nonexistent/report"), "{stderr}");
    Ok(())
}
