//! What systemd is to a service: a socket that hears how it does, and sockets opened for it.

use std::{
    io::ErrorKind,
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// Hears what a service says: sd_notify(3).
#[derive(Debug)]
pub struct ServiceManager {
    socket: UnixDatagram,
    folder: TempDir,
}

impl ServiceManager {
    /// One with a socket of its own.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let socket = UnixDatagram::bind(folder.path().join("notify"))?;
        Ok(Self { socket, folder })
    }

    /// Path of the socket, for `NOTIFY_SOCKET`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("notify")
    }

    /// The next message, within `limit`; `None` where none comes.
    ///
    /// # Errors
    /// Where the socket fails.
    pub fn next(&self, limit: Duration) -> Result<Option<String>> {
        self.socket.set_read_timeout(Some(limit.max(Duration::from_millis(1))))?;
        let mut buffer = [0; 4096];
        match self.socket.recv(&mut buffer) {
            Ok(length) => {
                let message = buffer.get(..length).unwrap_or_default();
                Ok(Some(String::from_utf8(message.to_vec())?))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// All messages until one with a line that begins so, that one as the last.
    ///
    /// # Errors
    /// Where it does not come within `limit`.
    pub fn until(&self, beginning: &str, limit: Duration) -> Result<Vec<String>> {
        let deadline = Instant::now() + limit;
        let mut heard = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("not within {limit:?}: {beginning}; heard {heard:?}");
            }
            let Some(message) = self.next(left)? else { continue };
            let is_it = message.lines().any(|line| line.starts_with(beginning));
            heard.push(message);
            if is_it {
                return Ok(heard);
            }
        }
    }
}

/// A command that becomes what `original` would have been, with up to two descriptors handed over
/// as sd_listen_fds(3) has it; its standard output goes nowhere.
///
/// # Errors
/// Where a file cannot be opened.
pub fn handing_over(original: &Command, descriptors: Vec<OwnedFd>, names: &str) -> Result<Command> {
    let count = descriptors.len();
    let mut descriptors = descriptors.into_iter();
    // The numbers are those of standard input and output until the shell has moved them.
    let script = "exec 3<&0 4<&1 </dev/null >/dev/null; export LISTEN_PID=$$; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(original.get_program()).args(original.get_args());
    command.env("LISTEN_FDS", count.to_string()).env("LISTEN_FDNAMES", names);
    command.stdin(Stdio::from(descriptors.next().context("no descriptor")?));
    command.stdout(descriptors.next().map_or_else(Stdio::null, Stdio::from));
    command.stderr(Stdio::piped());
    Ok(command)
}
