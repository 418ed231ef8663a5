//! The agent under test.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read},
    net::SocketAddr,
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    fixture,
    https::Way,
    poll,
    process::Guard,
    prometheus::{self, Scrape},
    sites::Site,
    workspace,
};

/// How long the agent may take to start or to notice something; generous, for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running agent; killed when dropped.
#[derive(Debug)]
pub struct Agent {
    guard: Guard,
    address: SocketAddr,
    way: Way,
    log: Arc<Mutex<Vec<String>>>,
}

/// One process, of `/api/v1/processes`.
#[derive(Clone, Debug, Deserialize)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// RFC 3339.
    pub start_time: String,
    /// Path of the executable.
    pub exe: String,
    /// `go1.26.6`
    pub go_version: Option<String>,
    /// How well it is watched.
    pub watch: Watch,
    /// Live user goroutines.
    pub goroutines: Option<u64>,
    /// Goroutines created since it started.
    pub created_total: Option<u64>,
}

/// How well a process is watched.
#[derive(Clone, Debug, Deserialize)]
pub struct Watch {
    /// `ok` or the reason.
    pub runtime: String,
    /// `ok`, `off` or the reason.
    pub probes: String,
}

/// One agent for all trials of a matrix, which watches what runs from the fixtures' folder.
#[derive(Debug)]
pub struct Shared {
    options: &'static [&'static str],
    agent: Mutex<Option<Arc<Agent>>>,
}

impl Shared {
    /// An agent with these further options, which does not run yet.
    #[must_use]
    pub fn new(options: &'static [&'static str]) -> Self {
        Self { options, agent: Mutex::default() }
    }

    /// The agent; the first who asks starts it.
    ///
    /// # Errors
    /// As [`Agent::start`].
    pub fn agent(&self) -> Result<Arc<Agent>> {
        let mut agent = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agent.as_ref() {
            return Ok(Arc::clone(agent));
        }
        let glob = fixture::built()?.join("**");
        let glob = glob.to_str().context("the cache folder's path is not UTF-8")?;
        let started = Arc::new(Agent::start(&[&["--exe", glob], self.options].concat())?);
        *agent = Some(Arc::clone(&started));
        Ok(started)
    }
}

