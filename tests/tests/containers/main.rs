//! Go programs in real containers carry the names of their pods and containers.
//!
//! containerd, runc, podman and docker are Debian's, extracted; nothing of the host's own is used. Pods are
//! made over CRI, as the kubelet does. What the kubelet and Docker write down is made by hand.

mod bad_runtime;
mod cgroup;
mod containerd;
mod cri;
mod docker;
mod fake;
mod image;
mod named;
mod podman;
mod shipped;

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::{self, Agent, PATIENCE},
    container::Container,
    fixture::{self, Mode},
    poll, requires, skip, skip_unless,
    toolchain::{Go, NEWEST},
    workspace,
};

use self::{
    cgroup::Cgroup,
    containerd::{Containerd, IMAGE},
    cri::{Client, Pod, Wanted},
    docker::Docker,
    named::{Names, known, labels, of_ps},
    podman::Podman,
};

const UID: &str = "11111111-2222-3333-4444-555555555555";
const OTHER_UID: &str = "66666666-7777-8888-9999-aaaaaaaaaaaa";
/// How soon a process that is seen has its name, on a busy machine.
const SOON: Duration = Duration::from_secs(1);

fn program() -> Result<std::path::PathBuf> {
    fixture::build("short", &Go::find(NEWEST)?, Mode::Normal)
}

/// What all of this needs.
fn needs() -> Result<(), String> {
    requires::kernel()?;
    requires::go(NEWEST)?;
    ["tar", "sha256sum", "umount"].into_iter().try_for_each(requires::command)
}

/// Starts containerd, unless this host cannot run it.
fn containerd(test: &str) -> Result<Option<Containerd>> {
    if let Err(reason) = needs() {
        skip::note(test, &reason);
        return Ok(None);
    }
    Ok(or_skip(test, "containerd", program().and_then(|program| Containerd::start(&program))))
}

/// Not every host has Debian's packages, or lets one start what is in them: then the test is skipped.
fn or_skip<T>(test: &str, what: &str, started: Result<T>) -> Option<T> {
    started.map_err(|error| skip::note(test, &format!("needs {what}: {error:#}"))).ok()
}

/// A pod, in the cgroup that the kubelet would make for it.
fn pod(containerd: &Containerd, client: &Client, names: (&str, &str), uid: &str) -> Result<Pod> {
    let cgroup = format!("{}/kubepods/burstable/pod{uid}", containerd.cgroup.path());
    client.run_pod(names.0, names.1, uid, &cgroup)
}

fn wanted<'a>(name: &'a str, command: &'a [&'a str]) -> Wanted<'a> {
    Wanted { name, image: IMAGE, command, termination_log: None }
}

