//! A Prometheus of its own, with a configuration and its rules, asked by its HTTP API.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{debian, http, poll, process::Guard};

/// How long it may take to serve; generous, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running Prometheus; killed when dropped.
#[derive(Debug)]
pub struct PrometheusServer {
    guard: Guard,
    address: SocketAddr,
    folder: TempDir,
}

/// Prometheus and its tool, as Debian ships them.
///
/// # Errors
/// Where the package cannot be had.
pub fn program(name: &str) -> Result<PathBuf> {
    Ok(debian::package("prometheus")?.join("usr/bin").join(name))
}

/// A configuration that scrapes one target, so often, and nothing else.
#[must_use]
pub fn scraping(target: SocketAddr, every: Duration) -> String {
    format!(
        "global:\n  scrape_interval: {}ms\nscrape_configs:\n  - job_name: goroscope\n    \
         honor_labels: true\n    static_configs:\n      - targets: ['{target}']\n",
        every.as_millis()
    )
}

impl PrometheusServer {
    /// Starts it on a free port of the loopback interface, with the configuration `config` and the
    /// files `beside` it, and waits until it serves.
    ///
    /// # Errors
    /// Where it does not; its log is in the error.
    pub fn start(config: &str, beside: &[&Path]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("prometheus.yml");
        fs::write(&path, config)?;
        for file in beside {
            let name = file.file_name().with_context(|| format!("no file: {}", file.display()))?;
            fs::copy(file, folder.path().join(name))
                .with_context(|| format!("copying {}", file.display()))?;
        }
        let log = File::create(folder.path().join("log"))?;
        let guard = Guard::start(
            Command::new(program("prometheus")?)
                .arg(format!("--config.file={}", path.display()))
                .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
                .arg("--web.listen-address=127.0.0.1:0")
                .args(["--log.format", "json"])
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log),
        )?;
        let mut server = Self { guard, address: ([127, 0, 0, 1], 0).into(), folder };
        let served = poll::until("Prometheus serves", PATIENCE, || {
            if let Some(status) = server.guard.ended()? {
                bail!("it ended ({status})");
            }
            let Some(address) = server.log().lines().find_map(bound_address) else {
                return Ok(None);
            };
            server.address = address;
            Ok((http::get(address, "/-/ready", &[])?.status == 200).then_some(()))
        });
        served.with_context(|| server.log())?;
        Ok(server)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.guard.pid()
    }

    /// What it has written.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The `data` of an answer of its API.
    ///
    /// # Errors
    /// Where it answers with an error.
    pub fn api(&self, path: &str) -> Result<Value> {
        let answer = http::get(self.address, path, &[])?;
        let status = answer.status;
        let mut value: Value = serde_json::from_str(&answer.text()?)?;
        ensure!(status == 200, "status {status}: {value}");
        Ok(value.get_mut("data").map(Value::take).unwrap_or_default())
    }

    /// The values that `expression` gives now, those that are no numbers left out.
    ///
    /// # Errors
    /// Where Prometheus refuses it.
    pub fn query(&self, expression: &str) -> Result<Vec<f64>> {
        let data = self.api(&format!("/api/v1/query?query={}", encoded(expression)))?;
        let series = data.get("result").and_then(Value::as_array).context("no result")?;
        let value = |series: &Value| series.pointer("/value/1")?.as_str()?.parse::<f64>().ok();
        Ok(series.iter().filter_map(value).filter(|value| !value.is_nan()).collect())
    }
}

/// The address in the line of the log that says where it listens.
fn bound_address(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let address: SocketAddr = line.get("address")?.as_str()?.parse().ok()?;
    (address.port() != 0).then_some(address)
}

/// Percent-encoding of all but the simplest characters.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_address_is_the_one_with_a_port() {
        let line = r#"{"address":"127.0.0.1:0","msg":"Start listening for connections"}"#;
        assert_eq!(bound_address(line), None);
        let line = r#"{"address":"127.0.0.1:4711","msg":"Listening on"}"#;
        assert_eq!(bound_address(line), "127.0.0.1:4711".parse().ok());
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(encoded("a{b=\"c\"}[5m]"), "a%7Bb%3D%22c%22%7D%5B5m%5D");
    }
}
