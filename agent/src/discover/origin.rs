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
const RUNTIMES: [&str; 5] = ["cri-containerd-", "crio-", "docker-", "libpod-", "nerdctl-"];
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

    /// From the root down, what is further in replaces what is further out.
    fn of_path(path: &str) -> Self {
        let mut origin = Self::default();
        for part in path.split('/') {
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
            slice.starts_with("kubepods").then(|| uid.replace('_', "-"))?
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

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "11111111-2222-3333-4444-555555555555";

    fn of(text: &str) -> Origin {
        let uid = UID.replace('-', "_");
        let text = text.replace("$ID", ID).replace("$UID", UID).replace("$U_ID", &uid);
        Origin::of(&Cgroups::parse(text.as_bytes()))
    }

    #[test]
    fn units() {
        for (path, unit) in [
            ("/system.slice/nginx.service", Some("nginx.service")),
            ("/system.slice/containerd.service/init", Some("containerd.service")),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/a.service",
                Some("a.service"),
            ),
            ("/user.slice/user-1000.slice/session-3.scope", Some("session-3.scope")),
            ("/init.scope", Some("init.scope")),
            ("/system.slice", None),
            ("/", None),
            ("/.service", None),
        ] {
            let origin = of(&format!("0::{path}\n"));
            assert_eq!(origin.unit.as_deref(), unit, "{path}");
            assert_eq!(origin.container_id, None, "{path}");
        }
        assert_eq!(of(&format!("0::/{}.service", "x".repeat(4096))).unit, None);
    }

    #[test]
    fn containers() {
        for path in [
            "/system.slice/docker-$ID.scope",
            "/docker/$ID",
            "/default/$ID",
            "/machine.slice/libpod-$ID.scope/container",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-$ID.scope/container",
            "/libpod_parent/libpod-$ID",
            "/system.slice/nerdctl-$ID.scope",
            "/ecs/cluster/$ID",
        ] {
            let origin = of(&format!("0::{path}\n"));
            assert_eq!(origin.container_id.as_deref(), Some(ID), "{path}");
            assert_eq!((origin.unit, origin.pod_uid), (None, None), "{path}");
        }
    }

    #[test]
    fn pods() {
        for path in [
            "/kubepods/burstable/pod$UID/$ID",
            "/kubepods/pod$UID/crio-$ID",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod$U_ID.slice/cri-containerd-$ID.scope",
            "/kubepods.slice/kubepods-pod$U_ID.slice/crio-$ID.scope/container",
            "/kubelet.slice/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod$U_ID.slice/docker-$ID.scope",
        ] {
            let origin = of(&format!("0::{path}\n"));
            assert_eq!(origin.container_id.as_deref(), Some(ID), "{path}");
            assert_eq!(origin.pod_uid.as_deref(), Some(UID), "{path}");
        }
        let fixed = of(&format!("0::/kubepods/pod{}/$ID\n", "a".repeat(32)));
        assert_eq!(fixed.pod_uid, Some("a".repeat(32)));
    }

    #[test]
    fn monitors_and_look_alikes_are_no_containers() {
        for path in [
            "/machine.slice/libpod-conmon-$ID.scope",
            "/kubepods.slice/crio-conmon-$ID.scope",
            "/docker/0123",
            "/docker/$ID0",
        ] {
            assert_eq!(of(&format!("0::{path}\n")).container_id, None, "{path}");
        }
    }

    #[test]
    fn hybrid_and_nested() {
        let hybrid = of(
            "5:memory:/docker/$ID\n1:name=systemd:/docker/$ID\n0::/system.slice/containerd.service\n",
        );
        assert_eq!((hybrid.container_id.as_deref(), hybrid.unit), (Some(ID), None));
        let inner = ID.replace('0', "f");
        let nested = of(&format!("0::/docker/$ID/kubepods/pod$UID/{inner}\n"));
        assert_eq!(nested.container_id, Some(inner));
        let systemd_inside = of("0::/docker/$ID/system.slice/nginx.service\n");
        assert_eq!(systemd_inside.container_id.as_deref(), Some(ID));
        assert_eq!(systemd_inside.unit.as_deref(), Some("nginx.service"));
        assert_eq!(of(""), Origin::default());
    }
}
