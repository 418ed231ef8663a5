//! Goroutines in a bubble of package synctest are shown as the program's own dump shows them.

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    fixture, requires, skip_unless,
    speaker::Speaker,
    stacked,
    toolchain::{Go, VERSIONS},
};

#[test]
fn waits_within_a_bubble_are_durable() -> Result<()> {
    for version in VERSIONS.into_iter().filter(|version| *version >= "1.25") {
        let needs = requires::root().and_then(|()| requires::go(version));
        skip_unless!("waits_within_a_bubble_are_durable", needs);
        check(&Go::find(version)?).with_context(|| format!("go{version}"))?;
    }
    Ok(())
}

fn check(go: &Go) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let own = folder.path().join("own");
    let mut command = Command::new(fixture::build_tests("bubble", go)?);
    // Modules of older releases have timers that bubbles cannot do with. With one P all others have
    // come to rest when the one goes on that dumps.
    command.env("OWN_DUMP", &own).env("GODEBUG", "asynctimerchan=0").env("GOMAXPROCS", "1");
    let program = Speaker::start_command(&mut command)?;
    let own = stacked::parse(&fs::read_to_string(own)?)?;
    let ours = stacked::dump(program.pid())?;
    let text = String::from_utf8(stacked::take(program.pid(), &["--format", "text"])?)?;
    let text = stacked::parse(&text)?;
    let mut durable = BTreeSet::new();
    for (goid, told) in &own {
        // The one that dumped itself waits for the test now.
        if told.state == "running" {
            continue;
        }
        let goroutine = ours.goroutines.iter().find(|goroutine| goroutine.goid == *goid);
        let goroutine = goroutine.with_context(|| format!("goroutine {goid} is missing"))?;
        ensure!(goroutine.stacked() == *told, "{goroutine:#?}\nthe program: {told:#?}");
        let written = text.get(goid).context("it is not in the text")?;
        ensure!(written == told, "{written:#?}\nthe program: {told:#?}");
        if told.state.ends_with(" (durable)") {
            durable.insert(told.state.as_str());
        }
    }
    ensure!(durable.len() >= 9, "{durable:?}");
    ensure!(own.values().any(|told| told.state == "select (no cases)"), "{own:#?}");
    Ok(())
}
