//! A running fixture: JSON lines from it, words to it.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, de::DeserializeOwned};

use crate::process::Guard;

/// How long a fixture may take to answer; generous, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A fixture that speaks the protocol of `tests/fixtures/internal/protocol`.
#[derive(Debug)]
pub struct Speaker {
    guard: Guard,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

#[derive(Deserialize)]
struct Ready {
    ready: bool,
}

/// What a fixture knows itself of its goroutines.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Report {
    /// User goroutines it started.
    pub created: u64,
    /// Those of them that ended.
    pub exited: u64,
    /// `runtime.NumGoroutine()` at the end.
    pub num_goroutine: u64,
    /// `/sched/goroutines-created:goroutines` before the work, where the runtime has it.
    pub runtime_created_before: Option<u64>,
    /// The same after the work.
    pub runtime_created_after: Option<u64>,
}

impl Speaker {
    /// Starts the fixture and waits until it is ready.
    ///
    /// # Errors
    /// Where it does not start, or ends, or says something else.
    pub fn start(path: &Path, arguments: &[impl AsRef<OsStr>]) -> Result<Self> {
        Self::start_command(Command::new(path).args(arguments))
    }

    /// As [`Speaker::start`], for a command that becomes the fixture.
    ///
    /// # Errors
    /// As there.
    pub fn start_command(command: &mut Command) -> Result<Self> {
        let speaker = Self::spawn(command)?;
        speaker.ready()?;
        Ok(speaker)
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// Where it ends, or says something else.
    pub fn ready(&self) -> Result<()> {
        let ready: Ready = self.hear()?;
        ensure!(ready.ready, "the fixture is not ready");
        Ok(())
    }

    /// Starts it and does not wait.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let mut guard = Guard::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let stdin = guard.child().stdin.take().context("no pipe to the fixture")?;
        let stdout = guard.child().stdout.take().context("no pipe from the fixture")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { guard, stdin, lines })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.guard.pid()
    }

    /// The process.
    pub fn guard(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// Sends a word.
    ///
    /// # Errors
    /// Where the fixture has ended.
    pub fn say(&mut self, word: &str) -> Result<()> {
        writeln!(self.stdin, "{word}").with_context(|| format!("saying {word:?} to the fixture"))
    }

    /// The next line, as JSON.
    ///
    /// # Errors
    /// Where none comes, or it has another shape.
    pub fn hear<T: DeserializeOwned>(&self) -> Result<T> {
        let line = self
            .lines
            .recv_timeout(PATIENCE)
            .with_context(|| format!("process {} ended or said nothing", self.pid()))?;
        serde_json::from_str(&line).with_context(|| format!("the fixture said {line:?}"))
    }

    /// Lets it work, and gives its report.
    ///
    /// # Errors
    /// As [`Speaker::hear`].
    pub fn work(&mut self) -> Result<Report> {
        self.say("go")?;
        self.hear()
    }

    /// Lets it end of itself.
    ///
    /// # Errors
    /// Where it does not.
    pub fn quit(mut self) -> Result<ExitStatus> {
        self.say("quit")?;
        self.guard.wait(PATIENCE)
    }
}
