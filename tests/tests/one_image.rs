//! One image that is reached through two inodes, as containers of one image do through overlay
//! mounts: both processes' probes fire at the same place, and no hit counts twice.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::Agent,
    fixture::{self, Mode},
    poll, requires,
    sites::Sum,
    skip, skip_unless,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};
use std::time::Duration;

/// An overlay mount of a folder; unmounted when dropped.
struct Overlay(PathBuf);

impl Overlay {
    fn mount(lower: &Path, base: &Path) -> Result<Self> {
        let part = |name: &str| {
            let folder = base.join(name);
            fs::create_dir_all(&folder).map(|()| folder)
        };
        let (upper, work, at) = (part("upper")?, part("work")?, part("at")?);
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.display(),
            upper.display(),
            work.display()
        );
        let status = Command::new("mount")
            .args(["-t", "overlay", "overlay", "-o", &options])
            .arg(&at)
            .status()
            .context("running mount")?;
        ensure!(status.success(), "no overlay mount: {status}");
        Ok(Self(at))
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        // A busy mount goes when its last user does.
        let _unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn users(agent: &Agent, pid: u32) -> Result<Sum> {
    Ok(Sum::of(&agent.sites(pid)?, |site| !site.system))
}

#[test]
fn hits_through_two_inodes_count_once() -> Result<()> {
    const NAME: &str = "hits_through_two_inodes_count_once";
    skip_unless!(NAME, requires::kernel());
    let folder = tempfile::tempdir()?;
    let lower = folder.path().join("lower");
    fs::create_dir(&lower)?;
    let built = fixture::build("workloads", &Go::find(NEWEST)?, Mode::Normal)?;
    fs::copy(&built, lower.join("workloads"))?;
    let mounts = ["one", "two"].map(|name| Overlay::mount(&lower, &folder.path().join(name)));
    let [Ok(first), Ok(second)] = &mounts else {
        skip::note(NAME, "overlay cannot be mounted here");
        return Ok(());
    };
    let glob = folder.path().join("*");
    let glob = glob.to_str().context("not UTF-8")?;
    let agent = Agent::start(&["--exe", glob, "--probes", "always"])?;
    let start = |mount: &Overlay| Speaker::start(&mount.0.join("workloads"), &["churn"]);
    let mut targets = [start(first)?, start(second)?];
    for target in &targets {
        agent.wait_probed(target.pid())?;
    }
    for target in &mut targets {
        let pid = target.pid();
        let before = users(&agent, pid)?;
        let report = target.work()?;
        let expected = Sum { created: report.created, exited: report.exited };
        let seen = || Ok::<_, anyhow::Error>(users(&agent, pid)?.since(before));
        poll::until("the counts settle", Duration::from_secs(3), || {
            Ok((seen()? == expected).then_some(()))
        })
        .with_context(|| format!("the program says {expected:?}, the probes {:?}", seen()))?;
    }
    Ok(())
}