#[test]
fn pods_have_the_names_that_the_runtime_tells() -> Result<()> {
    const NAME: &str = "pods_have_the_names_that_the_runtime_tells";
    let Some(mut containerd) = containerd(NAME)? else { return Ok(()) };
    let client = Client::new(&containerd.socket())?;
    let shop = pod(&containerd, &client, ("shop", "web-0"), UID)?;
    let app = client.run(&shop, &wanted("app", &[]))?;
    let proxy = client.run(&shop, &wanted("proxy", &[]))?;
    let empty = containerd.folder().join("empty");
    fs::create_dir(&empty)?;
    let socket = containerd.socket().display().to_string();
    let root = empty.display().to_string();
    let options =
        ["--cgroup", &containerd.cgroup.path(), "--cri-socket", &socket, "--host-root", &root]
            .map(str::to_owned);
    let agent = Agent::start(&[&options[..], &["--probes".to_owned(), "off".to_owned()]].concat())?;
    for (id, container) in [(&app, "app"), (&proxy, "proxy"), (&shop.id, "")] {
        let expected = Names::new("shop", "web-0", container);
        let pid = containerd.pid(id)?;
        known(&agent, pid, &expected)?;
        let of_ps = of_ps(&options, pid)?;
        ensure!(of_ps.names == expected, "ps tells {of_ps:?} of process {pid}");
        ensure!(of_ps.container_id.as_ref() == Some(id), "ps tells {of_ps:?} of container {id}");
        // As `agent/data/cgroups.txt` has it recorded.
        has_cgroup(pid, &format!("{}/kubepods/burstable/pod{UID}/{id}", containerd.cgroup.path()))?;
    }

    // As an agent sees it that is in a cgroup namespace of its own, as in an unprivileged container.
    within_a_cgroup_namespace(&containerd, containerd.pid(&app)?, &options)?;
    let doctor = Command::new(workspace::goroscope()?)
        .args(["doctor", "--cri-socket", &socket])
        .output()
        .context("starting goroscope doctor")?;
    let doctor = String::from_utf8(doctor.stdout)?;
    let line = doctor.lines().find(|line| line.contains("names of pods"));
    let line = line.context("doctor says nothing of names")?;
    ensure!(line.starts_with("pass") && line.contains("containerd 1."), "doctor says {line:?}");

    // One that lives two seconds has its names until its end.
    lives_two_seconds(&containerd, &client, &shop, &agent)?;

    // While the runtime is away names stay, and when it is back new ones come.
    let before = containerd.pid(&app)?;
    containerd.end()?;
    known(&agent, before, &Names::new("shop", "web-0", "app"))?;
    containerd.begin()?;
    let client = Client::new(&containerd.socket())?;
    let pay = pod(&containerd, &client, ("pay", "api-7"), OTHER_UID)?;
    let app = client.run(&pay, &wanted("app", &[]))?;
    known(&agent, containerd.pid(&app)?, &Names::new("pay", "api-7", "app"))?;
    known(&agent, before, &Names::new("shop", "web-0", "app"))?;
    let failures =
        agent.scrape()?.count("goroscope_origin_lookup_failures_total", &[("source", "cri")])?;
    ensure!(failures <= 3, "{failures} failures for one restart");
    Ok(())
}

/// Paths begin with `/..` there: what the container has in common with the agent is cut off.
fn within_a_cgroup_namespace(containerd: &Containerd, pid: u32, options: &[String]) -> Result<()> {
    let name = "unshare";
    if let Err(reason) = requires::command(name) {
        skip::note("within_a_cgroup_namespace", &reason);
        return Ok(());
    }
    let pid_option = ["--pid".to_owned(), pid.to_string()];
    let options = [options.get(2..).unwrap_or_default(), &pid_option].concat();
    let inner = agent::command(&options)?;
    let mut outer = Command::new("sh");
    // A hierarchy that wants to be set up first is left out.
    let script = "for all in /sys/fs/cgroup \"/sys/fs/cgroup\"/*; do \
                  test -d \"$all$0\" && mkdir -p \"$all$0/agent\" && \
                  echo $$ > \"$all$0/agent/cgroup.procs\"; done 2>/dev/null; \
                  exec unshare --cgroup -- \"$@\"";
    outer.args(["-c", script, &containerd.cgroup.path()]);
    outer.arg(inner.get_program()).args(inner.get_args()).args(["--probes", "off"]);
    outer.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let agent = Agent::start_command(&mut outer)?;
    let seen = Command::new("nsenter")
        .args(["--target", &agent.pid().to_string(), "--cgroup", "cat"])
        .arg(format!("/proc/{pid}/cgroup"))
        .output()
        .context("starting nsenter")?;
    let seen = String::from_utf8(seen.stdout)?;
    ensure!(seen.contains(":/../kubepods"), "it sees {seen:?}");
    known(&agent, pid, &Names::new("shop", "web-0", "app"))
}

/// Makes sure that the kernel has this path for a process.
fn has_cgroup(pid: u32, path: &str) -> Result<()> {
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let is_it = |line: &str| line.ends_with(&format!(":{path}"));
    ensure!(cgroups.lines().any(is_it), "process {pid} is not in {path}, but in {cgroups}");
    Ok(())
}

