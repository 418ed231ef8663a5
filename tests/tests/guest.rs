//! The package in the life of a server: Debian with its own kernel and its own systemd, in a machine
//! of our own. It is installed, watches a program, is told to read its configuration anew, killed,
//! upgraded, and purged.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    dist,
    fixture::{self, Mode},
    guest::{self, Guest},
    prometheus::{self, Scrape},
    requires, skip_unless,
    speaker::Report,
    toolchain::{Go, NEWEST},
};
use tempfile::TempDir;

/// Debian 12, with Linux 6.1.
const SUITE: &str = "bookworm";
const ADDRESS: &str = "127.0.0.1:4676";
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
    let payload: [(&str, &Path); 3] = [
        ("goroscope.deb", package.as_path()),
        ("upgrade.deb", upgrade.as_path()),
        ("shop", program.as_path()),
    ];
    let mut guest = Guest::start(SUITE, &payload)?;
    println!("kernel {}, {}", guest.sh("uname -r")?, guest.sh("systemctl --version | head -n 1")?);
    println!("started after {:.0} s", begun.elapsed().as_secs_f64());
    let mut server = Server { guest, begun };
    server.installs()?;
    let told = server.watches()?;
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

    fn scrape(&mut self) -> Result<Scrape> {
        prometheus::parse(&self.guest.get(ADDRESS, "/metrics")?)
    }

    /// Starts a program and has the agent say what it says.
    fn watches(&mut self) -> Result<Told> {
        self.guest.sh("mkfifo /run/words")?;
        self.guest.sh(
            "systemd-run --quiet --unit shop sh -c 'exec 5<>/run/words; exec /payload/shop churn \
             </run/words >/run/says'",
        )?;
        self.guest.until("the program is ready", PATIENCE, "cat /run/says", |said| {
            said.contains("ready")
        })?;
        let pid = self.property_of_shop()?;
        let labels = [("pid", pid.as_str())];
        let mut before = None;
        let begun = Instant::now();
        while before.is_none() {
            ensure!(begun.elapsed() < PATIENCE, "the program is not watched");
            let scrape = self.scrape()?;
            let probes = scrape.value("goroscope_probes_attached", &labels).unwrap_or(0.0);
            before = (probes > 0.0).then_some(scrape);
        }
        let before = before.context("not watched")?;
        self.guest.sh("echo go > /run/words")?;
        let said = self.guest.until("the program reports", PATIENCE, "cat /run/says", |said| {
            said.contains("num_goroutine")
        })?;
        let line = said.lines().last().context("it says nothing")?;
        let report: Report = serde_json::from_str(line).with_context(|| format!("{line:?}"))?;
        let told = Told { pid: pid.clone(), report };
        self.equal(&told)?;
        let after = self.scrape()?;
        let sites = |scrape: &Scrape, name: &str| -> u64 {
            scrape.series(name, &labels).filter_map(|sample| sample.count()).sum()
        };
        for (name, expected) in [
            ("goroscope_site_goroutines_created_total", told.report.created),
            ("goroscope_site_goroutines_exited_total", told.report.exited),
        ] {
            let seen = sites(&after, name).saturating_sub(sites(&before, name));
            ensure!(seen == expected, "the program says {expected}, the probes {seen} ({name})");
        }
        let delays = after.count("goroscope_thread_sched_delay_seconds_count", &labels)?;
        ensure!(delays > 0, "no delay of threads is told");
        let lost: u64 = after
            .series("goroscope_events_lost_total", &[])
            .filter_map(|sample| sample.count())
            .sum();
        ensure!(lost == 0, "{lost} events were lost");
        println!("{} goroutines counted by the probes, each of them", told.report.created);
        self.done("watched");
        Ok(told)
    }

    fn property_of_shop(&mut self) -> Result<String> {
        self.guest.sh("systemctl show --value --property MainPID shop.service")
    }

    /// What the agent serves of the program's runtime is what the program says.
    fn equal(&mut self, told: &Told) -> Result<()> {
        let labels = [("pid", told.pid.as_str())];
        let created = told.report.runtime_created_after.context("Go counts its goroutines")?;
        let wanted = [
            ("goroscope_goroutines", told.report.num_goroutine),
            ("goroscope_goroutines_created_total", created),
        ];
        let begun = Instant::now();
        loop {
            let scrape = self.scrape()?;
            let seen: Vec<_> =
                wanted.iter().map(|(name, _)| scrape.count(name, &labels).ok()).collect();
            if seen.iter().zip(&wanted).all(|(seen, (_, wanted))| *seen == Some(*wanted)) {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "the program says {wanted:?}, served is {seen:?}");
        }
    }

    /// Whether the program is among those that are watched.
    fn lists(&mut self, pid: &str, wanted: bool) -> Result<()> {
        let begun = Instant::now();
        loop {
            let scrape = self.scrape()?;
            let seen = scrape.value("goroscope_goroutines", &[("pid", pid)]).is_ok();
            if seen == wanted {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "the program is watched: {seen}");
        }
    }

    fn reloads(&mut self) -> Result<()> {
        let shop = self.property_of_shop()?;
        let pid = self.active()?;
        let file = "/etc/goroscope/goroscope.yml";
        self.guest.sh(&format!("cp {file} /run/kept && echo 'nonsense: 1' >> {file}"))?;
        self.guest.run("systemctl reload goroscope.service")?;
        self.guest.until("it says why not", PATIENCE, "journalctl -u goroscope", |log| {
            log.contains("nonsense")
        })?;
        self.lists(&shop, true)?;
        self.guest.sh(&format!("cp /run/kept {file} && echo 'exclude_exe: [shop]' >> {file}"))?;
        self.guest.sh("systemctl reload goroscope.service")?;
        self.lists(&shop, false)?;
        self.guest.sh(&format!("cp /run/kept {file}"))?;
        self.guest.sh("systemctl reload goroscope.service")?;
        self.lists(&shop, true)?;
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
        self.equal(told)?;
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
        self.equal(told)?;
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

/// What the program says of itself at the end of its work.
struct Told {
    pid: String,
    report: Report,
}
