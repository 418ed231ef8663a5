//! The profiles for AppArmor and seccomp are what their readers take. A kernel enforces the first in
//! `tests/tests/guest`.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{debian, shipped, skip_unless, workspace};
use serde_json::Value;

const PROFILE: &str = "deploy/kubernetes/apparmor/goroscope";

/// What Debian's parser says of a profile; it loads nothing.
fn parsed(text: &str) -> Result<std::process::Output> {
    let package = debian::package("apparmor")?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("profile");
    fs::write(&file, text)?;
    let output = Command::new(package.join("sbin/apparmor_parser"))
        .args(["--skip-kernel-load", "--skip-cache", "--base"])
        .arg(package.join("etc/apparmor.d"))
        .arg(&file)
        .output()?;
    Ok(output)
}

#[test]
fn the_apparmor_profile_is_one() -> Result<()> {
    const NAME: &str = "the_apparmor_profile_is_one";
    skip_unless!(NAME, debian::package("apparmor").map_err(|error| format!("{error:#}")));
    let text = shipped::read(PROFILE)?;
    let output = parsed(&text)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{errors}");
    let wrong = parsed(&text.replace("capability sys_ptrace,", "capability sys_trace,"))?;
    ensure!(!wrong.status.success(), "a capability that does not exist is taken");
    // It names what the DaemonSet adds.
    for name in ["sys_ptrace", "dac_read_search", "sys_admin", "lease", "bpf", "perfmon"] {
        ensure!(text.contains(&format!("  capability {name},\n")), "{name}");
    }
    Ok(())
}

/// The form of the OCI's runtime specification, which containerd takes as it is and CRI-O too.
#[test]
fn the_seccomp_profile_allows_what_it_explains() -> Result<()> {
    let text =
        fs::read_to_string(workspace::root().join("deploy/kubernetes/seccomp/goroscope.json"))?;
    let profile: Value = serde_json::from_str(&text)?;
    ensure!(profile.get("defaultAction") == Some(&Value::from("SCMP_ACT_ERRNO")));
    let rules = profile.get("syscalls").and_then(Value::as_array).context("no rules")?;
    let mut allowed = Vec::new();
    for rule in rules {
        ensure!(rule.get("comment").and_then(Value::as_str).is_some(), "not explained: {rule}");
        let names = rule.get("names").and_then(Value::as_array).context("no names")?;
        allowed.extend(names.iter().filter_map(Value::as_str));
    }
    for never in [
        "ptrace",
        "process_vm_writev",
        "mount",
        "umount2",
        "setns",
        "unshare",
        "kill",
        "init_module",
        "finit_module",
        "kexec_load",
        "reboot",
        "pivot_root",
        "chroot",
        "setuid",
        "keyctl",
        "mknodat",
        "pidfd_getfd",
        "userfaultfd",
        "io_uring_setup",
        "open_by_handle_at",
    ] {
        ensure!(!allowed.contains(&never), "{never} is allowed");
    }
    Ok(())
}
