//! The image that is shipped: loaded, run as on a node, with the powers of one, and what it takes.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::PATIENCE, debian, dist, fixture, http, poll, prometheus, skip, skip_unless,
};
use serde_json::{Value, json};

use crate::{containerd, docker::Docker, needs, or_skip, podman::Podman, program};

/// Where the image is.
fn archive(test: &str) -> Option<String> {
    let found = dist::find(|_| dist::image()).map_err(|reason| skip::note(test, &reason));
    Some(found.ok()?.display().to_string())
}

#[test]
fn the_shipped_image_runs() -> Result<()> {
    const NAME: &str = "the_shipped_image_runs";
    let Some(archive) = archive(NAME) else { return Ok(()) };
    let Some(containerd) = containerd(NAME)? else { return Ok(()) };
    containerd.ctr(&["images", "import", "--snapshotter", "native", &archive])?;
    let image = format!("{}:{}", dist::IMAGE, dist::VERSION);
    let listed = containerd.ctr(&["images", "ls", "--quiet"])?;
    ensure!(listed.lines().any(|name| name == image), "{image} is not among\n{listed}");

    // In one container the agent, and a Go program beside it in the same pid namespace.
    let target = containerd.folder().join("target");
    fs::create_dir(&target)?;
    fs::copy(program()?, target.join("shop"))?;
    let mount = format!("type=bind,src={},dst=/target,options=rbind:ro", target.display());
    let address = free_address()?;
    let listen = address.to_string();
    let cgroup = format!("{}/goroscope", containerd.cgroup.path());
    let runc = debian::package("runc")?.join("usr/sbin/runc").display().to_string();
    let notes = containerd.folder().join("runc").display().to_string();
    let pipes = containerd.folder().join("fifo").display().to_string();
    containerd.ctr(&[
        "run",
        "--runc-binary",
        &runc,
        // Its notes, which would else be among the host's.
        "--runc-root",
        &notes,
        "--fifo-dir",
        &pipes,
        "--detach",
        "--snapshotter",
        "native",
        "--net-host",
        "--privileged",
        "--mount",
        &mount,
        "--cgroup",
        &cgroup,
        &image,
        "goroscope",
        "/goroscope",
        "agent",
        "--listen",
        &listen,
        "--exe",
        "/target/*",
    ])?;
    containerd.ctr(&[
        "tasks",
        "exec",
        "--detach",
        "--fifo-dir",
        &pipes,
        "--exec-id",
        "shop",
        "goroscope",
        "/target/shop",
        "10m",
    ])?;
    let labels = [("exe", "shop")];
    let scrape = poll::until("the agent in the container watches", PATIENCE, || {
        let scrape = prometheus::parse(&http::get(address, "/metrics", &[])?.text()?)?;
        let attached = scrape.value("goroscope_probes_attached", &labels)?;
        Ok((attached > 0.0).then_some(scrape))
    })
    .with_context(|| containerd.ctr(&["tasks", "ls"]).unwrap_or_default())?;
    ensure!(scrape.count("goroscope_goroutines", &labels)? > 0, "no goroutines");

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

/// What an engine has to show that the image is whole: it runs, and is what it says.
fn runs(run: impl Fn(&[&str]) -> Result<String>, image: &str) -> Result<()> {
    // Not attached: podman would wait long for the clean-up that it has conmon start.
    let started = run(&["run", "--detach", "--network", "none", image, "--version"])?;
    let said = poll::until("it has said its version", PATIENCE, || {
        Ok(Some(run(&["logs", started.trim()])?).filter(|said| !said.is_empty()))
    })?;
    ensure!(said.trim() == format!("goroscope {}", dist::VERSION), "it says {said:?}");
    let told = run(&["inspect", "--type", "image", "--format", "{{json .Config}}", image])?;
    let config: Value = serde_json::from_str(&told).with_context(|| told.clone())?;
    for (pointer, expected) in [
        ("/Entrypoint", json!(["/goroscope"])),
        ("/Cmd", json!(["agent"])),
        ("/Labels/org.opencontainers.image.version", json!(dist::VERSION)),
    ] {
        ensure!(config.pointer(pointer) == Some(&expected), "{pointer} is not {expected}: {told}");
    }
    Ok(())
}

#[test]
fn podman_loads_the_shipped_image() -> Result<()> {
    const NAME: &str = "podman_loads_the_shipped_image";
    skip_unless!(NAME, needs());
    let Some(archive) = archive(NAME) else { return Ok(()) };
    let Some(podman) = or_skip(NAME, "Debian's podman", Podman::new("podman-load")) else {
        return Ok(());
    };
    podman.load(&archive)?;
    runs(|arguments| podman.run(arguments), &format!("{}:{}", dist::IMAGE, dist::VERSION))
}

#[test]
fn docker_loads_the_shipped_image() -> Result<()> {
    const NAME: &str = "docker_loads_the_shipped_image";
    skip_unless!(NAME, needs());
    let Some(archive) = archive(NAME) else { return Ok(()) };
    let Some(docker) = or_skip(NAME, "Debian's docker", Docker::start("docker-load")) else {
        return Ok(());
    };
    docker.run(&["load", "--input", &archive])?;
    let listed = docker.run(&["images", "--format", "{{.Repository}}:{{.Tag}}"])?;
    // This store knows one architecture to a name; the name tells it where the archive has both.
    let plain = format!("{}:{}", dist::IMAGE, dist::VERSION);
    let named = format!("{plain}-{}", fixture::host_arch());
    let image = [&plain, &named].into_iter().find(|name| listed.lines().any(|line| line == *name));
    let image = image.with_context(|| format!("neither {plain} nor {named}:\n{listed}"))?;
    runs(|arguments| docker.run(arguments), image)
}

/// An address that nobody listens on.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
