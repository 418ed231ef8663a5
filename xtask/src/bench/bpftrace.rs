//! bpftrace as users would point it at a Go program: entry probes on `newproc` and `goexit1`.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::process::Guard;
use rustix::process::Signal;

/// How long it may take to attach, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A bpftrace that counts births and deaths.
pub(super) struct Bpftrace {
    guard: Guard,
    lines: Receiver<String>,
}

impl Bpftrace {
    /// Starts it and waits until its probes are attached.
    pub(super) fn start(program: &Path, pid: u32) -> Result<Self> {
        let path = program.display();
        // The last probe fires only once those before it are attached.
        let script = format!(
            "uprobe:{path}:runtime.newproc {{ @born = count(); }} \
             uprobe:{path}:runtime.goexit1 {{ @died = count(); }} \
             interval:ms:100 {{ printf(\"attached\\n\"); }}"
        );
        let mut command = Command::new("bpftrace");
        command
            .args(["-p", &pid.to_string(), "-e", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut guard = Guard::start(&mut command)?;
        let stdout = guard.child().stdout.take().context("no pipe")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        while lines.recv_timeout(PATIENCE).context("bpftrace does not attach")? != "attached" {}
        Ok(Self { guard, lines })
    }

    /// Ends it; it must have counted about this many births.
    pub(super) fn end(mut self, born: u64) -> Result<()> {
        self.guard.signal(Signal::INT)?;
        self.guard.wait(PATIENCE)?;
        let counted = self
            .lines
            .iter()
            .find_map(|line| line.strip_prefix("@born: ")?.parse::<u64>().ok())
            .context("bpftrace counted nothing")?;
        // Entry probes count some births twice; what must not be is that it slept.
        ensure!(counted >= born, "bpftrace counted {counted} of {born} births");
        Ok(())
    }
}
