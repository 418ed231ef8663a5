//! The image that is shipped: loaded, run as on a node, with the powers of one, and what it takes.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{agent::PATIENCE, dist, http, poll, process::Guard, prometheus, skip};

use crate::{containerd, program};

#[test]
fn the_shipped_image_runs() -> Result<()> {
    const NAME: &str = "the_shipped_image_runs";
    let archive = match dist::find(|_| dist::image()) {
        Ok(path) => path,
        Err(reason) => {
            skip::note(NAME, &reason);
            return Ok(());
        }
    };
    let Some(containerd) = containerd(NAME)? else { return Ok(()) };
    let from = archive.display().to_string();
    containerd.ctr(&["images", "import", "--snapshotter", "native", &from])?;
    let image = format!("{}:{}", dist::IMAGE, dist::VERSION);
    let listed = containerd.ctr(&["images", "ls", "--quiet"])?;
    ensure!(listed.lines().any(|name| name == image), "{image} is not among\n{listed}");

    let target = Guard::start(Command::new(program()?).arg("10m"))?;
    let address = free_address()?;
    let listen = address.to_string();
    let pid = target.pid().to_string();
    let cgroup = format!("{}/goroscope", containerd.cgroup.path());
    containerd.ctr(&[
        "run",
        "--detach",
        "--snapshotter",
        "native",
        "--net-host",
        "--privileged",
        "--with-ns",
        "pid:/proc/1/ns/pid",
        "--cgroup",
        &cgroup,
        &image,
        "goroscope",
        "/goroscope",
        "agent",
        "--listen",
        &listen,
        "--pid",
        &pid,
    ])?;
    let scrape = poll::until("the agent in the container watches", PATIENCE, || {
        let scrape = prometheus::parse(&http::get(address, "/metrics", &[])?.text()?)?;
        let attached = scrape.value("goroscope_probes_attached", &[("pid", &pid)])?;
        Ok((attached > 0.0).then_some(scrape))
    })
    .with_context(|| containerd.ctr(&["tasks", "ls"]).unwrap_or_default())?;
    ensure!(scrape.count("goroscope_goroutines", &[("pid", &pid)])? > 0, "no goroutines");

    let agent = containerd.pid("goroscope")?;
    let status = fs::read_to_string(format!("/proc/{agent}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let whole = fs::metadata(&archive)?.len();
    println!(
        "image: archive {:.1} MB, binary {:.1} MB; resident with one process watched: {}",
        whole as f64 / 1e6,
        fs::metadata(format!("/proc/{agent}/exe"))?.len() as f64 / 1e6,
        resident.context("no VmRSS")?.trim()
    );
    containerd.ctr(&["tasks", "kill", "--signal", "SIGTERM", "goroscope"])?;
    poll::until("it ends", PATIENCE, || {
        Ok((!containerd.tasks()?.iter().any(|task| task.id == "goroscope")).then_some(()))
    })
}

/// An address that nobody listens on.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
