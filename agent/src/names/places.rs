//! All that is read on this node, for those who are to be named at one moment.

use std::{cell::OnceCell, collections::HashMap, io, path::PathBuf, time::Instant};

use super::{
    engines::{self, Storage},
    kubelet::Folders,
    tally::{Source, Tally},
    wanted::{Names, Wanted},
};
use crate::{
    discover::{identity::Pid, proc_fs::ProcFs},
    push::talk::Talk,
};

/// What is read on this node.
pub(super) struct Places {
    root: PathBuf,
    procfs: ProcFs,
    storage: Storage,
    failures: Failures,
}

impl Places {
    pub(super) fn new(root: PathBuf, procfs: ProcFs, tally: Tally) -> Self {
        let failures = Failures { tally, talks: HashMap::new() };
        Self { root, procfs, storage: Storage::default(), failures }
    }

    /// What is known of each of these, and of one process in it. The kubelet's folders are read
    /// once for all.
    pub(super) fn look(&mut self, wanted: &[(Wanted, Pid)]) -> Vec<Names> {
        let folders = OnceCell::new();
        wanted
            .iter()
            .map(|(wanted, pid)| {
                let folders = folders.get_or_init(|| {
                    let read = Folders::read(&self.root);
                    self.failures.note(Source::Kubelet, read).unwrap_or_default()
                });
                self.one(wanted, *pid, folders)
            })
            .collect()
    }

    fn one(&mut self, wanted: &Wanted, pid: Pid, folders: &Folders) -> Names {
        let mut names = Names::default();
        if let Some(id) = &wanted.container_id {
            names = names.or(folders.container(id).unwrap_or_default());
        }
        if let Some(uid) = wanted.pod_uid.as_ref().filter(|_| !names.are_whole(wanted)) {
            // Of several containers the process's own mounts tell which it is in.
            let of_process = self.procfs.container_of_pod(pid, uid).ok().flatten();
            let of_process = Names { container: of_process, ..Names::default() };
            names = names.or(of_process).or(folders.pod(uid).unwrap_or_default());
        }
        let Some(id) = wanted.container_id.as_ref().filter(|_| !names.are_whole(wanted)) else {
            return names;
        };
        let docker = engines::docker(&self.root, id);
        let docker = self.failures.note(Source::Docker, docker).flatten();
        let others = docker.or_else(|| {
            let podman = self.storage.container(&self.root, id);
            self.failures.note(Source::Podman, podman).flatten()
        });
        let Some(others) = others else { return names };
        // Without a pod's names in it, it is a name that the engine gave to a container of a pod.
        if wanted.pod_uid.is_some() && others.pod.is_none() { names } else { names.or(others) }
    }
}

/// What could not be read.
struct Failures {
    tally: Tally,
    talks: HashMap<&'static str, Talk>,
}

impl Failures {
    /// The result, unless it is a failure; that is counted, and told now and then.
    fn note<T>(&mut self, source: Source, result: io::Result<T>) -> Option<T> {
        let error = match result {
            Ok(found) => return Some(found),
            Err(error) => error,
        };
        self.tally.failed(source);
        let whose = match source {
            Source::Kubelet => "the kubelet's folders",
            Source::Docker => "Docker's files",
            Source::Cri | Source::Podman => "Podman's files",
        };
        let reason = error.to_string();
        if self.talks.entry(whose).or_default().tells(&reason, Instant::now()) {
            if error.kind() == io::ErrorKind::PermissionDenied {
                tracing::info!(reason, "{whose} cannot be read: no names of containers from there");
            } else {
                tracing::warn!(reason, "{whose} cannot be read: no names of containers from there");
            }
        }
        None
    }
}
