//! Goroutines that run have stacks, from samples of their threads: those that the program can have,
//! and most of the time there is one. Where the kernel lets nobody sample, the reason is told.

use std::{collections::BTreeMap, process::Command};

use anyhow::{Context as _, Result, bail, ensure};
use goroscope_tests::{
    fixture::{self, Mode},
    requires, seccomp, skip_unless,
    speaker::Speaker,
    stacked::{self, Dump, Goroutine},
    toolchain::{Go, NEWEST, VERSIONS},
    workspace,
};

const DUMPS: usize = 12;
/// The goroutines of the fixture, by the function that each begins with.
const BUSY: [&str; 5] = ["main.outer", "main.dive", "main.allocating", "main.hashing", "main.sunk"];
/// Bytes of a stack that are copied, at the most, over those of a call that is deep in it.
const COPIED_CALLS: usize = (60 << 10) / (1 << 10);

/// What is impossible about a stack, of a goroutine that begins with this function.
fn impossible(start: &str, goroutine: &Goroutine) -> Option<String> {
    let functions: Vec<&str> =
        goroutine.stack.iter().rev().map(|place| place.function.as_str()).collect();
    let (first, rest) = functions.split_first()?;
    let is_part_of = |chain: &[&str]| rest.len() <= chain.len() && chain.starts_with(rest);
    let fits = match start {
        "main.outer" => is_part_of(&["main.middle", "main.inlined", "main.leaf", "main.step"]),
        // The runtime's own functions are not shown, but for those of its inner packages.
        "main.allocating" => match rest.split_first() {
            None => true,
            Some((made, inner)) => {
                *made == "main.made" && inner.iter().all(|name| name.contains("internal/"))
            }
        },
        "main.dive" => {
            let calls = rest.iter().take_while(|name| **name == "main.deep").count();
            calls <= 40 && matches!(rest.get(calls..), Some([] | ["main.step"]))
        }
        "main.hashing" => {
            rest.iter().all(|name| name.starts_with("crypto/") || name.contains("internal/"))
        }
        // Its outermost calls are not copied.
        "main.sunk" => {
            let calls = functions.iter().take_while(|name| **name == "main.sinking").count();
            let inner = functions.get(calls..).unwrap_or_default();
            let ends = ["main.leaf", "main.step"];
            return (!goroutine.truncated
                || !(COPIED_CALLS / 2..=COPIED_CALLS).contains(&calls)
                || !ends.starts_with(inner))
            .then(|| format!("{calls} calls, then {inner:?}"));
        }
        _ => return Some("it is none of the fixture's".to_owned()),
    };
    (!fits || *first != start).then(|| format!("{start} is not above {functions:?}"))
}

/// Lines of the fixture that are in a function, by its name.
fn lines() -> Result<BTreeMap<String, (u32, u32)>> {
    let text = std::fs::read_to_string(fixture::sources().join("busy/main.go"))?;
    let mut functions = BTreeMap::new();
    let mut open: Option<(String, u32)> = None;
    for (line, number) in text.lines().zip(1_u32..) {
        if let Some((name, _)) = line.strip_prefix("func ").and_then(|rest| rest.split_once('(')) {
            open = Some((format!("main.{name}"), number));
        } else if line == "}"
            && let Some((name, begin)) = open.take()
        {
            functions.insert(name, (begin, number));
        }
    }
    Ok(functions)
}

fn ensure_possible(dump: &Dump, lines: &BTreeMap<String, (u32, u32)>) -> Result<(usize, usize)> {
    let (mut running, mut sampled) = (0, 0);
    for goroutine in dump.goroutines.iter().filter(|goroutine| !goroutine.system) {
        let told = || format!("{goroutine:#?}");
        let is_running = goroutine.state == "running";
        ensure!(!goroutine.sampled || is_running, told());
        ensure!(goroutine.no_stack.is_some() == (is_running && !goroutine.sampled), told());
        ensure!(goroutine.sampled == (is_running && !goroutine.stack.is_empty()), told());
        let start = goroutine.start.as_ref().context("no start")?.function.as_str();
        if !is_running || !BUSY.contains(&start) {
            continue;
        }
        if !goroutine.sampled {
            // On a machine with much else to do a thread may not get a CPU in time.
            let no_time = |why: &String| why.starts_with("its thread did not run");
            running += usize::from(!goroutine.no_stack.as_ref().is_some_and(no_time));
            continue;
        }
        running += 1;
        sampled += 1;
        ensure!(goroutine.thread.is_some(), told());
        if let Some(why) = impossible(start, goroutine) {
            bail!("{why}: {}", told());
        }
        for place in &goroutine.stack {
            if let Some((begin, end)) = lines.get(&place.function) {
                ensure!((*begin..=*end).contains(&place.line), "{place:?} of {}", told());
            }
        }
    }
    Ok((running, sampled))
}