fn lives_two_seconds(
    containerd: &Containerd,
    client: &Client,
    pod: &Pod,
    agent: &Agent,
) -> Result<()> {
    let expected = Names::new("shop", "web-0", "brief");
    let id = client.run(pod, &wanted("brief", &[image::PROGRAM, "2s"]))?;
    let pid = containerd.pid(&id)?;
    let start = Instant::now();
    let mut seen = Vec::new();
    while start.elapsed() < PATIENCE {
        match labels(&agent.scrape()?, pid) {
            Some(names) => seen.push((start.elapsed(), names)),
            None if seen.is_empty() => {}
            None => break,
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let first = seen.iter().find(|(_, names)| *names == expected);
    let (named_at, _) = first.with_context(|| format!("never named: {seen:?}"))?;
    let (first_seen, _) = seen.first().context("never seen")?;
    let late = named_at.saturating_sub(*first_seen);
    ensure!(late < SOON, "it had its names {late:?} after it was seen");
    let unnamed = seen.iter().filter(|(at, names)| at > named_at && *names != expected).count();
    ensure!(unnamed == 0, "it lost its names: {seen:?}");
    ensure!(seen.len() > 5, "{} samples only", seen.len());
    Ok(())
}

#[test]
fn without_a_socket_the_kubelets_folders_tell() -> Result<()> {
    const NAME: &str = "without_a_socket_the_kubelets_folders_tell";
    let Some(containerd) = containerd(NAME)? else { return Ok(()) };
    let client = Client::new(&containerd.socket())?;
    let root = containerd.folder().join("host");
    let (links, pods) = (root.join("var/log/containers"), root.join("var/log/pods"));
    for folder in [
        &links,
        &pods.join(format!("shop_web-0_{UID}/app")),
        &pods.join(format!("shop_web-0_{UID}/proxy")),
    ] {
        fs::create_dir_all(folder)?;
    }
    // Of this pod there are folders, and what is mounted in its containers.
    let shop = pod(&containerd, &client, ("a", "b"), UID)?;
    let mounted = |name: &str| -> Result<_> {
        let folder = root.join(format!("var/lib/kubelet/pods/{UID}/containers/{name}"));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("0a1b2c3d"), "")?;
        Ok(folder.join("0a1b2c3d"))
    };
    let run = |name: &'static str, log: &Path| {
        client.run(&shop, &Wanted { termination_log: Some(log), ..wanted(name, &[]) })
    };
    let app = run("app", &mounted("app")?)?;
    let proxy = run("proxy", &mounted("proxy")?)?;
    let path = root.display().to_string();
    let options =
        ["--cgroup", &containerd.cgroup.path(), "--cri-socket", "none", "--host-root", &path]
            .map(str::to_owned);
    let agent = Agent::start(&[&options[..], &["--probes".to_owned(), "off".to_owned()]].concat())?;
    known(&agent, containerd.pid(&app)?, &Names::new("shop", "web-0", "app"))?;
    known(&agent, containerd.pid(&proxy)?, &Names::new("shop", "web-0", "proxy"))?;
    // Of this one there comes a link, as the kubelet makes it when a container has started.
    let pay = pod(&containerd, &client, ("a", "c"), OTHER_UID)?;
    let api = client.run(&pay, &wanted("x", &[]))?;
    let pid = containerd.pid(&api)?;
    agent.wait_read(pid)?;
    let nothing = Names::default();
    ensure!(labels(&agent.scrape()?, pid) == Some(nothing), "it has names that nobody told");
    symlink("/nowhere", links.join(format!("api-7_pay_server-{api}.log")))?;
    let expected = Names::new("pay", "api-7", "server");
    known(&agent, pid, &expected)?;
    let of_ps = of_ps(&options, pid)?;
    ensure!(of_ps.names == expected && of_ps.container_id == Some(api), "ps tells {of_ps:?}");
    let failures = agent
        .scrape()?
        .count("goroscope_origin_lookup_failures_total", &[("source", "kubelet")])?;
    ensure!(failures == 0, "{failures} failures");
    Ok(())
}

