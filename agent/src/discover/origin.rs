//! Whose process it is: unit, container and pod, as far as the cgroup path tells without asking
//! anybody.

use super::{cgroup::Cgroups, identity::Pid, proc_fs::ProcFs};

/// Whose process it is: the names that are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Kubernetes namespace.
    pub namespace: Option<String>,
    /// Kubernetes pod.
    pub pod: Option<String>,
    /// Unique id of the Kubernetes pod.
    pub pod_uid: Option<String>,
    /// Container name.
    pub container: Option<String>,
    /// Container id.
    pub container_id: Option<String>,
    /// systemd unit: that of the host, or, in a container that runs systemd, the one in there.
    pub unit: Option<String>,
}

/// What container runtimes put before the id, in the name of a scope or of a folder:
/// <https://github.com/containerd/containerd/blob/v2.0.0/internal/cri/server/podsandbox/helpers.go>,
/// <https://github.com/cri-o/cri-o/blob/v1.31.0/internal/config/cgmgr/cgmgr_linux.go>,
/// <https://github.com/moby/moby/blob/v27.0.0/daemon/oci_linux.go>,
/// <https://github.com/containers/podman/blob/v5.0.0/libpod/container_internal_linux.go>.
///
/// `libpod-payload-` is what Podman makes in a unit that it runs in (`--cgroups=split`).
const RUNTIMES: [&str; 6] =
    ["cri-containerd-", "crio-", "docker-", "libpod-payload-", "libpod-", "nerdctl-"];
/// Hexadecimal digits of a container id.
const ID_DIGITS: usize = 64;

impl Origin {
    /// Reads it from the paths of the cgroups.
    #[must_use]
    pub fn of(cgroups: &Cgroups) -> Self {
        let readings: Vec<Self> = cgroups.paths().map(Self::of_path).collect();
        // On a hybrid host the v2 path may be that of the runtime's own service, while the v1
        // paths are those of the container: who names a container knows most.
        let container = readings.iter().find(|reading| reading.container_id.is_some());
        let unit = readings.iter().find(|reading| reading.unit.is_some());
        let mut origin = container.or(unit).cloned().unwrap_or_default();
        if origin.pod_uid.is_none() {
            origin.pod_uid = readings.into_iter().find_map(|reading| reading.pod_uid);
        }
        origin
    }

    /// The name that says most to people: the pod or the container; else the part of the container's
    /// id that they use; else the unit.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        const SHORT_ID: usize = 12;
        let id = self.container_id.as_deref().map(|id| id.get(..SHORT_ID).unwrap_or(id));
        self.pod.as_deref().or(self.container.as_deref()).or(id).or(self.unit.as_deref())
    }

    /// From the root down, what is further in replaces what is further out. The `..` of a path that
    /// begins outside the agent's own cgroup namespace name nothing.
    fn of_path(path: &str) -> Self {
        let mut origin = Self::default();
        // `slice:prefix:id` is meant for systemd; a runtime that is not told to use it takes it for
        // the name of a folder.
        for part in path.split(['/', ':']) {
            if let Some(uid) = pod_uid(part) {
                origin = Self { pod_uid: Some(uid), ..Self::default() };
            } else if let Some(id) = container_id(part) {
                origin.container_id = Some(id.to_owned());
                origin.unit = None;
            } else if is_unit(part) {
                origin.unit = Some(part.to_owned());
            }
        }
        origin
    }
}

/// `cri-containerd-<id>.scope` (systemd driver), `crio-<id>`, `<id>` (cgroupfs driver). The
/// monitors of cri-o and podman (`crio-conmon-<id>.scope`) are outside their containers.
fn container_id(part: &str) -> Option<&str> {
    let name = part.strip_suffix(".scope").unwrap_or(part);
    let id = RUNTIMES.iter().find_map(|runtime| name.strip_prefix(runtime)).unwrap_or(name);
    let is_id =
        id.len() == ID_DIGITS && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_id.then_some(id)
}

