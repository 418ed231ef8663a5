//! Servers written in Go, as Debian ships them: built and stripped by others, busy in their own way.

use std::{
    fmt,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::{
    debian,
    go_dump::{self, Dumped},
    http, poll,
    process::Guard,
    prometheus::{self, Scrape},
};

/// `GOMAXPROCS` of the servers: not what they would choose themselves.
pub const PROCESSORS: u64 = 3;
/// How long one may take to serve; generous, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The key-value store.
    Etcd,
    /// The time-series database.
    Prometheus,
    /// The web server.
    Caddy,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Etcd, Self::Prometheus, Self::Caddy];

    /// Its executable.
    ///
    /// # Errors
    /// Where its package cannot be had.
    pub fn program(self) -> Result<PathBuf> {
        let (package, name) = match self {
            Self::Etcd => ("etcd-server", "etcd"),
            Self::Prometheus => ("prometheus", "prometheus"),
            Self::Caddy => ("caddy", "caddy"),
        };
        Ok(debian::package(package)?.join("usr/bin").join(name))
    }

    /// Something small to do: a path below the address of its metrics.
    fn errand(self) -> &'static str {
        match self {
            Self::Etcd => "/health",
            Self::Prometheus => "/api/v1/query?query=vector(1)",
            Self::Caddy => "/config/",
        }
    }

    /// The command that serves at `address`, with all that it keeps in `folder`.
    fn command(self, program: &Path, folder: &Path, address: SocketAddr) -> Result<Command> {
        let mut command = Command::new(program);
        match self {
            Self::Etcd => {
                let (clients, peers) = (format!("http://{address}"), format!("http://{}", free()?));
                command
                    .args(["--enable-pprof", "--data-dir"])
                    .arg(folder.join("data"))
                    .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
                    .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
                    .args(["--initial-cluster", &format!("default={peers}")]);
            }
            Self::Prometheus => {
                let config = folder.join("prometheus.yml");
                fs::write(&config, "global: {}\n")?;
                command
                    .arg(format!("--config.file={}", config.display()))
                    .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
                    .arg(format!("--web.listen-address={address}"));
            }
            Self::Caddy => {
                let config = folder.join("caddy.json");
                let text = format!(r#"{{"admin": {{"listen": "{address}"}}}}"#);
                fs::write(&config, text)?;
                command.args(["run", "--config"]).arg(config);
            }
        }
        command
            .current_dir(folder)
            .env("HOME", folder)
            .env("XDG_DATA_HOME", folder)
            .env("XDG_CONFIG_HOME", folder)
            .env("GOMAXPROCS", PROCESSORS.to_string());
        Ok(command)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Etcd => "etcd",
            Self::Prometheus => "prometheus",
            Self::Caddy => "caddy",
        })
    }
}

/// A running server; ended when dropped.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    guard: Guard,
    address: SocketAddr,
    folder: TempDir,
}

impl Server {
    /// Starts it on the loopback address, and waits until it serves.
    ///
    /// # Errors
    /// Where it does not; its log is in the error.
    pub fn start(kind: Kind) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // A copy is an executable that nobody else runs.
        let program = folder.path().join(kind.to_string());
        let original = kind.program()?;
        fs::copy(&original, &program).with_context(|| format!("copying {}", original.display()))?;
        let address = free()?;
        let log = File::create(folder.path().join("log"))?;
        let mut command = kind.command(&program, folder.path(), address)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let guard = Guard::start(&mut command)?;
        let mut server = Self { kind, guard, address, folder };
        let served = poll::until(&format!("{kind} serves"), PATIENCE, || {
            if let Some(status) = server.guard.ended()? {
                bail!("it ended ({status})");
            }
            server.metrics().map(Some)
        });
        served.with_context(|| server.log())?;
        Ok(server)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.guard.pid()
    }

    /// A glob for its executable and no other.
    #[must_use]
    pub fn glob(&self) -> String {
        self.folder.path().join("*").display().to_string()
    }

    /// What it has written.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn get(&self, path: &str) -> Result<String> {
        let answer = http::get(self.address, path, &[])?;
        ensure!(answer.status == 200, "{}{path}: status {}", self.kind, answer.status);
        answer.text()
    }

    /// Its own metrics.
    ///
    /// # Errors
    /// Where it does not serve them.
    pub fn metrics(&self) -> Result<Scrape> {
        prometheus::parse(&self.get("/metrics")?)
    }

    /// Its goroutines by its own dump, without those that served the dump.
    ///
    /// # Errors
    /// Where it does not serve one.
    pub fn goroutines(&self) -> Result<Vec<Dumped>> {
        let mut dump = go_dump::parse(&self.get("/debug/pprof/goroutine?debug=2")?);
        ensure!(!dump.is_empty(), "{} dumps no goroutines", self.kind);
        // The first makes the dump; the other waits whether the client goes away meanwhile.
        dump.remove(0);
        let watches = |site: &String| site.starts_with("net/http.(*connReader).startBackground");
        dump.retain(|goroutine| !goroutine.site.as_ref().is_some_and(watches));
        Ok(dump)
    }

    /// Has it do something small, in goroutines of its own.
    ///
    /// # Errors
    /// Where it does not.
    pub fn work(&self) -> Result<()> {
        self.get(self.kind.errand()).map(drop)
    }
}

/// An address of the loopback interface that nobody listened on a moment ago.
fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
