//! The package in the life of a server: Debian with its own kernel and its own systemd, in a machine
//! of our own. It is installed, watches a program, is told to read its configuration anew, killed,
//! upgraded, and purged. In between, another one is confined as in a container.

mod confined;
mod watched;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use goroscope_tests::{
    dist,
    fixture::{self, Mode},
    guest::{self, Guest},
    requires, skip_unless,
    toolchain::{Go, NEWEST},
};
use tempfile::TempDir;

use crate::watched::{Agent, Told};

/// Debian 12, with Linux 6.1.
const SUITE: &str = "bookworm";
/// The one of the package.
const AGENT: Agent = Agent { address: "127.0.0.1:4676" };
/// How long the agent may take for something; the machine is emulated.
const PATIENCE: Duration = Duration::from_secs(180);
/// A higher version of the same.
const UPGRADE: &str = "9.0.0-1";

#[test]
fn a_package_lives_on_a_server() -> Result<()> {
    skip_unless!(
        "a_package_lives_on_a_server",
        dist::find(dist::deb)
            .map(drop)
            .and_then(|()| guest::usable())
            .and_then(|()| requires::go(NEWEST))
    );
    let begun = Instant::now();
    let package = dist::find(dist::deb).map_err(anyhow::Error::msg)?;
    let folder = tempfile::tempdir()?;
    let upgrade = as_version(&package, UPGRADE, &folder)?;
    let program = fixture::build("workloads", &Go::find(NEWEST)?, Mode::Normal)?;
    let confined = confined::payload(folder.path())?;
    let payload = [
        ("goroscope.deb", package.as_path()),
        ("upgrade.deb", upgrade.as_path()),
        ("shop", program.as_path()),
    ];
    let all = confined.iter().map(|(name, path)| (*name, path.as_path()));
    let mut guest = Guest::start(SUITE, &payload.into_iter().chain(all).collect::<Vec<_>>())?;
    println!("kernel {}, {}", guest.sh("uname -r")?, guest.sh("systemctl --version | head -n 1")?);
    println!("started after {:.0} s", begun.elapsed().as_secs_f64());
    let mut server = Server { guest, begun };
    server.installs()?;
    let told = server.watches()?;
    server.is_confined()?;
    server.reloads()?;
    server.comes_back(&told)?;
    server.upgrades(&told)?;
    server.is_purged()
}

/// The same package as another version of it.
fn as_version(package: &Path, version: &str, folder: &TempDir) -> Result<PathBuf> {
    let content = folder.path().join("content");
    let path = folder.path().join("upgrade.deb");
    let script = "dpkg-deb -R \"$1\" \"$2\" && sed -i \"s/^Version: .*/Version: $3/\" \
                  \"$2/DEBIAN/control\" && dpkg-deb -Zgzip -z1 --root-owner-group -b \"$2\" \"$4\"";
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .args([package, &content])
        .arg(version)
        .arg(&path)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(path)
}

/// The machine, and when the test began.
struct Server {
    guest: Guest,
    begun: Instant,
}

impl Server {
    fn done(&self, what: &str) {
        println!("{what}: {:.0} s", self.begun.elapsed().as_secs_f64());
    }

    fn property(&mut self, name: &str) -> Result<String> {
        self.guest.sh(&format!("systemctl show --value --property {name} goroscope.service"))
    }

    /// Waits until the service says that it is ready; gives its process.
    fn active(&mut self) -> Result<String> {
        let log = "systemctl is-active goroscope.service || journalctl -n 20 -u goroscope";
        self.guest
            .until("the service is active", PATIENCE, log, |state| state.trim() == "active")?;
        self.property("MainPID")
    }

    fn installs(&mut self) -> Result<()> {
        self.guest.sh("dpkg -i /payload/goroscope.deb")?;
        self.active()?;
        ensure!(self.property("Type")? == "notify", "the unit is another one");
        self.guest.sh("systemctl is-enabled goroscope.service")?;
        ensure!(
            self.guest.run("systemctl is-active goroscope.socket")?.output.trim() == "inactive",
            "the socket is for those who want it"
        );
        let doctor = self.guest.run("goroscope doctor")?;
        println!("{}", doctor.output.trim_end());
        ensure!(doctor.status == 0, "goroscope doctor: {}", doctor.status);
        // What a Go program costs on an emulated machine says nothing; configuration of the
        // administrator outlives the upgrade.
        self.guest.sh("echo 'probes: always' >> /etc/goroscope/goroscope.yml")?;
        self.guest.sh("systemctl restart goroscope.service")?;
        self.active()?;
        self.done("installed");
        Ok(())
    }

