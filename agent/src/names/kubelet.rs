//! Names of pods and containers as the kubelet writes them into names of files.
//!
//! - `/var/log/containers/<pod>_<namespace>_<container>-<id>.log`, a link for each container:
//!   <https://github.com/kubernetes/kubernetes/blob/v1.31.0/pkg/kubelet/kuberuntime/legacy.go>
//! - `/var/log/pods/<namespace>_<pod>_<uid>/<container>/`:
//!   <https://github.com/kubernetes/kubernetes/blob/v1.31.0/pkg/kubelet/kuberuntime/helpers.go>
//!
//! Names of Kubernetes have no `_`. Only names of folders and links are read, nothing of the logs.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::wanted::Names;

/// Most entries of a folder that are looked at; a node has some hundred pods.
const ENTRY_LIMIT: usize = 65_536;
/// Most containers of a pod that are looked at: to tell one from several, two do.
const CONTAINER_LIMIT: usize = 2;

/// What the two folders say at one moment.
#[derive(Debug, Default)]
pub(super) struct Folders {
    containers: HashMap<String, Names>,
    pods: HashMap<String, PathBuf>,
}

impl Folders {
    /// Reads them below this root.
    ///
    /// # Errors
    /// Where one exists and cannot be read; the other is lost then, too.
    pub(super) fn read(root: &Path) -> io::Result<Self> {
        let mut folders = Self::default();
        for path in entries(&root.join("var/log/containers"))? {
            if let Some((id, names)) = base(&path).and_then(of_link) {
                folders.containers.insert(id.to_owned(), names);
            }
        }
        for path in entries(&root.join("var/log/pods"))? {
            if let Some(uid) = base(&path).and_then(|name| name.rsplit('_').next()) {
                folders.pods.insert(uid.to_owned(), path);
            }
        }
        Ok(folders)
    }

    /// Who the container with this id is.
    pub(super) fn container(&self, id: &str) -> Option<Names> {
        self.containers.get(id).cloned()
    }

    /// Who the pod with this uid is; its container only where it has but one.
    pub(super) fn pod(&self, uid: &str) -> Option<Names> {
        let path = self.pods.get(uid)?;
        let mut parts = base(path)?.split('_');
        let (namespace, pod, _uid) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let containers = fs::read_dir(path).ok().into_iter().flatten().flatten();
        let containers = containers.filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir()));
        let containers: Vec<_> = containers.take(CONTAINER_LIMIT).collect();
        let only = match containers.as_slice() {
            [only] => only.file_name().into_string().ok(),
            _ => None,
        };
        Some(Names::of_pod(namespace, pod, only.as_deref()))
    }
}

/// `<pod>_<namespace>_<container>-<id>.log`
fn of_link(name: &str) -> Option<(&str, Names)> {
    let (names, id) = name.strip_suffix(".log")?.rsplit_once('-')?;
    let mut parts = names.split('_');
    let (pod, namespace, container) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then(|| (id, Names::of_pod(namespace, pod, Some(container))))
}

/// Paths in a folder; none where it does not exist.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().take(ENTRY_LIMIT).map(|entry| entry.path()).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn base(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

#[cfg(test)]
mod tests {
    use std::os::unix::{ffi::OsStrExt as _, fs::symlink};

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn folders() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in ["var/log/containers", "var/log/pods"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        root
    }

    #[test]
    fn links() {
        let root = folders();
        let containers = root.path().join("var/log/containers");
        symlink("/nowhere", containers.join(format!("web-0_shop_app-1-{ID}.log"))).unwrap();
        for other in ["README", "a_b.log", "a_b_c_d-1.log", "a_b_c.log", ".log"] {
            fs::write(containers.join(other), "").unwrap();
        }
        let odd = std::ffi::OsStr::from_bytes(b"a_b_\xff-1.log");
        fs::write(containers.join(odd), "").unwrap();
        let folders = Folders::read(root.path()).unwrap();
        assert_eq!(folders.container(ID), Some(Names::of_pod("shop", "web-0", Some("app-1"))));
        assert_eq!(folders.container("d-1"), None);
        assert_eq!(folders.containers.len(), 1);
    }

    #[test]
    fn pods() {
        let root = folders();
        let pods = root.path().join("var/log/pods");
        fs::create_dir_all(pods.join("shop_web-0_uid-1/app")).unwrap();
        fs::create_dir_all(pods.join("shop_web-1_uid-2/app")).unwrap();
        fs::create_dir_all(pods.join("shop_web-1_uid-2/proxy")).unwrap();
        fs::create_dir_all(pods.join("shop_we_b_uid-3")).unwrap();
        fs::create_dir_all(pods.join("uid-4")).unwrap();
        let folders = Folders::read(root.path()).unwrap();
        assert_eq!(folders.pod("uid-1"), Some(Names::of_pod("shop", "web-0", Some("app"))));
        assert_eq!(folders.pod("uid-2"), Some(Names::of_pod("shop", "web-1", None)));
        assert_eq!((folders.pod("uid-3"), folders.pod("uid-4")), (None, None));
    }

    #[test]
    fn where_there_is_no_kubelet() {
        let root = tempfile::tempdir().unwrap();
        assert!(Folders::read(root.path()).unwrap().container(ID).is_none());
        fs::create_dir_all(root.path().join("var/log")).unwrap();
        fs::write(root.path().join("var/log/pods"), "").unwrap();
        assert!(Folders::read(root.path()).is_err());
    }
}
