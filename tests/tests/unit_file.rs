//! The unit and its variants: systemd understands them, and rates what they leave open.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{skip_unless, systemd, workspace};
use serde_json::Value;
use tempfile::TempDir;

/// Exposure at most, in tenths, by drop-in.
const WITH_PROBES: u32 = 35;
const WITHOUT: u32 = 20;

/// Capabilities of a system that has all of them as the kernel's names.
const WITH_UPROBES: &[&str] =
    &["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_LEASE"];

fn shipped(name: &str) -> PathBuf {
    workspace::root().join("deploy/systemd").join(name)
}

fn text(name: &str) -> Result<String> {
    fs::read_to_string(shipped(name)).with_context(|| format!("deploy/systemd/{name}"))
}

/// A system with nothing but the unit, its socket, what they name, and these drop-ins.
struct System(TempDir);

impl System {
    fn with(drop_ins: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let units = folder.path().join("usr/lib/systemd/system");
        fs::create_dir_all(&units)?;
        for name in ["goroscope.service", "goroscope.socket"] {
            fs::copy(shipped(name), units.join(name))?;
        }
        // What a system has, as far as the units refer to it.
        for target in ["sysinit", "basic", "shutdown", "multi-user", "sockets", "network-online"] {
            let text = "[Unit]\nDescription=of the system\nDefaultDependencies=no\n";
            fs::write(units.join(format!("{target}.target")), text)?;
        }
        for slice in ["-", "system"] {
            fs::write(units.join(format!("{slice}.slice")), "[Unit]\nDefaultDependencies=no\n")?;
        }
        for program in ["usr/bin/goroscope", "bin/sh"] {
            let path = folder.path().join(program);
            fs::create_dir_all(path.parent().context("a folder")?)?;
            fs::copy("/bin/true", path)?;
        }
        let changes = folder.path().join("etc/systemd/system/goroscope.service.d");
        fs::create_dir_all(&changes)?;
        for name in drop_ins {
            fs::copy(shipped(name), changes.join(name))?;
        }
        Ok(Self(folder))
    }

    fn analyze(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = systemd::analyze()?;
        command.arg("--no-pager").args(arguments).arg(root(self.0.path()));
        Ok(command.stdin(Stdio::null()).output()?)
    }
}

fn root(path: &Path) -> String {
    format!("--root={}", path.display())
}

fn succeeds(output: &Output) -> Result<()> {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{}: {out}{err}", output.status);
    Ok(())
}

#[test]
fn systemd_understands_every_line() -> Result<()> {
    const NAME: &str = "systemd_understands_every_line";
    skip_unless!(NAME, systemd::usable());
    for drop_ins in [&[][..], &["probes-off.conf"], &["no-sys-admin.conf"]] {
        let system = System::with(drop_ins)?;
        let output =
            system.analyze(&["verify", "--man=no", "goroscope.service", "goroscope.socket"])?;
        succeeds(&output)?;
        // An unknown key is a warning only.
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(!said.contains("goroscope"), "{drop_ins:?}: {said}");
    }
    Ok(())
}

#[test]
fn newer_systemd_understands_a_reload_that_tells_its_outcome() -> Result<()> {
    const NAME: &str = "newer_systemd_understands_a_reload_that_tells_its_outcome";
    let newer = || match systemd::version() {
        Ok(253..) => Ok(()),
        Ok(version) => Err(format!("needs systemd 253 or later, this is {version}")),
        Err(error) => Err(format!("no systemd-analyze: {error:#}")),
    };
    skip_unless!(NAME, newer());
    let output = System::with(&["notify-reload.conf"])?.analyze(&[
        "verify",
        "--man=no",
        "goroscope.service",
    ])?;
    succeeds(&output)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!said.contains("goroscope"), "{said}");
    Ok(())
}

#[test]
fn what_is_left_open_is_rated_within_the_limits() -> Result<()> {
    const NAME: &str = "what_is_left_open_is_rated_within_the_limits";
    skip_unless!(NAME, systemd::usable());
    for (drop_ins, most) in [
        (&[][..], WITH_PROBES),
        (&["no-sys-admin.conf"], WITH_PROBES),
        (&["probes-off.conf"], WITHOUT),
    ] {
        let system = System::with(drop_ins)?;
        let threshold = format!("--threshold={most}");
        let output =
            system.analyze(&["security", "--offline=true", &threshold, "goroscope.service"])?;
        succeeds(&output)?;
        let rated = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(rated.contains("Overall exposure level"), "nothing was rated: {rated}");
        // The threshold does its work.
        let output = system.analyze(&[
            "security",
            "--offline=true",
            "--threshold=5",
            "goroscope.service",
        ])?;
        ensure!(!output.status.success(), "rated below 0.5: {rated}");
    }
    Ok(())
}

#[test]
fn the_capabilities_are_those_that_are_documented() -> Result<()> {
    let document = fs::read_to_string(workspace::root().join("docs/security.md"))?;
    for (file, expected) in [
        ("goroscope.service", WITH_UPROBES),
        (
            "no-sys-admin.conf",
            &["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_LEASE"],
        ),
        ("probes-off.conf", &["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]),
    ] {
        let text = text(file)?;
        for key in ["AmbientCapabilities=", "CapabilityBoundingSet="] {
            let lines = text.lines().filter_map(|line| line.strip_prefix(key));
            let named: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
            ensure!(named == expected, "{file}: {key}{named:?}");
        }
        for capability in expected {
            ensure!(document.contains(&format!("| `{capability}` |")), "no row for {capability}");
        }
    }
    Ok(())
}

#[test]
fn the_calls_that_the_filters_leave_are_those_of_the_variant() -> Result<()> {
    const NAME: &str = "the_calls_that_the_filters_leave_are_those_of_the_variant";
    skip_unless!(NAME, systemd::usable());
    for (drop_ins, probes) in [(&[][..], true), (&["probes-off.conf"], false)] {
        let system = System::with(drop_ins)?;
        let output =
            system.analyze(&["security", "--offline=true", "--json=short", "goroscope.service"])?;
        succeeds(&output)?;
        let rows: Vec<Value> = serde_json::from_slice(&output.stdout)?;
        let set = |name: &str| {
            let row = rows.iter().find(|row| row["json_field"] == name || row["name"] == name);
            row.and_then(|row| row["set"].as_bool()).with_context(|| format!("no row {name}"))
        };
        // @debug has perf_event_open(2), @privileged has bpf(2); "set" is a good thing here.
        for group in ["SystemCallFilter_debug", "SystemCallFilter_privileged"] {
            ensure!(set(group)? != probes, "{drop_ins:?}: {group}");
        }
        for group in
            ["SystemCallFilter_mount", "SystemCallFilter_module", "SystemCallFilter_reboot"]
        {
            ensure!(set(group)?, "{drop_ins:?}: {group}");
        }
    }
    Ok(())
}