    /// Starts a program and has the agent say what it says.
    fn watches(&mut self) -> Result<Told> {
        self.guest.sh("mkfifo /run/shop.words")?;
        self.guest.sh("systemd-run --quiet --unit shop sh -c 'exec 5<>/run/shop.words; \
             exec /payload/shop churn </run/shop.words >/run/shop.says'")?;
        let told = AGENT.counts(&mut self.guest, "shop")?;
        println!("{} goroutines counted by the probes, each of them", told.report.created);
        self.done("watched");
        Ok(told)
    }

    /// Whether it does all that with its profile, and nothing else.
    fn is_confined(&mut self) -> Result<()> {
        confined::is_confined(&mut self.guest)?;
        self.done("confined");
        Ok(())
    }

    fn reloads(&mut self) -> Result<()> {
        let shop = watched::pid(&mut self.guest, "shop")?;
        let pid = self.active()?;
        let file = "/etc/goroscope/goroscope.yml";
        self.guest.sh(&format!("cp {file} /run/kept && echo 'nonsense: 1' >> {file}"))?;
        self.guest.run("systemctl reload goroscope.service")?;
        self.guest.until("it says why not", PATIENCE, "journalctl -u goroscope", |log| {
            log.contains("nonsense")
        })?;
        AGENT.lists(&mut self.guest, &shop, true)?;
        self.guest.sh(&format!("cp /run/kept {file} && echo 'exclude_exe: [shop]' >> {file}"))?;
        self.guest.sh("systemctl reload goroscope.service")?;
        AGENT.lists(&mut self.guest, &shop, false)?;
        self.guest.sh(&format!("cp /run/kept {file}"))?;
        self.guest.sh("systemctl reload goroscope.service")?;
        AGENT.lists(&mut self.guest, &shop, true)?;
        ensure!(self.active()? == pid, "a reload is no restart");
        self.done("reloaded, a wrong configuration refused");
        Ok(())
    }

    fn comes_back(&mut self, told: &Told) -> Result<()> {
        let pid = self.active()?;
        self.guest.sh(&format!("kill -KILL {pid}"))?;
        self.guest.until(
            "the service was started again",
            PATIENCE,
            "systemctl show --value --property NRestarts goroscope.service",
            |count| count.trim() == "1",
        )?;
        let after = self.active()?;
        ensure!(after != pid, "it is still {pid}");
        // Nothing is lost but the time in between: the runtime has counted.
        AGENT.equal(&mut self.guest, told)?;
        self.done("killed, and back");
        Ok(())
    }

    fn upgrades(&mut self, told: &Told) -> Result<()> {
        let pid = self.active()?;
        self.guest.sh("dpkg --force-confold -i /payload/upgrade.deb")?;
        let version = self.guest.sh("dpkg-query --show --showformat '${Version}' goroscope")?;
        ensure!(version == UPGRADE, "{version} is installed");
        ensure!(self.active()? != pid, "the old one still runs");
        self.guest.sh("grep '^probes: always' /etc/goroscope/goroscope.yml")?;
        AGENT.equal(&mut self.guest, told)?;
        self.done("upgraded");
        Ok(())
    }

    fn is_purged(&mut self) -> Result<()> {
        let pid = self.active()?;
        let listed = "dpkg --listfiles goroscope | while read -r f; do [ -d \"$f\" ] || echo \"$f\"; \
                      done > /run/files; grep -c . /run/files";
        ensure!(self.guest.sh(listed)?.parse::<u32>()? > 20, "the package is all but empty");
        self.guest.sh("dpkg --remove goroscope")?;
        ensure!(self.guest.run(&format!("kill -0 {pid}"))?.status != 0, "it still runs");
        self.guest.sh("dpkg --purge goroscope")?;
        let left = "while read -r f; do [ ! -e \"$f\" ] || echo \"$f\"; done < /run/files; \
                    find / -xdev -iname '*goroscope*' -not -path '/proc/*' -not -path '/sys/*' \
                    -not -path '/payload/*' -not -path '/dev/*' -not -path '/var/log/journal/*'";
        let left = self.guest.sh(left)?;
        ensure!(left.is_empty(), "left behind:\n{left}");
        let unit = self.guest.run("systemctl cat goroscope.service")?;
        ensure!(unit.status != 0, "the unit is still known:\n{}", unit.output);
        // The program never noticed.
        self.guest.sh("systemctl is-active shop.service")?;
        self.done("gone");
        Ok(())
    }
}