/// All processes that `goroscope ps` with these options lists.
///
/// # Errors
/// Where it fails; what it said is in the error.
pub fn ps(arguments: &[impl AsRef<OsStr>]) -> Result<Vec<Process>> {
    let mut command = Command::new(workspace::goroscope()?);
    let output = command
        .args(["ps", "--output", "json"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("starting goroscope ps")?;
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "goroscope ps: {}: {err}", output.status);
    serde_json::from_str(&out).with_context(|| format!("goroscope ps: {out}"))
}

/// The command `goroscope agent` on a free port, with a log that can be read.
///
/// # Errors
/// Where it has not been built.
pub fn command(arguments: &[impl AsRef<OsStr>]) -> Result<Command> {
    let mut command = Command::new(workspace::goroscope()?);
    command
        .args(["agent", "--listen", "127.0.0.1:0", "--log-format", "json"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(command)
}

impl Agent {
    /// Starts `goroscope agent` with these options and waits until it is ready.
    ///
    /// # Errors
    /// Where it ends or does not get ready; its log is in the error.
    pub fn start(arguments: &[impl AsRef<OsStr>]) -> Result<Self> {
        Self::start_command(&mut command(arguments)?)
    }

    /// As [`Agent::start`], for a command that becomes the agent.
    ///
    /// # Errors
    /// As there.
    pub fn start_command(command: &mut Command) -> Result<Self> {
        Self::start_behind(command, Way::default())
    }

    /// The same, for an agent that is asked this way.
    ///
    /// # Errors
    /// As there.
    pub fn start_behind(command: &mut Command, way: Way) -> Result<Self> {
        let mut guard = Guard::start(command)?;
        let log = Arc::new(Mutex::new(Vec::new()));
        let stderr = guard.child().stderr.take().context("no pipe from the agent")?;
        if let Some(stdout) = guard.child().stdout.take() {
            follow(stdout, &log);
        }
        follow(stderr, &log);
        let deadline = Instant::now() + PATIENCE;
        let address = loop {
            if let Some(address) = lines(&log).iter().find_map(|line| bound_address(line)) {
                break address;
            }
            if let Some(status) = guard.ended()? {
                thread::sleep(Duration::from_millis(50));
                bail!("the agent ended at once ({status}):\n{}", lines(&log).join("\n"));
            }
            ensure!(
                Instant::now() < deadline,
                "the agent names no address it listens on:\n{}",
                lines(&log).join("\n")
            );
            thread::sleep(Duration::from_millis(2));
        };
        let agent = Self { guard, address, way, log };
        poll::until("the agent is ready", PATIENCE, || {
            Ok((agent.way.get(address, "/readyz")?.status == 200).then_some(()))
        })
        .with_context(|| agent.log().join("\n"))?;
        Ok(agent)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.guard.pid()
    }

    /// Where it serves HTTP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process.
    pub fn guard(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// The lines it has written.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        lines(&self.log)
    }

    /// `/metrics`, parsed.
    ///
    /// # Errors
    /// Where there is no answer, or it breaks the format.
    pub fn scrape(&self) -> Result<Scrape> {
        let answer = self.way.get(self.address, "/metrics")?;
        ensure!(answer.status == 200, "/metrics: status {}", answer.status);
        prometheus::parse(&answer.text()?)
    }

    /// A JSON answer.
    ///
    /// # Errors
    /// Where there is none, or it has another shape.
    pub fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = self.way.get(self.address, path)?;
        let status = answer.status;
        let text = answer.text()?;
        ensure!(status == 200, "{path}: status {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("{path}: {text}"))
    }

    /// All processes it knows.
    ///
    /// # Errors
    /// As [`Agent::json`].
    pub fn processes(&self) -> Result<Vec<Process>> {
        self.json("/api/v1/processes")
    }

    /// The process, if the agent knows it.
    ///
    /// # Errors
    /// As [`Agent::json`].
    pub fn process(&self, pid: u32) -> Result<Option<Process>> {
        Ok(self.processes()?.into_iter().find(|process| process.pid == pid))
    }

    /// The creation sites of a process.
    ///
    /// # Errors
    /// As [`Agent::json`].
    pub fn sites(&self, pid: u32) -> Result<Vec<Site>> {
        let value: Value = self.json(&format!("/api/v1/processes/{pid}/sites"))?;
        // A bare array, or an object that holds it beside what is known of the process.
        let sites = value.get("sites").unwrap_or(&value).clone();
        serde_json::from_value(sites).with_context(|| format!("sites of {pid}: {value}"))
    }

    /// Waits until the process's runtime is read.
    ///
    /// # Errors
    /// Where it is not in time; with what the agent says of it.
    pub fn wait_read(&self, pid: u32) -> Result<Process> {
        self.wait_watched(pid, "read", |watch| watch.runtime == "ok")
    }

    /// Waits until the process is watched by probes.
    ///
    /// # Errors
    /// Where it is not in time; with what the agent says of it.
    pub fn wait_probed(&self, pid: u32) -> Result<Process> {
        self.wait_watched(pid, "probed", |watch| watch.probes == "ok")
    }

    fn wait_watched(
        &self,
        pid: u32,
        how: &str,
        enough: impl Fn(&Watch) -> bool,
    ) -> Result<Process> {
        let mut last = None;
        poll::until(&format!("process {pid} is {how}"), PATIENCE, || {
            last = self.process(pid)?;
            Ok(last.clone().filter(|process| enough(&process.watch)))
        })
        .with_context(|| format!("last seen: {last:?}; log:\n{}", self.log().join("\n")))
    }

    /// Ends it with `signal`, and gives its status and the time it took.
    ///
    /// # Errors
    /// Where it has not ended after [`PATIENCE`].
    pub fn end(mut self, signal: Signal) -> Result<(ExitStatus, Duration, Vec<String>)> {
        let start = Instant::now();
        self.guard.signal(signal)?;
        let status = self.guard.wait(PATIENCE)?;
        Ok((status, start.elapsed(), self.log()))
    }
}

fn lines(log: &Mutex<Vec<String>>) -> Vec<String> {
    log.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn follow(pipe: impl Read + Send + 'static, log: &Arc<Mutex<Vec<String>>>) {
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
}

/// The address in a log line: any string in its JSON that is a socket address with a port.
fn bound_address(line: &str) -> Option<SocketAddr> {
    fn search(value: &Value) -> Option<SocketAddr> {
        match value {
            Value::String(text) => {
                let text = text.strip_prefix("http://").unwrap_or(text);
                let text = text.strip_prefix("https://").unwrap_or(text);
                text.trim_end_matches('/').parse().ok().filter(|at: &SocketAddr| at.port() != 0)
            }
            Value::Array(values) => values.iter().find_map(search),
            Value::Object(fields) => fields.values().find_map(search),
            _ => None,
        }
    }
    search(&serde_json::from_str(line).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_address_is_found_in_the_log() {
        let line =
            r#"{"level":"INFO","fields":{"message":"listening","address":"127.0.0.1:4676"}}"#;
        assert_eq!(bound_address(line), "127.0.0.1:4676".parse().ok());
        assert_eq!(bound_address(r#"{"listen":"127.0.0.1:0"}"#), None);
        assert_eq!(bound_address("no JSON 127.0.0.1:1"), None);
    }
}
