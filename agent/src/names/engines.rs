//! Names of containers as Docker and Podman keep them on disk, for containers of root.
//!
//! - Docker: `Name` in `/var/lib/docker/containers/<id>/config.v2.json`
//!   (<https://github.com/moby/moby/blob/v27.0.0/container/container.go>)
//! - Podman, and cri-o: `containers.json`, and for those that do not survive a restart of the host
//!   `volatile-containers.json`, in a folder named after the storage driver
//!   (<https://github.com/containers/storage/blob/v1.54.0/containers.go>)

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::Deserialize;

use super::wanted::{Names, name};

const DOCKER: &str = "var/lib/docker/containers";
const STORAGE: &str = "var/lib/containers/storage";
/// The folders of the storage drivers; no host has more than one or two.
const DRIVERS: [&str; 4] =
    ["overlay-containers", "vfs-containers", "btrfs-containers", "zfs-containers"];
const LISTS: [&str; 2] = ["containers.json", "volatile-containers.json"];
/// Of one container.
const DOCKER_LIMIT: u64 = 1 << 20;
/// Of all containers of a host.
const STORAGE_LIMIT: u64 = 16 << 20;

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(rename = "Name")]
    name: String,
}

/// What Docker calls the container with this id.
pub(super) fn docker(root: &Path, id: &str) -> io::Result<Option<Names>> {
    let path = root.join(DOCKER).join(id).join("config.v2.json");
    let Some(text) = read(&path, DOCKER_LIMIT)? else { return Ok(None) };
    let config: DockerConfig = serde_json::from_slice(&text)?;
    Ok(Some(of_name(config.name.trim_start_matches('/'))))
}

/// The storage that Podman and cri-o share.
#[derive(Debug, Default)]
pub(super) struct Storage {
    lists: HashMap<PathBuf, (Stamp, HashMap<String, Names>)>,
}

/// Tells whether a file is what it was.
type Stamp = (u64, Option<SystemTime>);

#[derive(Deserialize)]
struct Stored {
    id: String,
    #[serde(default)]
    names: Vec<String>,
}

impl Storage {
    /// What the container with this id is called. A list is read again when it has changed.
    pub(super) fn container(&mut self, root: &Path, id: &str) -> io::Result<Option<Names>> {
        for driver in DRIVERS {
            for list in LISTS {
                let path = root.join(STORAGE).join(driver).join(list);
                let metadata = match fs::metadata(&path) {
                    Ok(metadata) => metadata,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
                let stamp = (metadata.len(), metadata.modified().ok());
                if self.lists.get(&path).is_none_or(|(read, _)| *read != stamp) {
                    self.lists.insert(path.clone(), (stamp, listed(&path)?));
                }
                if let Some(names) = self.lists.get(&path).and_then(|(_, names)| names.get(id)) {
                    return Ok(Some(names.clone()));
                }
            }
        }
        Ok(None)
    }
}

fn listed(path: &Path) -> io::Result<HashMap<String, Names>> {
    let Some(text) = read(path, STORAGE_LIMIT)? else { return Ok(HashMap::new()) };
    let stored: Vec<Stored> = serde_json::from_slice(&text)?;
    let named = stored.into_iter().filter_map(|stored| {
        let name = stored.names.into_iter().next()?;
        Some((stored.id, of_name(&name)))
    });
    Ok(named.collect())
}

/// A container of a pod has a name put together of its own and the pod's:
/// `k8s_<container>_<pod>_<namespace>_<uid>_<attempt>`; `POD` stands for what holds the pod.
fn of_name(text: &str) -> Names {
    let parts: Vec<&str> = text.split('_').collect();
    match parts.as_slice() {
        ["k8s", container, pod, namespace, _uid, _attempt] => {
            Names::of_pod(namespace, pod, Some(*container).filter(|name| *name != "POD"))
        }
        _ => Names { container: name(text), ..Names::default() },
    }
}

/// A file, unless it does not exist.
fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // A pipe in its place would keep us waiting.
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no regular file"));
    }
    let mut text = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut text)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too large"));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn file(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn called(name: &str) -> Names {
        Names { container: Some(name.to_owned()), ..Names::default() }
    }

    #[test]
    fn names_of_docker() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(docker(root.path(), ID).unwrap(), None);
        let path = format!("{DOCKER}/{ID}/config.v2.json");
        file(root.path(), &path, r#"{"State":{"Pid":5},"ID":"x","Name":"/web"}"#);
        assert_eq!(docker(root.path(), ID).unwrap(), Some(called("web")));
        file(root.path(), &path, r#"{"Name":"/k8s_app_web-0_shop_uid_3"}"#);
        let names = Names::of_pod("shop", "web-0", Some("app"));
        assert_eq!(docker(root.path(), ID).unwrap(), Some(names));
        file(root.path(), &path, r#"{"Name":"/k8s_POD_web-0_shop_uid_3"}"#);
        assert_eq!(docker(root.path(), ID).unwrap().unwrap().container, None);
        for broken in ["", "{", r#"{"Name":5}"#, &" ".repeat(2 << 20)] {
            file(root.path(), &path, broken);
            assert!(docker(root.path(), ID).is_err());
        }
    }

    #[test]
    fn names_of_podman() {
        let root = tempfile::tempdir().unwrap();
        let mut storage = Storage::default();
        assert_eq!(storage.container(root.path(), ID).unwrap(), None);
        let path = format!("{STORAGE}/vfs-containers/containers.json");
        file(root.path(), &path, &format!(r#"[{{"id":"a"}},{{"id":"{ID}","names":["db","x"]}}]"#));
        assert_eq!(storage.container(root.path(), ID).unwrap(), Some(called("db")));
        assert_eq!(storage.container(root.path(), "a").unwrap(), None);
        let path = format!("{STORAGE}/overlay-containers/volatile-containers.json");
        file(root.path(), &path, r#"[{"id":"b","names":["once"]}]"#);
        assert_eq!(storage.container(root.path(), "b").unwrap(), Some(called("once")));
        file(root.path(), &path, "[{}]");
        assert!(storage.container(root.path(), "b").is_err());
    }
}
