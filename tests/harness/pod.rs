//! The agent in a container that is made of the DaemonSet as the kubelet and a container runtime
//! would: capabilities, filter of system calls, root folder, mounts, limits, namespaces, probes.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read as _,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    agent::{PATIENCE, Process},
    container, debian, http, poll,
    process::Guard,
    workspace,
};

/// Where the image has the agent.
const PROGRAM: &str = "/goroscope";
/// As containerd has them
/// (<https://github.com/containerd/containerd/blob/v2.1.0/pkg/oci/spec.go#L108>).
const MASKED: [&str; 9] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// A running agent; deleted with its container when dropped.
#[derive(Debug)]
pub struct Pod {
    runc: PathBuf,
    id: String,
    folder: TempDir,
    guard: Guard,
    pid: u32,
}

impl Pod {
    /// Starts the agent of these objects, told to watch only what `selection` names, and waits until
    /// its startup probe is answered.
    ///
    /// # Errors
    /// Where it cannot be started, or is not ready in time; its log is in the error.
    pub fn start(objects: &[Value], selection: &[&str]) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = format!("goroscope-pod-{}-{number}", std::process::id());
        let runc = container::runc()?;
        let folder = tempfile::tempdir()?;
        let config = bundle(folder.path(), objects, selection)?;
        fs::write(folder.path().join("config.json"), serde_json::to_vec_pretty(&config)?)?;
        let mut command = Command::new(&runc);
        command
            .arg("--root")
            .arg(folder.path().join("state"))
            .arg("--log")
            .arg(folder.path().join("runc.log"))
            .args(["run", "--bundle"])
            .arg(folder.path())
            .args(["--pid-file"])
            .arg(folder.path().join("pid"))
            .arg(&id);
        let out = File::create(folder.path().join("out"))?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let guard = Guard::start(&mut command)?;
        let mut pod = Self { runc, id, folder, guard, pid: 0 };
        let started = pod.wait(objects);
        started.with_context(|| format!("log: {}", pod.log()))?;
        Ok(pod)
    }

    fn wait(&mut self, objects: &[Value]) -> Result<()> {
        let probe = probe(objects, "startupProbe")?;
        self.pid = poll::until("the container runs", PATIENCE, || {
            if let Some(status) = self.guard.ended()? {
                bail!("runc ended: {status}");
            }
            let text = fs::read_to_string(self.folder.path().join("pid")).unwrap_or_default();
            Ok(text.trim().parse().ok())
        })?;
        poll::until("the startup probe is answered", PATIENCE, || {
            if let Some(status) = self.guard.ended()? {
                bail!("the agent ended: {status}");
            }
            let answer = self.get(&probe);
            Ok(answer.is_ok_and(|answer| answer.status == 200).then_some(()))
        })
    }

    /// What the agent, and runc, have written.
    #[must_use]
    pub fn log(&self) -> String {
        let text = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        format!("{}{}", text("out"), text("runc.log"))
    }

    /// The agent's process id, as the host has it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks the agent, at a port and path of its pod's network.
    ///
    /// # Errors
    /// Where there is no answer.
    pub fn get(&self, (port, path): &(u16, String)) -> Result<http::Answer> {
        let network = File::open(format!("/proc/{}/ns/net", self.pid))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
        // Only this thread goes there.
        let asked = thread::scope(|scope| {
            let asking = scope.spawn(|| {
                move_into_link_name_space(
                    std::os::fd::AsFd::as_fd(&network),
                    Some(LinkNameSpaceType::Network),
                )?;
                http::get(address, path, &[])
            });
            asking.join()
        });
        asked.map_err(|_| anyhow::Error::msg("the asking thread broke off"))?
    }

    /// The process, if the agent knows it.
    ///
    /// # Errors
    /// Where there is no answer.
    pub fn process(&self, port: u16, pid: u32) -> Result<Option<Process>> {
        let text = self.get(&(port, "/api/v1/processes".to_owned()))?.text()?;
        let all: Vec<Process> = serde_json::from_str(&text).with_context(|| text.clone())?;
        Ok(all.into_iter().find(|process| process.pid == pid))
    }

    /// Fields of `/proc/PID/status` of the agent.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn status(&self) -> Result<BTreeMap<String, String>> {
        let mut text = String::new();
        File::open(format!("/proc/{}/status", self.pid))?.read_to_string(&mut text)?;
        let fields = text.lines().filter_map(|line| line.split_once(":\t"));
        Ok(fields.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// Asks it to end, as the kubelet does, and gives runc's exit status, which is the agent's.
    ///
    /// # Errors
    /// Where it has not ended in this time.
    pub fn end(mut self, limit: Duration) -> Result<ExitStatus> {
        let killed = self.runc(&["kill", &self.id, "TERM"]).status()?;
        ensure!(killed.success(), "runc kill: {killed}");
        self.guard.wait(limit)
    }

    fn runc(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.runc);
        command.arg("--root").arg(self.folder.path().join("state")).args(arguments);
        command
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // It fails where the agent has ended of itself: then runc has cleaned up already.
        let _ = self
            .runc(&["delete", "--force", &self.id])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// The DaemonSet's pod.
///
/// # Errors
/// Where there is no DaemonSet.
pub fn spec(objects: &[Value]) -> Result<&Value> {
    let set = crate::kustomize::only(objects, "DaemonSet")?;
    set.pointer("/spec/template/spec").context("the DaemonSet has no pod")
}

/// The only container of the pod.
///
/// # Errors
/// Where there is none, or more.
pub fn container(objects: &[Value]) -> Result<&Value> {
    let containers = spec(objects)?.get("containers").and_then(Value::as_array);
    let [only] = containers.map(Vec::as_slice).context("no containers")? else {
        bail!("not one container")
    };
    Ok(only)
}

/// The agent's configuration: the ConfigMap that the volume names.
///
/// # Errors
/// Where a part of the way there is missing.
pub fn configuration(objects: &[Value]) -> Result<&str> {
    let volumes = spec(objects)?.get("volumes").and_then(Value::as_array).context("no volumes")?;
    let name = volumes.iter().find_map(|volume| volume.pointer("/configMap/name"));
    let map = objects.iter().find(|object| {
        crate::kustomize::kind_of(object) == "ConfigMap" && object.pointer("/metadata/name") == name
    });
    let text = map.context("no such ConfigMap")?.pointer("/data/goroscope.yaml");
    text.and_then(Value::as_str).context("it has no goroscope.yaml")
}

/// Port and path of a probe of the container.
///
/// # Errors
/// Where it has none, or it names a port that is none of the container's.
pub fn probe(objects: &[Value], name: &str) -> Result<(u16, String)> {
    let container = container(objects)?;
    let get = container.pointer(&format!("/{name}/httpGet")).with_context(|| name.to_owned())?;
    let path = get.get("path").and_then(Value::as_str).context("no path")?;
    let ports = container.get("ports").and_then(Value::as_array).context("no ports")?;
    let named = ports.iter().find(|port| port.get("name") == get.get("port"));
    let port = named.and_then(|port| port.get("containerPort")?.as_u64());
    Ok((port.context("no such port")?.try_into()?, path.to_owned()))
}

/// Capabilities that are added, with their prefix, as the kernel's headers have them.
///
/// # Errors
/// Where the container does not say.
pub fn capabilities(objects: &[Value]) -> Result<Vec<String>> {
    let added = container(objects)?.pointer("/securityContext/capabilities/add");
    let added = added.and_then(Value::as_array).context("no capabilities")?;
    Ok(added.iter().filter_map(|name| Some(format!("CAP_{}", name.as_str()?))).collect())
}

/// A bundle as the OCI's runtime specification has it; a field of the DaemonSet that is not known here
/// is an error rather than forgotten.
fn bundle(folder: &Path, objects: &[Value], selection: &[&str]) -> Result<Value> {
    let (spec, container) = (spec(objects)?, container(objects)?);
    let flag = |name: &str| container.pointer(&format!("/securityContext/{name}"));
    let capabilities = capabilities(objects)?;
    let mut arguments = vec![PROGRAM.to_owned()];
    arguments.extend(strings(container, "/args")?);
    arguments.extend(selection.iter().map(|&word| word.to_owned()));
    let root = folder.join("rootfs");
    for mountpoint in ["proc", "dev", "sys", "etc"] {
        fs::create_dir_all(root.join(mountpoint))?;
    }
    let mut mounts = vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc",
                "options": ["nosuid", "noexec", "nodev"] }),
        json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] }),
        json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs",
                "options": ["nosuid", "noexec", "nodev", "ro"] }),
    ];
    let agent = workspace::goroscope()?;
    for library in libraries(&agent)? {
        mounts.push(bind(&library, &library.display().to_string()));
    }
    mounts.push(bind(&agent, PROGRAM));
    mounts.extend(volumes(folder, objects)?);
    let environment = container.get("env").and_then(Value::as_array).context("no env")?;
    let variable = |entry: &Value| {
        let name = entry.get("name")?.as_str()?;
        let value = match entry.get("value") {
            Some(value) => value.as_str()?.to_owned(),
            None if entry.pointer("/valueFrom/fieldRef/fieldPath")? == "spec.nodeName" => {
                "node-1".to_owned()
            }
            None => return None,
        };
        Some(format!("{name}={value}"))
    };
    let environment: Option<Vec<_>> = environment.iter().map(variable).collect();
    let memory = container.pointer("/resources/limits/memory").and_then(Value::as_str);
    let memory = memory.and_then(|text| text.strip_suffix("Mi")).context("no memory limit")?;
    let cpu = container.pointer("/resources/limits/cpu").and_then(Value::as_str);
    let cpu = cpu.and_then(|text| text.strip_suffix('m')).context("no CPU limit")?;
    let mut namespaces = vec!["mount", "ipc", "uts", "network", "cgroup"];
    if spec.get("hostPID") != Some(&Value::Bool(true)) {
        namespaces.push("pid");
    }
    ensure!(spec.get("hostNetwork").is_none(), "the host's network");
    let user = |name| flag(name).and_then(Value::as_u64).context("no user");
    let mut config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": user("runAsUser")?, "gid": user("runAsGroup")? },
            "args": arguments,
            "env": environment.context("a variable that is not known here")?,
            "cwd": "/",
            "noNewPrivileges": flag("allowPrivilegeEscalation") == Some(&Value::Bool(false)),
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
            },
        },
        "root": {
            "path": "rootfs",
            "readonly": flag("readOnlyRootFilesystem") == Some(&Value::Bool(true)),
        },
        "hostname": "goroscope-x7k2p",
        "mounts": mounts,
        "linux": {
            "namespaces": namespaces.iter().map(|kind| json!({ "type": kind })).collect::<Vec<_>>(),
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
            "resources": {
                "memory": { "limit": memory.parse::<i64>()? << 20 },
                "cpu": { "period": 100_000, "quota": cpu.parse::<i64>()? * 100 },
            },
        },
    });
    let seccomp = seccomp(spec, &capabilities)?;
    config
        .pointer_mut("/linux")
        .and_then(Value::as_object_mut)
        .context("no linux")?
        .insert("seccomp".to_owned(), seccomp);
    Ok(config)
}

