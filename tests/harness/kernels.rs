//! Kernels of real leaks, from the Go toolchain's own tests of its profile of leaked goroutines
//! (`GoKer`, of <https://lujie.ac.cn/files/papers/GoBench.pdf>), run with `goroscope check`.
//!
//! They are taken from the toolchain each time, and none of it is kept. Where a kernel would write
//! Go's profile, it stays for a while, so that it can be looked at; then it writes what Go knows of
//! the same goroutines, and ends.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    go_dump,
    toolchain::{Go, NEWEST},
    workspace,
};

/// Where they are in the toolchain.
const FOLDER: &str = "src/runtime/testdata/testgoroutineleakprofile/goker";
/// What each kernel does at its end, and what it does instead.
const PROFILE: [&str; 2] = ["prof.WriteTo(os.Stdout, 2)", "leave(prof, os.Stdout)"];
/// What they do instead.
const LEAVE: &str = r#"package main

import (
	"io"
	"os"
	"runtime/pprof"
	"time"
)

func leave(prof *pprof.Profile, _ io.Writer) {
	stays, err := time.ParseDuration(os.Getenv("KERNEL_STAYS"))
	if err != nil {
		panic(err)
	}
	time.Sleep(stays)
	dump, err := os.Create(os.Getenv("KERNEL_DUMP"))
	if err != nil {
		panic(err)
	}
	prof.WriteTo(dump, 2)
	os.Exit(0)
}
"#;
/// How long a kernel stays. Looks begin some tens of milliseconds after it, on a busy machine a second,
/// and it must stand still for half a second.
const STAYS: &str = "2500ms";
/// What `check` says of a process that it could not look at for long enough.
const TOO_SHORT: &str = "less than the settling time";
/// States of goroutines that are not blocked, in the words of Go's dump.
const NOT_BLOCKED: [&str; 5] = ["running", "runnable", "syscall", "sleep", "IO wait"];

/// The kernels, built into one program.
#[derive(Debug)]
pub struct Kernels {
    folder: TempDir,
    program: PathBuf,
    /// Their names, sorted.
    pub names: Vec<String>,
}

/// Goroutines of one `go` statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Blocked when the kernel was over, by Go's own dump.
    pub blocked: u64,
    /// Of those, found by Go's own profile of leaks.
    pub by_go: u64,
    /// Left behind, by `goroscope check`.
    pub by_check: u64,
    /// Blocked as well, but by the default rules no leak.
    pub by_strict: u64,
}

/// One run of a kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// By `go` statement: `main.Grpc795.func1 grpc795.go:85`.
    pub sites: BTreeMap<String, Left>,
    /// It says nothing: Go's own marks came into the last look, or it was not looked at for long.
    pub spoiled: bool,
}

impl Kernels {
    /// Builds them with the newest toolchain.
    ///
    /// # Errors
    /// Where there is none, or its kernels have another form.
    pub fn build() -> Result<Self> {
        let go = Go::find(NEWEST)?;
        let from = go.root.join(FOLDER);
        let folder = tempfile::tempdir()?;
        let mut names = Vec::new();
        for entry in fs::read_dir(&from).with_context(|| format!("listing {}", from.display()))? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "go") {
                continue;
            }
            let text =
                fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            let name = path.file_name().context("a file has a name")?;
            names.extend(text.lines().filter_map(registered));
            let [profile, instead] = PROFILE;
            let is_kernel = text.contains(profile);
            ensure!(is_kernel || name == "main.go", "{} writes no profile", path.display());
            // In the same line, so that all lines keep their numbers.
            fs::write(folder.path().join(name), text.replace(profile, instead))?;
        }
        names.sort();
        fs::write(folder.path().join("leave.go"), LEAVE)?;
        fs::write(folder.path().join("go.mod"), format!("module goker\n\ngo {}\n", release()))?;
        let program = folder.path().join("goker");
        let built = go
            .command()?
            .current_dir(folder.path())
            .env("CGO_ENABLED", "0")
            .args(["build", "-buildvcs=false", "-o"])
            .arg(&program)
            .output()
            .context("starting go build")?;
        let said = String::from_utf8_lossy(&built.stderr);
        ensure!(built.status.success(), "building the kernels: {said}");
        Ok(Self { folder, program, names })
    }

    /// Runs one with `goroscope check`, by its default rules.
    ///
    /// # Errors
    /// Where the kernel, or `check`, fails.
    pub fn run(&self, name: &str) -> Result<Run> {
        let file = |name: &str| self.folder.path().join(name);
        let (dump, report) = (file("dump"), file("report.json"));
        for stale in [&dump, &report] {
            if stale.exists() {
                fs::remove_file(stale)?;
            }
        }
        let output = Command::new(workspace::goroscope()?)
            .args(["check", "--output", "json", "--report"])
            .arg(&report)
            .arg("--")
            .arg(&self.program)
            .arg(name)
            .env("KERNEL_STAYS", STAYS)
            .env("KERNEL_DUMP", &dump)
            .stdin(Stdio::null())
            .output()
            .context("starting goroscope check")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let mut run = Run { spoiled: said.contains(TOO_SHORT), ..Run::default() };
        let judged = output.status.code().is_some_and(|code| code < 2);
        ensure!(judged || run.spoiled, "{name}: {said}");
        run.take_dump(&text(&dump)?);
        run.take_report(&serde_json::from_str(&text(&report)?)?)
            .with_context(|| format!("the report on {name}"))?;
        Ok(run)
    }
}