/// `pod<uid>` (cgroupfs driver), `kubepods-burstable-pod<uid with _>.slice` (systemd driver). The
/// kubelet writes the uid so:
/// <https://github.com/kubernetes/kubernetes/blob/v1.31.0/pkg/kubelet/cm/cgroup_manager_linux.go>.
fn pod_uid(part: &str) -> Option<String> {
    let uid = match part.strip_suffix(".slice") {
        Some(slice) => {
            let (slice, uid) = slice.rsplit_once("-pod")?;
            // Below a root of the kubelet's own its name comes first.
            slice.split('-').any(|part| part == "kubepods").then(|| uid.replace('_', "-"))?
        }
        None => part.strip_prefix("pod")?.to_owned(),
    };
    // A uid of 36 characters with dashes, or of a static pod: 32 digits without.
    let is_uid = matches!(uid.len(), 32 | 36)
        && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_uid.then_some(uid)
}

fn is_unit(part: &str) -> bool {
    // The longest name that systemd allows.
    const NAME_LIMIT: usize = 255;
    let name = part.strip_suffix(".service").or_else(|| part.strip_suffix(".scope"));
    part.len() <= NAME_LIMIT && name.is_some_and(|name| !name.is_empty())
}

impl ProcFs {
    /// Whose process it is; nothing where its cgroups cannot be read.
    #[must_use]
    pub fn origin(&self, pid: Pid) -> Origin {
        self.cgroups(pid).map(|cgroups| Origin::of(&cgroups)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = include_str!("../../data/cgroups.txt");
    const C: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const D: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
    const U: &str = "11111111-2222-3333-4444-555555555555";
    const V: &str = "66666666-7777-8888-9999-aaaaaaaaaaaa";

    /// The letters of the table are single characters between others that are no letters of a word.
    fn whole(text: &str) -> String {
        let mut whole = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let (start, behind) = rest.split_at(first.len_utf8());
            let before = whole.chars().last();
            let begins = before.is_none_or(|c| !c.is_ascii_alphanumeric())
                || whole.ends_with("pod")
                || whole.ends_with("slice:");
            let next = behind.chars().next();
            let ends = next.is_none_or(|c| !c.is_ascii_alphabetic());
            let value = match start {
                "C" => Some(C.to_owned()),
                "D" => Some(D.to_owned()),
                "U" => Some(U.to_owned()),
                "V" => Some(V.to_owned()),
                _ => None,
            };
            match value.filter(|_| begins && ends) {
                Some(value) => match behind.strip_prefix('_') {
                    Some(behind) => {
                        whole.push_str(&value.replace('-', "_"));
                        rest = behind;
                    }
                    None => {
                        whole.push_str(&value);
                        rest = behind;
                    }
                },
                None => {
                    whole.push_str(start);
                    rest = behind;
                }
            }
        }
        whole
    }

    #[test]
    fn what_runtimes_write() {
        let mut cases = 0;
        for case in TABLE.split("\n== ").skip(1) {
            let (name, lines) = case.split_once('\n').unwrap();
            let (from, lines) = lines.split_once('\n').unwrap();
            assert!(from.starts_with("from: "), "{name} does not say where it is from");
            let (cgroups, known) = lines.split_once("-> ").unwrap();
            let origin = Origin::of(&Cgroups::parse(whole(cgroups).as_bytes()));
            let found = [
                ("container", &origin.container_id),
                ("pod", &origin.pod_uid),
                ("unit", &origin.unit),
            ];
            let found =
                found.iter().filter_map(|(what, id)| Some(format!("{what}={}", (*id).as_ref()?)));
            let found = found.collect::<Vec<_>>().join(" ");
            let found = if found.is_empty() { "nothing".to_owned() } else { found };
            assert_eq!(found, whole(known.trim()), "{name}: {cgroups}");
            cases += 1;
        }
        assert!(cases > 50, "{cases} cases only");
    }

    #[test]
    fn hostile_paths() {
        for path in [
            format!("/{}.service", "x".repeat(4096)),
            "/.service".to_owned(),
            "/..".to_owned(),
            "/:::/::".to_owned(),
            format!("/{}", "../".repeat(1000)),
        ] {
            let origin = Origin::of(&Cgroups::parse(format!("0::{path}\n").as_bytes()));
            assert_eq!(origin, Origin::default(), "{path}");
        }
    }
}