fn check(version: &'static str, mode: Mode) -> Result<(usize, usize)> {
    let program = fixture::build("busy", &Go::find(version)?, mode)?;
    let program = Speaker::start(&program, &[] as &[&str])?;
    let lines = lines()?;
    let (mut running, mut sampled) = (0, 0);
    for number in 0..DUMPS {
        let dump = stacked::dump(program.pid())?;
        ensure!(dump.unsampled.is_none(), "{:?}", dump.unsampled);
        let found = ensure_possible(&dump, &lines)
            .with_context(|| format!("dump {number} of go{version}, {mode}"))?;
        running += found.0;
        sampled += found.1;
    }
    Ok((running, sampled))
}

#[test]
fn running_goroutines_have_the_stacks_that_they_can_have() -> Result<()> {
    let mut all = (0, 0);
    for version in VERSIONS {
        let needs = requires::root().and_then(|()| requires::go(version));
        skip_unless!("running_goroutines_have_the_stacks_that_they_can_have", needs);
        for mode in [Mode::Normal, Mode::PieStripped] {
            let (running, sampled) = check(version, mode)?;
            println!("go{version} {mode}: {sampled} of {running} have a stack");
            ensure!(sampled > 0, "none of {running} has a stack");
            all = (all.0 + running, all.1 + sampled);
        }
    }
    // How many run at one moment is up to the machine and what else it has to do.
    let (running, sampled) = all;
    ensure!(sampled * 3 >= running * 2, "{sampled} of {running} have a stack");
    Ok(())
}

#[test]
fn where_nobody_may_sample_the_reason_is_told() -> Result<()> {
    let needs = requires::root().and_then(|()| requires::go(NEWEST));
    skip_unless!("where_nobody_may_sample_the_reason_is_told", needs);
    let program = fixture::build("busy", &Go::find(NEWEST)?, Mode::Normal)?;
    let program = Speaker::start(&program, &[] as &[&str])?;
    let dump = |arguments: &[&str]| {
        let mut command = Command::new(workspace::goroscope()?);
        command.args(["dump", &program.pid().to_string()]).args(arguments);
        let output = seccomp::without_perf_events(&mut command).output()?;
        let said = String::from_utf8(output.stderr)?;
        ensure!(output.status.success(), "{}: {said}", output.status);
        ensure!(said.lines().count() == 1 && said.contains("CAP_PERFMON"), "{said}");
        Ok(output.stdout)
    };
    let taken: Dump = serde_json::from_slice(&dump(&["--format", "json"])?)?;
    let why = taken.unsampled.as_deref().context("no reason")?;
    ensure!(why.contains("perf_event_open is not permitted"), "{why}");
    let running = taken.goroutines.iter().filter(|goroutine| goroutine.state == "running");
    let mut count = 0;
    for goroutine in running.filter(|goroutine| !goroutine.system) {
        count += 1;
        ensure!(goroutine.stack.is_empty() && !goroutine.sampled, "{goroutine:#?}");
        ensure!(goroutine.no_stack.as_deref() == Some(why), "{goroutine:#?}");
        ensure!(goroutine.thread.is_some() && goroutine.created_by.is_some(), "{goroutine:#?}");
    }
    ensure!(count > 0, "nothing runs");
    let text = String::from_utf8(dump(&[])?)?;
    ensure!(text.contains(" [running]:\n\tgoroutine running on other thread; "), "{text}");
    Ok(())
}
