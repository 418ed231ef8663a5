//! What `goroscope dump` says where there is nothing to be had, and what it leaves behind.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    thread,
    time::Duration,
};

use anyhow::{Result, ensure};
use goroscope_tests::{
    fixture::{self, Mode},
    process::Guard,
    requires, skip_unless,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
    user, workspace,
};

fn dump(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(workspace::goroscope()?).arg("dump").args(arguments).output()?)
}

/// It fails with one error line and a hint, and prints nothing else.
fn ensure_refused(output: &Output, code: i32, said: &[&str]) -> Result<()> {
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(code), "{}: {text}", output.status);
    ensure!(output.stdout.is_empty(), "it printed something");
    ensure!(text.starts_with("error: ") && text.contains("\nhint: "), "{text}");
    ensure!(text.lines().count() == 2, "{text}");
    for word in said {
        ensure!(text.contains(word), "{word:?} is not in: {text}");
    }
    Ok(())
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder)?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

#[test]
fn processes_that_are_none_of_go_or_none_at_all() -> Result<()> {
    ensure_refused(&dump(&["4194305"])?, 1, &["there is no process 4194305"])?;
    let sleep = Guard::start(Command::new("sleep").arg("60"))?;
    ensure_refused(&dump(&[&sleep.pid().to_string()])?, 1, &["is not a Go program"])?;
    Ok(())
}

#[test]
fn wrong_usage_is_told_before_anything_is_looked_at() -> Result<()> {
    for arguments in [&["0"][..], &["1", "--state", "asleep"], &["1", "--format", "xml"], &[]] {
        ensure!(dump(arguments)?.status.code() == Some(2), "{arguments:?}");
    }
    ensure_refused(&dump(&["1", "--site", "main.[a"])?, 2, &["main.[a"])
}

#[test]
fn a_process_of_another_user() -> Result<()> {
    let needs = requires::root().and_then(|()| requires::go(NEWEST));
    skip_unless!("a_process_of_another_user", needs);
    let program = fixture::build("parked", &Go::find(NEWEST)?, Mode::Normal)?;
    let program = Speaker::start(&program, &["10"])?;
    let (_folder, copies) = user::public_copies(&[&workspace::goroscope()?])?;
    let [goroscope] = &copies[..] else { anyhow::bail!("no copy") };
    let output = user::command(65_534, &[], goroscope)
        .args(["dump", &program.pid().to_string()])
        .output()?;
    ensure_refused(&output, 1, &["may not be looked at by this user"])
}

#[test]
fn where_nothing_can_be_written_nothing_is_left() -> Result<()> {
    skip_unless!("where_nothing_can_be_written_nothing_is_left", requires::go(NEWEST));
    let program = fixture::build("parked", &Go::find(NEWEST)?, Mode::Normal)?;
    let program = Speaker::start(&program, &["10"])?;
    let pid = program.pid().to_string();
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    ensure_refused(&dump(&[&pid, "--output", &path("no/dump")])?, 1, &["cannot write"])?;
    ensure_refused(&dump(&[&pid, "--output", &path("")])?, 1, &["cannot write"])?;
    ensure_refused(&dump(&[&pid, "--output", "/dev/full"])?, 1, &["No space left"])?;
    ensure!(names(folder.path())?.is_empty(), "{:?}", names(folder.path())?);
    let output = dump(&[&pid, "--output", &path("dump")])?;
    ensure!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    ensure!(String::from_utf8_lossy(&output.stderr).starts_with("process "), "{output:?}");
    ensure!(names(folder.path())? == ["dump"], "{:?}", names(folder.path())?);
    // What was there stays where the process is gone.
    drop(program);
    ensure!(!dump(&[&pid, "--output", &path("dump")])?.status.success());
    ensure!(names(folder.path())? == ["dump"] && fs::metadata(path("dump"))?.len() > 100);
    Ok(())
}

/// A process that ends at any moment of the dump.
#[test]
fn a_process_that_ends_meanwhile() -> Result<()> {
    skip_unless!("a_process_that_ends_meanwhile", requires::go(NEWEST));
    let program = fixture::build("parked", &Go::find(NEWEST)?, Mode::Normal)?;
    let (mut whole, mut ended) = (0, 0);
    for number in 0..30_u64 {
        let program = Speaker::start(&program, &["20000"])?;
        let pid = program.pid().to_string();
        let killer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(number * 4));
            drop(program);
        });
        let output = dump(&[&pid, "--summary"])?;
        let _ = killer.join();
        if output.status.success() {
            whole += 1;
        } else {
            ended += 1;
            ensure_refused(&output, 1, &["process"])?;
        }
    }
    println!("{whole} dumps were taken, in {ended} the process ended");
    ensure!(ended > 0, "no process ended during its dump");
    Ok(())
}
