//! Which container of its pod a process is in, by what the kubelet mounted there.
//!
//! Each container has a file of its own at `/dev/termination-log`, which lies on the host in
//! `/var/lib/kubelet/pods/<uid>/containers/<name>/`. The kernel tells the path to everybody, so it
//! takes no right and nothing mounted:
//! <https://github.com/kubernetes/kubernetes/blob/v1.31.0/pkg/kubelet/kuberuntime/kuberuntime_container.go>.

use super::{error::DiscoverError, identity::Pid, proc_fs::ProcFs};

impl ProcFs {
    /// Name of the container of the pod with this uid that a process is in.
    ///
    /// # Errors
    /// Of the process.
    pub fn container_of_pod(&self, pid: Pid, uid: &str) -> Result<Option<String>, DiscoverError> {
        let path = self.live_dir(pid)?.join("mountinfo");
        let text = self.read(pid, &path)?;
        let lines = text.split(|byte| *byte == b'\n');
        Ok(lines
            .filter_map(|line| std::str::from_utf8(line).ok())
            .find_map(|line| named(line, uid)))
    }
}

/// From a line of `mountinfo` (proc_pid_mountinfo(5)): id, parent, device, path on the file system,
/// mount point.
fn named(line: &str, uid: &str) -> Option<String> {
    // With a path of its own a container has it elsewhere; the folder is the same.
    let path = line.split(' ').nth(3)?;
    let (_, inside) = path.split_once("/pods/")?;
    let mut parts = inside.split('/');
    let (pod, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
    // A name of Kubernetes has nothing in it that would be escaped.
    let is_name = |name: &str| {
        name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
    };
    let is_it = pod == uid && kind == "containers" && parts.next().is_some();
    (is_it && !name.is_empty() && name.len() <= 63 && is_name(name)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::made_up::MadeUp;

    #[test]
    fn the_kubelets_file_names_the_container() {
        let tree = MadeUp::new();
        tree.stat(5, "go", 'S', 1).file(
            "5/mountinfo",
            "1 0 0:5 / / rw - overlay overlay rw\n\
             2 1 8:1 /lib/kubelet/pods/u-1/etc-hosts /etc/hosts rw - ext4 /dev/sda1 rw\n\
             3 1 8:1 /lib/kubelet/pods/u-1/containers/app-1/0a1b2c3d /dev/termination-log rw - ext4 x rw\n",
        );
        let named = |uid| tree.procfs().container_of_pod(Pid(5), uid).unwrap();
        assert_eq!(named("u-1").as_deref(), Some("app-1"));
        assert_eq!(named("u-2"), None);
        assert!(tree.procfs().container_of_pod(Pid(6), "u-1").is_err());
    }

    #[test]
    fn what_is_no_such_file() {
        for path in [
            "/pods/u",
            "/pods/u/containers",
            "/pods/u/containers/",
            "/pods/u/containers/name",
            "/pods/u/containers/na\\040me/x",
            "/pods/u/volumes/name/x",
            "/u/containers/name/x",
        ] {
            assert_eq!(named(&format!("1 0 0:1 {path} /a rw"), "u"), None, "{path}");
        }
        let long = "n".repeat(64);
        assert_eq!(named(&format!("1 0 0:1 /pods/u/containers/{long}/x /a rw"), "u"), None);
    }
}
