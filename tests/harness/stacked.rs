//! Goroutines with their stacks, as a program's own dump has them and as `goroscope dump` does.

use std::{collections::BTreeMap, process::Command};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::workspace;

/// A call: the function and `file:line`.
pub type Call = (String, String);

/// A goroutine of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stacked {
    /// What it does, or waits for.
    pub state: String,
    /// It is locked to its thread.
    pub locked: bool,
    /// The calls, the innermost first.
    pub calls: Vec<Call>,
    /// How many calls the dump leaves out, and behind which one.
    pub elided: Option<(usize, usize)>,
    /// Behind "created by", with the goroutine.
    pub created_by: Option<Call>,
}

/// Reads the text of `runtime.Stack`, and of `goroscope dump`; by number.
///
/// # Errors
/// Where it is something else.
pub fn parse(text: &str) -> Result<BTreeMap<u64, Stacked>> {
    let mut all = BTreeMap::new();
    for section in text.split("\n\n").filter(|section| !section.trim().is_empty()) {
        let (goid, goroutine) = one(section.trim()).with_context(|| section.to_owned())?;
        ensure!(all.insert(goid, goroutine).is_none(), "goroutine {goid} comes twice");
    }
    Ok(all)
}

fn one(section: &str) -> Result<(u64, Stacked)> {
    let mut lines = section.lines();
    let head = lines.next().context("no head")?.strip_prefix("goroutine ").context("no head")?;
    let (goid, head) = head.split_once(" [").context("no state")?;
    let (head, _) = head.rsplit_once(']').context("no end of the state")?;
    let mut words = head.split(", ");
    let state = words.next().context("no state")?.to_owned();
    let locked = words.any(|word| word == "locked to thread");
    let (mut calls, mut elided, mut created_by) = (Vec::new(), None, None);
    while let Some(line) = lines.next() {
        if let Some(count) = line.strip_prefix("...") {
            let (count, _) = count.split_once(" frames elided").context("not understood")?;
            elided = Some((count.parse()?, calls.len()));
            continue;
        }
        // "goroutine running on other thread; stack unavailable"
        if line.starts_with('\t') {
            continue;
        }
        let place = lines.next().context("a call without a place")?.trim();
        let place = place.split_once(" +0x").map_or(place, |(place, _)| place).to_owned();
        if let Some(creator) = line.strip_prefix("created by ") {
            created_by = Some((creator.to_owned(), place));
        } else {
            let (function, _) = line.rsplit_once('(').context("a call without arguments")?;
            calls.push((function.to_owned(), place));
        }
    }
    Ok((goid.parse()?, Stacked { state, locked, calls, elided, created_by }))
}

impl Stacked {
    /// As a dump that leaves out the middle of long stacks would have it.
    #[must_use]
    pub fn shortened(mut self, elided: Option<(usize, usize)>) -> Self {
        if let (None, Some((count, at))) = (self.elided, elided)
            && at + count <= self.calls.len()
        {
            self.calls.drain(at..at + count);
            self.elided = elided;
        }
        self
    }
}

/// `goroscope dump --format json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Dump {
    /// Why goroutines that run have no stack, where threads could not be sampled.
    pub unsampled: Option<String>,
    /// All goroutines.
    pub goroutines: Vec<Goroutine>,
}

/// A goroutine of it.
#[derive(Clone, Debug, Deserialize)]
pub struct Goroutine {
    /// Its number.
    pub goid: u64,
    /// That of its creator.
    pub parent_goid: Option<u64>,
    /// What it does.
    pub state: String,
    /// What it waits for.
    pub wait_reason: Option<String>,
    /// Only others of its bubble of package synctest can end its wait.
    #[serde(default)]
    pub durable: bool,
    /// It is the runtime's own.
    pub system: bool,
    /// It ran each time it was looked at.
    pub torn: bool,
    /// It is locked to its thread.
    pub locked_to_thread: bool,
    /// There is more below.
    pub truncated: bool,
    /// Id of the thread it is on.
    pub thread: Option<u32>,
    /// Its stack is from a sample of its thread.
    #[serde(default)]
    pub sampled: bool,
    /// Why it has no stack, where it runs.
    pub no_stack: Option<String>,
    /// The `go` statement.
    pub created_by: Option<Place>,
    /// The function it was started with.
    pub start: Option<Place>,
    /// The calls, the innermost first.
    pub stack: Vec<Place>,
}

/// A place in the source; of a call more.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Place {
    /// The function.
    pub function: String,
    /// Its file.
    pub file: String,
    /// The line.
    pub line: u32,
}

impl Place {
    fn call(&self) -> Call {
        (self.function.clone(), format!("{}:{}", self.file, self.line))
    }
}

impl Goroutine {
    /// As Go's own dump would have it.
    #[must_use]
    pub fn stacked(&self) -> Stacked {
        let created_by = self.created_by.as_ref().map(|place| {
            let (function, place) = place.call();
            let parent = self.parent_goid.map(|goid| format!(" in goroutine {goid}"));
            (function + &parent.unwrap_or_default(), place)
        });
        Stacked {
            state: self.wait_reason.as_ref().unwrap_or(&self.state).clone()
                + if self.durable { " (durable)" } else { "" },
            locked: self.locked_to_thread,
            calls: self.stack.iter().map(Place::call).collect(),
            elided: None,
            created_by,
        }
    }
}

/// Runs `goroscope dump` on a process; what it prints.
///
/// # Errors
/// Where it fails.
pub fn take(pid: u32, arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(workspace::goroscope()?)
        .args(["dump", &pid.to_string()])
        .args(arguments)
        .output()?;
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

/// The dump of a process.
///
/// # Errors
/// Where it fails.
pub fn dump(pid: u32) -> Result<Dump> {
    Ok(serde_json::from_slice(&take(pid, &["--format", "json"])?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "goroutine 1 [chan receive, 2 minutes, locked to thread]:\n\
        panic({0x1, 0x2})\n\t/src/a b/panic.go:5 +0x10\n\
        ...7 frames elided...\n\
        main.f[...](...)\n\t/src/main.go:6\n\n\
        goroutine 7 [select (no cases)]:\n\
        main.(*T).run(0xc000, {0x1, 0x2})\n\t/src/main.go:9 +0x11\n\
        created by main.start.func1 in goroutine 1\n\t/src/main.go:7 +0x2f\n";

    #[test]
    fn the_text_is_read() {
        let all = parse(DUMP).unwrap();
        let call = |function: &str, place: &str| (function.to_owned(), place.to_owned());
        let expected = Stacked {
            state: "chan receive".to_owned(),
            locked: true,
            calls: vec![
                call("panic", "/src/a b/panic.go:5"),
                call("main.f[...]", "/src/main.go:6"),
            ],
            elided: Some((7, 1)),
            created_by: None,
        };
        assert_eq!(all[&1], expected);
        let creator = call("main.start.func1 in goroutine 1", "/src/main.go:7");
        assert_eq!(all[&7].created_by, Some(creator));
        assert_eq!(all[&7].calls, [call("main.(*T).run", "/src/main.go:9")]);
    }

    #[test]
    fn a_whole_stack_is_shortened_alike() {
        let call = |number: usize| (format!("f{number}"), String::new());
        let whole =
            Stacked { calls: (0..9).map(call).collect(), ..parse(DUMP).unwrap()[&7].clone() };
        let short = whole.shortened(Some((7, 1)));
        assert_eq!(short.calls, [call(0), call(8)]);
    }
}