fn strings(value: &Value, pointer: &str) -> Result<Vec<String>> {
    let list = value.pointer(pointer).and_then(Value::as_array);
    let list = list.with_context(|| format!("no list {pointer}"))?;
    Ok(list.iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect())
}

fn bind(source: &Path, destination: &str) -> Value {
    json!({ "destination": destination, "type": "bind", "source": source,
            "options": ["bind", "ro", "nosuid", "nodev"] })
}

/// What the agent is linked to; nothing where it is static.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("starting ldd")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(paths.map(PathBuf::from).filter(|path| path != program).collect())
}

/// The container's mounts; folders of the host are empty ones here.
fn volumes(folder: &Path, objects: &[Value]) -> Result<Vec<Value>> {
    let volumes = spec(objects)?.get("volumes").and_then(Value::as_array).context("no volumes")?;
    let mounts = container(objects)?.get("volumeMounts").and_then(Value::as_array);
    let mut all = Vec::new();
    for mount in mounts.context("no volumeMounts")? {
        ensure!(mount.get("readOnly") == Some(&Value::Bool(true)), "it can be written: {mount}");
        let name = mount.get("name").and_then(Value::as_str).context("no name")?;
        let path = mount.get("mountPath").and_then(Value::as_str).context("no path")?;
        let volume = volumes.iter().find(|volume| volume.get("name") == mount.get("name"));
        let volume = volume.with_context(|| format!("no volume {name}"))?;
        let source = folder.join("volumes").join(name);
        fs::create_dir_all(&source)?;
        if volume.get("configMap").is_some() {
            fs::write(source.join("goroscope.yaml"), configuration(objects)?)?;
        } else {
            ensure!(volume.get("hostPath").is_some(), "a volume that is not known here: {volume}");
        }
        all.push(bind(&source, path));
    }
    Ok(all)
}

