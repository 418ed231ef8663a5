//! A program that leaks, an agent that watches it, and that answers only some.

use std::{fs, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use goroscope_tests::{
    agent::{self, Agent},
    authority::{Authority, authority, issue},
    fixture::{self, Mode},
    http::Answer,
    https::Way,
    poll,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};
use serde::Deserialize;
use tempfile::TempDir;

/// How long anything may take; generous, for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// What the server is called in its certificate.
pub(crate) const NAME: &str = "node.test";
pub(crate) const USER: &str = "prometheus";
pub(crate) const PASSWORD: &str = "open sesame";

/// The head of a configuration: TLS.
pub(crate) const TLS: &str =
    "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

/// `basic_auth_users` with one of this name.
pub(crate) fn users(name: &str, password: &str) -> Result<String> {
    Ok(format!("basic_auth_users:\n  {name}: {}\n", bcrypt::hash(password, 8)?))
}

/// The header of who says to be this.
pub(crate) fn login(name: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")))
}

/// What the program says of itself.
#[derive(Deserialize)]
struct Report {
    num_goroutine: u64,
}

pub(crate) struct Served {
    pub(crate) agent: Agent,
    /// How it is asked by those whom it answers.
    pub(crate) good: Way,
    /// Who vouches for the server.
    pub(crate) authority: Authority,
    program: Speaker,
    folder: TempDir,
}

impl Served {
    /// With this web configuration; `clients.pem` has the certificate of `clients`.
    pub(crate) fn start(
        web: &str,
        clients: &Authority,
        good: impl FnOnce(&Authority) -> Result<Way>,
    ) -> Result<Self> {
        let (folder, authority) = (tempfile::tempdir()?, authority("goroscope's tests")?);
        let good = good(&authority)?;
        fs::write(folder.path().join("clients.pem"), clients.pem())?;
        write_certificate(&folder, &authority)?;
        fs::write(folder.path().join("web.yml"), web)?;
        let (program, pid) = program()?;
        let path = folder.path().join("web.yml");
        let path = path.to_str().context("not UTF-8")?;
        let options = ["--pid", &pid, "--probes", "off", "-v", "--web-config", path];
        let agent = Agent::start_behind(&mut agent::command(&options)?, good.clone())?;
        agent.wait_read(program.pid())?;
        Ok(Self { agent, good, authority, program, folder })
    }

    /// With TLS and one user.
    pub(crate) fn with_password() -> Result<Self> {
        let clients = authority("nobody")?;
        Self::start(&format!("{TLS}{}", users(USER, PASSWORD)?), &clients, |authority| {
            Ok(Way::tls(authority, NAME, None)?.with_login(login(USER, PASSWORD)))
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.agent.address()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Another certificate and key of the same authority.
    pub(crate) fn renew(&self) -> Result<()> {
        write_certificate(&self.folder, &self.authority)
    }

    pub(crate) fn ask(&self, way: &Way) -> Result<Answer> {
        way.get(self.address(), "/metrics")
    }

    /// It goes on watching: it answers who may ask, and with what the program says of itself.
    pub(crate) fn watches(&mut self) -> Result<()> {
        let pid = self.program.pid().to_string();
        let before = self.program_says()?;
        let counted = self.agent.scrape()?.count("goroscope_goroutines", &[("pid", &pid)])?;
        let after = self.program_says()?;
        // It leaks on meanwhile, and its server has requests under way.
        let likely = before.saturating_sub(10)..=after.saturating_add(10);
        ensure!(likely.contains(&counted), "{counted} goroutines, not {likely:?}");
        ensure!(before > 20, "nothing leaks");
        Ok(())
    }

    fn program_says(&mut self) -> Result<u64> {
        self.program.say("report")?;
        Ok(self.program.hear::<Report>()?.num_goroutine)
    }

    pub(crate) fn refused(&self, reason: &str) -> Result<u64> {
        self.agent.scrape()?.count("goroscope_http_refused_total", &[("reason", reason)])
    }

    /// Waits until the log has so many lines with these words.
    pub(crate) fn logged(&self, words: &str, times: usize) -> Result<()> {
        poll::until(&format!("{words:?} is logged {times} times"), PATIENCE, || {
            let log = self.agent.log();
            let found = log.iter().filter(|line| line.contains(words)).count();
            Ok((found == times).then_some(()))
        })
        .with_context(|| self.agent.log().join("\n"))
    }
}

/// The program that leaks, and its process id.
pub(crate) fn program() -> Result<(Speaker, String)> {
    let path = fixture::build("leaks", &Go::find(NEWEST)?, Mode::Normal)?;
    let mut program = Speaker::start(&path, &["range", "40"])?;
    program.say("leak")?;
    let pid = program.pid().to_string();
    Ok((program, pid))
}

fn write_certificate(folder: &TempDir, authority: &Authority) -> Result<()> {
    let (certificate, key) = issue(authority, NAME)?;
    // As who writes one after the other; the agent does not take one without the other.
    fs::write(folder.path().join("server.pem"), certificate.pem())?;
    fs::write(folder.path().join("server.key"), key.serialize_pem())?;
    Ok(())
}
