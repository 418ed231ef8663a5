//! A generated Go program with very many creation sites: each `go` statement in it is a line of its
//! own.

use std::{fmt::Write as _, fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use tempfile::TempDir;

use crate::{
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};

/// `go` statements in a function, and functions in a file.
const PER_FUNCTION: u32 = 50;
const PER_FILE: u32 = 50;
/// Sites that start more than one goroutine.
const LARGE: u32 = 20;
/// How many the smallest of them starts; each next one starts one more.
const LEAST: u32 = 50;

const MAIN: &str = r#"package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
)

var never = make(chan int)

func wait() { <-never }

func times(n int, start func()) {
	for i := 0; i < n; i++ {
		start()
	}
}

func main() {
	fmt.Println(`{"ready": true}`)
	words := bufio.NewScanner(os.Stdin)
	for words.Scan() {
		switch words.Text() {
		case "go":
			all()
			fmt.Printf("{\"goroutines\": %d}\n", runtime.NumGoroutine())
		case "quit":
			return
		}
	}
}
"#;

/// The program, built.
#[derive(Debug)]
pub struct ManySites {
    folder: TempDir,
    /// Its sites that start more than one goroutine: `file.go:line`, and how many.
    pub large: Vec<(String, u64)>,
    /// Goroutines that all sites start together.
    pub goroutines: u64,
}

/// What it knows of itself when all have started.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Started {
    /// `runtime.NumGoroutine()`
    pub goroutines: u64,
}

impl ManySites {
    /// Generates and builds one with so many sites.
    ///
    /// # Errors
    /// Where there is no toolchain, or it refuses the program.
    pub fn build(sites: u32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut program = Self { folder, large: Vec::new(), goroutines: 0 };
        program.generate(sites)?;
        let go = Go::find(NEWEST)?;
        let built = go
            .command()?
            .current_dir(program.folder.path())
            .env("CGO_ENABLED", "0")
            .args(["build", "-buildvcs=false", "-o", "sites"])
            .output()
            .context("starting go build")?;
        let said = String::from_utf8_lossy(&built.stderr);
        ensure!(built.status.success(), "building {sites} sites: {said}");
        Ok(program)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("sites")
    }

    /// Starts it; its goroutines begin when it is told `go`.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(&self) -> Result<Speaker> {
        Speaker::start(&self.path(), &[] as &[&str])
    }

    fn generate(&mut self, sites: u32) -> Result<()> {
        let write = |name: &str, text: &str| {
            let path = self.folder.path().join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
        };
        write("main.go", MAIN)?;
        write("go.mod", "module sites\n\ngo 1.21\n")?;
        let functions = sites.div_ceil(PER_FUNCTION);
        let mut all = "package main\n\nfunc all() {\n".to_owned();
        for first in (0..functions).step_by(usize::try_from(PER_FILE)?) {
            let (name, mut text) = (format!("part{first}.go"), "package main\n".to_owned());
            for function in first..functions.min(first + PER_FILE) {
                writeln!(all, "\tstart{function}()")?;
                writeln!(text, "\nfunc start{function}() {{")?;
                let (from, to) = (function * PER_FUNCTION, (function + 1) * PER_FUNCTION);
                for site in from..to.min(sites) {
                    // They are spread over the whole program, the last site among them.
                    let apart = sites / LARGE;
                    let number = match (site + 1) % apart {
                        0 if (site + 1) / apart <= LARGE => LEAST + site / apart,
                        _ => 1,
                    };
                    self.goroutines += u64::from(number);
                    if number == 1 {
                        writeln!(text, "\tgo wait()")?;
                    } else {
                        let line = text.lines().count() + 1;
                        self.large.push((format!("{name}:{line}"), number.into()));
                        writeln!(text, "\ttimes({number}, func() {{ go wait() }})")?;
                    }
                }
                text.push_str("}\n");
            }
            write(&name, &text)?;
        }
        all.push_str("}\n");
        write("all.go", &all)
    }
}