/// The pod's filter of system calls, as a runtime takes it.
fn seccomp(spec: &Value, capabilities: &[String]) -> Result<Value> {
    let profile = spec.pointer("/securityContext/seccompProfile").context("no seccompProfile")?;
    match profile.get("type").and_then(Value::as_str) {
        Some("Localhost") => {
            let name = profile.get("localhostProfile").and_then(Value::as_str);
            let name = name.context("no localhostProfile")?;
            let text = crate::shipped::read(&format!("deploy/kubernetes/seccomp/{name}"))?;
            Ok(serde_json::from_str(&text)?)
        }
        Some("RuntimeDefault") => runtime_default(capabilities),
        other => bail!("a filter that is not known here: {other:?}"),
    }
}

/// The default of CRI-O and Podman, as Debian ships it, for a container with these capabilities.
fn runtime_default(capabilities: &[String]) -> Result<Value> {
    let package = debian::package("golang-github-containers-common")?;
    let text = fs::read_to_string(package.join("usr/share/containers/seccomp.json"))?;
    let mut profile: Value = serde_json::from_str(&text)?;
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        _ => "arm64",
    };
    let has = |rule: &Value, pointer: &str, all: &dyn Fn(&str) -> bool| {
        let list = rule.pointer(pointer).and_then(Value::as_array);
        list.map(|names| names.iter().filter_map(Value::as_str).any(all))
    };
    let capable = |name: &str| capabilities.iter().any(|own| own == name);
    let mut kept = Vec::new();
    for rule in profile.get("syscalls").and_then(Value::as_array).context("no rules")? {
        if has(rule, "/includes/caps", &capable) == Some(false)
            || has(rule, "/includes/arches", &|name| name == arch) == Some(false)
            || has(rule, "/excludes/caps", &capable) == Some(true)
        {
            continue;
        }
        kept.push(json!({
            "names": rule.get("names"), "action": rule.get("action"), "args": rule.get("args"),
            "errnoRet": rule.get("errnoRet"),
        }));
    }
    let parts = profile.as_object_mut().context("no object")?;
    parts.retain(|key, _| key == "defaultAction" || key == "defaultErrnoRet");
    parts.insert("syscalls".to_owned(), Value::Array(kept));
    Ok(profile)
}
