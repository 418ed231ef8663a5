//! The Go toolchains that fixtures are built with.

use std::{fmt, path::PathBuf, process::Command};

use anyhow::{Result, bail, ensure};

use crate::cache;

/// The releases that goroscope is tested with, the oldest first.
pub const VERSIONS: [&str; 7] =
    ["1.21.13", "1.22.10", "1.23.9", "1.24.11", "1.25.5", "1.26.6", "1.27.3"];
/// The newest of [`VERSIONS`].
pub const NEWEST: &str = "1.27.3";
/// An older one, which Debian has as a package and Python's registry does not have as a wheel.
pub const DEBIAN: &str = "1.19";
/// All of them, the oldest first: what reads a runtime's records has to know each layout.
pub const WITH_DEBIAN: [&str; 8] = {
    let [a, b, c, d, e, f, g] = VERSIONS;
    [DEBIAN, a, b, c, d, e, f, g]
};

/// An unpacked Go toolchain.
#[derive(Clone, Debug)]
pub struct Go {
    /// `1.27.3`
    pub version: &'static str,
    /// Its `GOROOT`.
    pub root: PathBuf,
}

impl Go {
    /// Where the toolchain of this version is kept, whether it is there or not.
    ///
    /// # Errors
    /// Where there is no cache folder.
    pub fn at(version: &'static str) -> Result<Self> {
        Ok(Self { version, root: cache::folder()?.join("go").join(version).join("go") })
    }

    /// The toolchain of this version.
    ///
    /// # Errors
    /// Where it is not installed.
    pub fn find(version: &'static str) -> Result<Self> {
        let mut go = Self::at(version)?;
        if go.is_there() {
            return Ok(go);
        }
        if version == DEBIAN {
            let cached = std::mem::replace(&mut go.root, format!("/usr/lib/go-{version}").into());
            ensure!(
                go.is_there(),
                "Go {version} is neither at {} nor at {}: install Debian's golang-{version}-go",
                go.root.display(),
                cached.display()
            );
            return Ok(go);
        }
        bail!("Go {version} is not at {}: run `cargo xtask setup` first", go.root.display());
    }

    fn is_there(&self) -> bool {
        self.root.join("bin/go").is_file()
    }

    /// 21 for Go 1.21.13.
    #[must_use]
    pub fn minor(&self) -> u32 {
        self.version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0)
    }

    /// The `go` command, cut off from the network and from the user's settings.
    ///
    /// # Errors
    /// Where there is no cache folder.
    pub fn command(&self) -> Result<Command> {
        let cache = cache::folder()?;
        let mut command = Command::new(self.root.join("bin/go"));
        command
            .env("GOROOT", &self.root)
            .env("GOTOOLCHAIN", "local")
            .env("GOENV", "off")
            .env("GOFLAGS", "-mod=mod")
            .env("GOPROXY", "off")
            .env("GOWORK", "off")
            .env("GOTELEMETRY", "off")
            .env("GOCACHE", cache.join("gocache"))
            .env("GOPATH", cache.join("gopath"))
            .env_remove("GOARCH")
            .env_remove("GOOS")
            .env_remove("GOEXPERIMENT")
            .env_remove("GODEBUG");
        Ok(command)
    }
}

impl fmt::Display for Go {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "go{}", self.version)
    }
}
