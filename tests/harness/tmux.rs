//! A real terminal: a tmux of our own, with a program in it, keys to it and its screen back.

use std::{
    ffi::OsString,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::{debian, poll, requires};

/// Packages of Debian that tmux and what it needs are in, by their names over the years.
const PACKAGES: [&[&str]; 3] =
    [&["tmux"], &["libevent-core-2.1-7t64", "libevent-core-2.1-7"], &["libutempter0"]];

/// Where tmux is, and where its libraries are, if it is not the system's.
struct Program {
    path: PathBuf,
    libraries: Option<OsString>,
}

impl Program {
    fn find() -> Result<Self> {
        if requires::command("tmux").is_ok() {
            return Ok(Self { path: "tmux".into(), libraries: None });
        }
        let mut folders = Vec::new();
        for names in PACKAGES {
            let found = names.iter().find_map(|name| debian::package(name).ok());
            folders.push(found.with_context(|| format!("no package {}", names.join(" or ")))?);
        }
        let path = folders.first().context("no tmux")?.join("usr/bin/tmux");
        let triplet = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let libraries = std::env::join_paths(folders.iter().map(|folder| folder.join(&triplet)))?;
        Ok(Self { path, libraries: Some(libraries) })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command.stdin(Stdio::null());
        command
    }
}

/// A tmux that works.
///
/// # Errors
/// That there is none.
pub fn usable() -> Result<(), String> {
    let works = || -> Result<()> {
        let output = Program::find()?.command().arg("-V").output().context("starting tmux")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    };
    works().map_err(|error| format!("needs tmux: {error:#}"))
}

/// A terminal with a program in it; both end when this is dropped.
pub struct Tmux {
    program: Program,
    folder: TempDir,
}

impl Tmux {
    /// Starts a shell command in a terminal of this size.
    ///
    /// # Errors
    /// Where tmux does not start.
    pub fn start(width: u16, height: u16, command: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("conf"), "set -g status off\nset -g escape-time 0\n")?;
        let tmux = Self { program: Program::find()?, folder };
        let (width, height) = (width.to_string(), height.to_string());
        tmux.run(&["new-session", "-d", "-x", &width, "-y", &height, command])?;
        Ok(tmux)
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut tmux = self.program.command();
        tmux.arg("-u")
            .arg("-S")
            .arg(self.folder.path().join("socket"))
            .arg("-f")
            .arg(self.folder.path().join("conf"))
            .args(arguments)
            .env_remove("TMUX")
            .env_remove("NO_COLOR")
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "xterm-256color");
        let output = tmux.output().context("starting tmux")?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("tmux {arguments:?}: {}", errors.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Presses keys, by tmux's names: `Enter`, `Escape`, `C-c`, `q`.
    ///
    /// # Errors
    /// Where the terminal is gone.
    pub fn press(&self, keys: &[&str]) -> Result<()> {
        self.run(&[&["send-keys"], keys].concat()).map(drop)
    }

    /// Presses the left button of the mouse there, counted from 0.
    ///
    /// # Errors
    /// Where the terminal is gone.
    pub fn click(&self, x: usize, y: usize) -> Result<()> {
        // As a terminal tells of it that was asked to, with the coordinates from 1.
        let report = format!("\x1b[<0;{};{}M", x + 1, y + 1);
        let bytes: Vec<String> = report.bytes().map(|byte| format!("{byte:02x}")).collect();
        let bytes: Vec<&str> = bytes.iter().map(String::as_str).collect();
        self.run(&[&["send-keys", "-H"], bytes.as_slice()].concat()).map(drop)
    }

    /// Gives it another size.
    ///
    /// # Errors
    /// Where the terminal is gone.
    pub fn resize(&self, width: u16, height: u16) -> Result<()> {
        let (width, height) = (width.to_string(), height.to_string());
        self.run(&["resize-window", "-x", &width, "-y", &height]).map(drop)
    }

    /// What is on the screen.
    ///
    /// # Errors
    /// Where the terminal is gone.
    pub fn screen(&self) -> Result<String> {
        self.run(&["capture-pane", "-p"])
    }

    /// As [`Tmux::screen`], with the codes for colours.
    ///
    /// # Errors
    /// As there.
    pub fn painted(&self) -> Result<String> {
        self.run(&["capture-pane", "-p", "-e"])
    }

    /// One of tmux's variables: `alternate_on`, `mouse_any_flag`, `pane_title`.
    ///
    /// # Errors
    /// Where the terminal is gone.
    pub fn variable(&self, name: &str) -> Result<String> {
        let value = self.run(&["display-message", "-p", &format!("#{{{name}}}")])?;
        Ok(value.trim_end().to_owned())
    }

    /// Waits until the screen is as it should be, and gives it.
    ///
    /// # Errors
    /// Where it is not in time; with what is on it.
    pub fn wait(
        &self,
        what: &str,
        limit: Duration,
        enough: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let mut last = String::new();
        poll::until(what, limit, || {
            std::thread::sleep(Duration::from_millis(100));
            last = self.screen()?;
            Ok(enough(&last).then(|| last.clone()))
        })
        .with_context(|| format!("the screen:\n{last}"))
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // It ends by itself when its program has.
        let _ended = self.run(&["kill-server"]);
    }
}
