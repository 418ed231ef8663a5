//! The agent under the AppArmor profile that is shipped for its container, enforced by a kernel. It has
//! a root of its own there, with its binary where the image has it. It watches programs with roots of
//! their own, all of it, and the kernel refuses it nothing; and in its place another program, which
//! tries what the agent never does, is refused.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    guest::Guest,
    toolchain::{Go, NEWEST},
    workspace,
};

use crate::{
    AGENT, PATIENCE,
    watched::{self, Agent},
};

const CONFINED: Agent = Agent { address: "127.0.0.1:4677" };
/// What the DaemonSet with probes gives.
const CAPABILITIES: &str = "CAP_SYS_ADMIN CAP_SYS_PTRACE CAP_DAC_READ_SEARCH CAP_LEASE";
/// What the docs tell others to put into their profiles.
const CONSENT: &str = "  ptrace (readby, tracedby) peer=goroscope,\n";
/// A pod's profile as far as others are concerned: what containerd writes for containers, without the
/// files of the kernel that it protects.
/// <https://github.com/containerd/containerd/blob/v2.1.0/contrib/apparmor/template.go>
const POD: &str = "abi <abi/3.0>,
#include <tunables/global>
profile cri-containerd.apparmor.d flags=(attach_disconnected,mediate_deleted) {
  network,
  capability,
  file,
  umount,
  signal (receive) peer=unconfined,
  signal (send,receive) peer=cri-containerd.apparmor.d,
  deny @{PROC}/* w,
  deny mount,
  ptrace (trace,tracedby,read,readby) peer=cri-containerd.apparmor.d,
}
";
/// What of the attempts is not refused: the agent does that too, AppArmor cannot tell it from what the
/// agent does (tracing), or this kernel's does not mediate it (sockets by their paths).
const ALLOWED: [&str; 5] = [
    "read the target's executable",
    "read the target's mappings",
    "read a file of the host",
    "trace the target",
    "connect to a socket of the host",
];

/// What has to be in the machine for it.
pub(crate) fn payload(folder: &Path) -> Result<[(&'static str, PathBuf); 4]> {
    let tests = workspace::root().join("tests/tests/guest");
    let trespasser = folder.join("trespasser");
    let output = Go::find(NEWEST)?
        .command()?
        .current_dir(&tests)
        .env("CGO_ENABLED", "0")
        .args(["build", "-o"])
        .args([&trespasser, Path::new("trespasser.go")])
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (pod, consents) = (folder.join("pod"), folder.join("consents"));
    fs::write(&pod, POD)?;
    let end = POD.rfind('}').context("a profile has an end")?;
    let (rules, end) = POD.split_at(end);
    fs::write(&consents, format!("{rules}{CONSENT}{end}"))?;
    Ok([
        ("apparmor", workspace::root().join("deploy/kubernetes/apparmor/goroscope")),
        ("trespasser", trespasser),
        ("pod", pod),
        ("consents", consents),
    ])
}

/// Runs a program in a root of its own, as a container has it.
fn contained(root: &str, rest: &str) -> String {
    format!(
        "systemd-run --quiet -p RootDirectory=/run/{root} -p MountAPIVFS=yes \
         -p NoNewPrivileges=yes {rest}"
    )
}

/// What the kernel has refused so far. Its log leaves out some where there are many, this does not.
fn refused(guest: &mut Guest) -> Result<Vec<String>> {
    let log = guest.sh(
        "journalctl --sync; journalctl --quiet --output cat _TRANSPORT=audit | grep DENIED || :",
    )?;
    Ok(log.lines().map(str::to_owned).collect())
}

fn of_agent(line: &str) -> bool {
    line.contains("profile=\"goroscope\"")
}

pub(crate) fn is_confined(guest: &mut Guest) -> Result<()> {
    prepares(guest)?;
    watches_all(guest)?;
    has_limits_with_the_runtimes_own(guest)?;
    needs_consent(guest)?;
    let normal = refused(guest)?;
    let unexpected: Vec<_> = normal.iter().filter(|line| of_agent(line)).collect();
    ensure!(unexpected.is_empty(), "the agent was refused what it needs: {unexpected:#?}");
    refuses_others(guest)?;
    guest.sh("systemctl stop confined free pod words")?;
    guest.sh("apparmor_parser -R /payload/apparmor && apparmor_parser -R /payload/pod")?;
    Ok(())
}

/// Profiles are loaded; roots and programs are there.
fn prepares(guest: &mut Guest) -> Result<()> {
    guest.sh("apparmor_parser -r /payload/apparmor /payload/pod")?;
    let loaded = guest.sh("cat /sys/kernel/security/apparmor/profiles")?;
    ensure!(loaded.contains("goroscope (enforce)"), "{loaded}");
    // What is executed lies on a file system that may be executed from.
    guest.sh("mount -o remount,exec /run")?;
    for root in ["agent", "app", "trespasser"] {
        guest.sh(&format!("mkdir -p /run/{root}/proc /run/{root}/sys /run/{root}/dev"))?;
    }
    guest.sh("mkdir -p /run/agent/host/var/log/containers /run/app/app /run/trespasser/host")?;
    guest.sh("cp /usr/bin/goroscope /run/agent/goroscope && cp /payload/shop /run/app/app/shop")?;
    guest.sh("cp /payload/trespasser /run/trespasser/goroscope")?;
    guest.sh("mkfifo /run/free.words /run/pod.words")?;
    // Somebody has to hold the other end from the start.
    guest.sh("systemd-run --quiet --unit words sh -c \
         'exec 5<>/run/free.words 6<>/run/pod.words; exec sleep infinity'")?;
    for (unit, profile) in [("free", "unconfined"), ("pod", "cri-containerd.apparmor.d")] {
        guest.sh(&contained(
            "app",
            &format!(
                "--unit {unit} -p AppArmorProfile={profile} -p StandardInput=file:/run/{unit}.words \
                 -p StandardOutput=file:/run/{unit}.says /app/shop churn"
            ),
        ))?;
    }
    Ok(())
}

/// A program without a profile, as services of the node and privileged pods are.
fn watches_all(guest: &mut Guest) -> Result<()> {
    guest.sh(&contained(
        "agent",
        &format!(
            "--unit confined -p AppArmorProfile=goroscope -p ProtectSystem=strict \
             -p 'CapabilityBoundingSet={CAPABILITIES}' /goroscope agent --listen {} \
             --probes always --http-dumps --exe '/app/*'",
            CONFINED.address
        ),
    ))?;
    let agent = watched::pid(guest, "confined")?;
    // systemd has put it there when the program has been executed.
    guest.until(
        "the agent has its profile",
        PATIENCE,
        &format!("cat /proc/{agent}/attr/current"),
        |profile| profile.trim() == "goroscope (enforce)",
    )?;
    let told = CONFINED.counts(guest, "free")?;
    println!("confined: {} goroutines counted by the probes, each of them", told.report.created);
    let pid = watched::pid(guest, "free")?;
    let dump = guest.get(CONFINED.address, &format!("/api/v1/processes/{pid}/dump"))?;
    ensure!(dump.contains("created by main.churn"), "no stacks: {dump}");
    let locks = guest.sh("cat /proc/locks")?;
    let leased = locks.lines().any(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        words.contains(&"LEASE") && words.contains(&"READ") && words.contains(&agent.as_str())
    });
    ensure!(leased, "no lease on the executable: {locks}");
    Ok(())
}

/// With the profile that other containers have (`RuntimeDefault`) it sees those at best.
fn has_limits_with_the_runtimes_own(guest: &mut Guest) -> Result<()> {
    let (pod, free) = (watched::pid(guest, "pod")?, watched::pid(guest, "free")?);
    ensure!(sees_with_the_runtimes_own(guest, &pod)?, "one of the same profile is not seen");
    ensure!(!sees_with_the_runtimes_own(guest, &free)?, "one without a profile is seen");
    // As containerd 1.6 writes it.
    guest.sh("sed s/trace,tracedby,read,readby/trace,read/ /payload/pod | apparmor_parser -r")?;
    ensure!(!sees_with_the_runtimes_own(guest, &pod)?, "an older version's profile lets it");
    guest.sh("apparmor_parser -r /payload/pod")?;
    Ok(())
}

fn sees_with_the_runtimes_own(guest: &mut Guest, pid: &str) -> Result<bool> {
    let rest = format!(
        "--wait --pipe -p AppArmorProfile=cri-containerd.apparmor.d \
         -p 'CapabilityBoundingSet={CAPABILITIES}' /goroscope ps --pid {pid}"
    );
    let outcome = guest.run(&contained("agent", &rest))?;
    let refused = outcome.output.contains("may not be looked at");
    ensure!((outcome.status == 0) != refused, "{outcome:?}");
    Ok(!refused)
}

/// A program whose profile has ptrace in it: it is the one to consent, where the agent has a profile.
fn needs_consent(guest: &mut Guest) -> Result<()> {
    let pid = watched::pid(guest, "pod")?;
    AGENT.lists(guest, &pid, true).context("by one without a profile")?;
    CONFINED.lists(guest, &pid, false).context("without consent")?;
    let lines = refused(guest)?;
    let by_pod = lines.iter().filter(|line| {
        line.contains("profile=\"cri-containerd.apparmor.d\"")
            && line.contains("requested_mask=\"readby\"")
            && line.contains("peer=\"goroscope\"")
    });
    ensure!(by_pod.count() > 0, "who refused it? {lines:#?}");
    guest.sh("apparmor_parser -r /payload/consents")?;
    // It looks again at who was passed over when it starts.
    guest.sh("systemctl restart confined")?;
    CONFINED.counts(guest, "pod").context("with consent")?;
    let after = refused(guest)?;
    let since: Vec<_> = after.iter().skip(lines.len()).collect();
    ensure!(since.is_empty(), "refused in spite of consent: {since:#?}");
    Ok(())
}

/// In the agent's place a program that does what the agent does not: without the profile it can.
fn refuses_others(guest: &mut Guest) -> Result<()> {
    let target = watched::pid(guest, "free")?;
    let mut tries = |profile: &str| -> Result<BTreeMap<String, String>> {
        guest.sh("mkdir -p /run/secrets/kubernetes.io/serviceaccount; touch /run/victim")?;
        guest.sh("touch /run/secrets/kubernetes.io/serviceaccount/token")?;
        let rest = format!("--wait --pipe -p AppArmorProfile={profile} /goroscope {target}");
        let said = guest.sh(&contained("trespasser", &rest))?;
        serde_json::from_str(&said).with_context(|| said)
    };
    let free = tries("unconfined")?;
    let failed: Vec<_> = free.iter().filter(|(_, came)| *came != "done").collect();
    ensure!(failed.is_empty(), "refused without the profile: {failed:?}");
    let confined = tries("goroscope")?;
    for (what, came) in &confined {
        let wanted = if ALLOWED.contains(&what.as_str()) { "done" } else { "refused" };
        ensure!(came == wanted, "{what}: {came}");
    }
    ensure!(confined.len() > ALLOWED.len() + 15, "{confined:?}");
    let logged = refused(guest)?.iter().filter(|line| of_agent(line)).count();
    let expected = confined.len() - ALLOWED.len();
    ensure!(logged >= expected, "of {expected} refusals the kernel has logged {logged}");
    println!("{expected} things that the agent never does are refused by its profile");
    Ok(())
}