/// `1.27` of `1.27.3`.
fn release() -> &'static str {
    NEWEST.rsplit_once('.').map_or(NEWEST, |(release, _)| release)
}

fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// The name in a line that registers a kernel.
fn registered(line: &str) -> Option<String> {
    let rest = line.trim().strip_prefix("register(\"")?;
    Some(rest.split_once('"')?.0.to_owned())
}

impl Run {
    fn take_dump(&mut self, dump: &str) {
        for goroutine in go_dump::parse(dump) {
            let leaked = goroutine.state.strip_suffix(" (leaked)");
            let state = leaked.unwrap_or(&goroutine.state);
            if let Some(site) = goroutine.site
                && !NOT_BLOCKED.contains(&state)
            {
                let left = self.sites.entry(site).or_default();
                left.blocked += 1;
                left.by_go += u64::from(leaked.is_some());
            }
        }
    }

    fn take_report(&mut self, report: &Value) -> Result<()> {
        let processes = report.get("processes").and_then(Value::as_array);
        for process in processes.context("no processes")? {
            for list in ["leaks", "blocked"] {
                let sites = process.get(list).and_then(Value::as_array);
                for site in sites.with_context(|| format!("no {list}"))? {
                    let text = |key: &str| site.get(key).and_then(Value::as_str);
                    let place = text("created_by").zip(text("location")).context("no place")?;
                    let left = self.sites.entry(format!("{} {}", place.0, place.1)).or_default();
                    let count = site.get("goroutines").and_then(Value::as_u64).unwrap_or(0);
                    if list == "leaks" {
                        left.by_check += count;
                    } else {
                        left.by_strict += count;
                    }
                    let reason = text("wait_reason").unwrap_or_default();
                    let for_good = reason.contains("nil chan") || reason.contains("no cases");
                    self.spoiled |= text("rule") == Some("never") && !for_good;
                }
            }
        }
        Ok(())
    }

    /// `go` statements that left goroutines blocked.
    pub fn left(&self) -> impl Iterator<Item = &Left> {
        self.sites.values().filter(|left| left.blocked > 0)
    }

    /// `go` statements that `check` names although it left none.
    pub fn wrong(&self) -> impl Iterator<Item = &str> {
        let wrong = |left: &Left| left.blocked == 0 && left.by_check > 0;
        self.sites.iter().filter(move |(_, left)| wrong(left)).map(|(site, _)| site.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dump_and_report_are_about_the_same_places() {
        let mut run = Run::default();
        run.take_dump(
            "goroutine 1 [running]:\nmain.main()\n\t/a/main.go:5 +0x1\n\n\
             goroutine 7 [chan send (leaked)]:\nmain.A.func1()\n\t/a/a.go:9 +0x1\n\
             created by main.A in goroutine 1\n\t/a/a.go:7 +0x2\n\n\
             goroutine 8 [select]:\nmain.A.func1()\n\t/a/a.go:9 +0x1\n\
             created by main.A in goroutine 1\n\t/a/a.go:7 +0x2\n\n\
             goroutine 9 [sleep]:\nmain.B()\n\t/a/a.go:9 +0x1\n\
             created by main.A in goroutine 1\n\t/a/a.go:8 +0x2\n",
        );
        let report = serde_json::json!({"processes": [{"leaks": [
            {"created_by": "main.A", "location": "a.go:7", "goroutines": 2, "rule": "left"},
            {"created_by": "main.A", "location": "a.go:8", "goroutines": 1, "rule": "left"},
        ], "blocked": []}]});
        run.take_report(&report).unwrap();
        let left = Left { blocked: 2, by_go: 1, by_check: 2, by_strict: 0 };
        assert_eq!(run.sites.get("main.A a.go:7"), Some(&left));
        assert_eq!((run.left().count(), run.spoiled), (1, false));
        assert_eq!(run.wrong().collect::<Vec<_>>(), ["main.A a.go:8"]);
    }
}
