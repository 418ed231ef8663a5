//! `goroscope trace` at work.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde::Deserialize;

use crate::{process::Guard, workspace};

/// How long it may take to begin, or to end; generous, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `tests/fixtures/traced` measures itself, in nanoseconds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Measured {
    /// The goroutine that it is about.
    pub goid: u64,
    /// From when it could run to when it did, summed up.
    pub delay: u64,
    /// Time that passed.
    pub wall: u64,
    /// CPU time that the process used in it.
    pub cpu: u64,
    /// Time in `time.Sleep`.
    pub slept: u64,
    /// Time in `Mutex.Lock`.
    pub locked: u64,
}

/// A trace that is being taken; killed when dropped.
#[derive(Debug)]
pub struct Tracing {
    guard: Guard,
    stdout: Option<ChildStdout>,
    log: Receiver<String>,
}

impl Tracing {
    /// Starts one of a process, and waits until it records. Without another duration it is ended
    /// with [`Tracing::interrupt`].
    ///
    /// # Errors
    /// Where it ends before; what it said is in the error.
    pub fn start(pid: u32, path: &Path, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(workspace::goroscope()?);
        command.args(["trace", &pid.to_string(), "-v", "-o"]).arg(path);
        command.env("GOROSCOPE_DURATION", "10m").args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut guard = Guard::start(&mut command)?;
        let stdout = guard.child().stdout.take();
        let stderr = guard.child().stderr.take().context("no pipe")?;
        let (sender, log) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut said = Vec::new();
        while !said.last().is_some_and(|line: &String| line.contains("recording")) {
            let line = log.recv_timeout(PATIENCE);
            said.push(line.with_context(|| format!("it does not record:\n{}", said.join("\n")))?);
        }
        Ok(Self { guard, stdout, log })
    }

    /// Ctrl-C; gives what it says then.
    ///
    /// # Errors
    /// As [`Tracing::ends`].
    pub fn interrupt(&mut self) -> Result<String> {
        self.guard.signal(Signal::INT)?;
        self.ends()
    }

    /// Stops it for a while, so that it fetches nothing.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn stop_for(&mut self, time: Duration) -> Result<()> {
        self.guard.signal(Signal::STOP)?;
        thread::sleep(time);
        self.guard.signal(Signal::CONT)
    }

    /// Waits for its end; gives what it says then.
    ///
    /// # Errors
    /// Where it fails, or does not end.
    pub fn ends(&mut self) -> Result<String> {
        let mut text = String::new();
        let mut stdout = self.stdout.take().context("it has ended before")?;
        stdout.read_to_string(&mut text)?;
        let status = self.guard.wait(PATIENCE)?;
        let log: Vec<String> = self.log.try_iter().collect();
        ensure!(status.success(), "{status}: {text}\n{}", log.join("\n"));
        Ok(text)
    }
}