#[test]
fn a_container_of_runc_has_the_name_that_docker_wrote_down() -> Result<()> {
    const NAME: &str = "a_container_of_runc_has_the_name_that_docker_wrote_down";
    skip_unless!(NAME, needs());
    let id = format!("{:064x}", std::process::id());
    let cgroup = Cgroup::new(&format!("goroscope-test-{}-runc", std::process::id()));
    let root = tempfile::tempdir()?;
    let docker = root.path().join("var/lib/docker/containers").join(&id);
    fs::create_dir_all(&docker)?;
    fs::write(docker.join("config.v2.json"), r#"{"State":{},"Name":"/front"}"#)?;
    let path = format!("{}/docker/{id}", cgroup.path());
    let program = fixture::build("spin", &Go::find(NEWEST)?, Mode::Normal)?;
    let started = Container::start_in(&path, &program, &[]);
    let Some(container) = or_skip(NAME, "a container", started) else { return Ok(()) };
    let host = root.path().display().to_string();
    let options = [
        "--cgroup",
        &cgroup.path(),
        "--cri-socket",
        "none",
        "--host-root",
        &host,
        "--probes",
        "off",
    ]
    .map(str::to_owned);
    let agent = Agent::start(&options)?;
    known(&agent, container.pid()?, &Names { container: "front".to_owned(), ..Names::default() })?;
    drop(container);
    cgroup.remove();
    Ok(())
}

/// What both engines have to show: the name that they wrote down themselves.
fn has_its_name(pid: u32, id: &str, root: &Path, name: &str, cgroup: &str) -> Result<()> {
    let (pid_text, root) = (pid.to_string(), root.display().to_string());
    let options =
        ["--pid", &pid_text, "--cri-socket", "none", "--host-root", &root].map(str::to_owned);
    let agent = Agent::start(&[&options[..], &["--probes".to_owned(), "off".to_owned()]].concat())?;
    known(&agent, pid, &Names { container: name.to_owned(), ..Names::default() })?;
    // As `agent/data/cgroups.txt` has it recorded.
    has_cgroup(pid, cgroup)?;
    let of_ps = of_ps(&options, pid)?;
    ensure!(of_ps.container_id.as_deref() == Some(id), "ps tells {of_ps:?}");
    Ok(())
}

#[test]
fn a_container_of_docker_has_its_name() -> Result<()> {
    const NAME: &str = "a_container_of_docker_has_its_name";
    skip_unless!(NAME, needs());
    let started = Docker::start("docker").and_then(|docker| {
        let id = docker.run_program(&program()?, "goroscope-test-web")?;
        Ok((docker, id))
    });
    let Some((docker, id)) = or_skip(NAME, "Debian's docker", started) else { return Ok(()) };
    let cgroup = format!("{}/{id}", docker.cgroup.path());
    has_its_name(docker.pid(&id)?, &id, &docker.root(), "goroscope-test-web", &cgroup)
}

#[test]
fn a_container_of_podman_has_its_name() -> Result<()> {
    const NAME: &str = "a_container_of_podman_has_its_name";
    skip_unless!(NAME, needs());
    let started = Podman::new("podman").and_then(|podman| {
        let id = podman.run_program(&program()?, "goroscope-test-db")?;
        Ok((podman, id))
    });
    let Some((podman, id)) = or_skip(NAME, "Debian's podman", started) else { return Ok(()) };
    let pid = podman.pid(&id)?;
    let cgroup = format!("{}/libpod-{id}", podman.cgroup.path());
    has_its_name(pid, &id, &podman.root(), "goroscope-test-db", &cgroup)?;
    poll::until("podman's container is gone", PATIENCE, || {
        podman.end()?;
        Ok((!Path::new(&format!("/proc/{pid}")).exists()).then_some(()))
    })
}
