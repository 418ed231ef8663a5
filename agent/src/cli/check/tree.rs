//! The processes that descend from this one: the command, and all that it started.

use std::collections::{HashMap, HashSet};

use rustix::process::set_child_subreaper;

use crate::discover::{
    error::DiscoverError,
    identity::{Pid, ProcessId},
    proc_fs::ProcFs,
    stat::Stat,
};

/// A process that runs one program; after an exec it is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Member {
    pub(super) id: ProcessId,
    /// Where the stack of its program began.
    pub(super) stack_start: u64,
}

impl Member {
    pub(super) fn of(pid: Pid, stat: &Stat) -> Self {
        Self { id: ProcessId { pid, start: stat.start }, stack_start: stat.stack_start }
    }
}

/// From now on processes whose parent ends are children of this one, so that what the command
/// leaves behind can be told from what others started.
pub(super) fn keep_orphans() {
    let own = rustix::process::getpid();
    if let Err(error) = set_child_subreaper(Some(own)) {
        tracing::debug!(%error, "processes whose parent ends will be lost from sight");
    }
}

/// All that descend from `root`, without itself. Of a process only its line in `/proc` is read.
///
/// # Errors
/// Where processes cannot be listed.
pub(super) fn descendants(procfs: &ProcFs, root: Pid) -> Result<Vec<Member>, DiscoverError> {
    let mut children: HashMap<Pid, Vec<(Pid, Stat)>> = HashMap::new();
    for pid in procfs.pids()? {
        // One that ended meanwhile is none.
        let Ok(stat) = procfs.stat(pid) else { continue };
        children.entry(stat.parent).or_default().push((pid, stat));
    }
    let mut members = Vec::new();
    let (mut next, mut known) = (vec![root], HashSet::from([root]));
    while let Some(parent) = next.pop() {
        for (pid, stat) in children.remove(&parent).unwrap_or_default() {
            if !known.insert(pid) {
                continue;
            }
            next.push(pid);
            // What has not yet run exec is still in the memory of its parent.
            if !stat.is_dead() && !stat.has_not_execed() {
                members.push(Member::of(pid, &stat));
            }
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree(processes: &[(u32, u32, char, u32)]) -> Vec<u32> {
        let folder = tempfile::tempdir().unwrap();
        for (pid, parent, state, flags) in processes {
            let path = folder.path().join(pid.to_string());
            fs::create_dir(&path).unwrap();
            let zeros = "0 ".repeat(11);
            let line =
                format!("{pid} (x y) {state} {parent} 1 1 0 -1 {flags} {zeros}0 7 0 99 {zeros}");
            fs::write(path.join("stat"), line).unwrap();
        }
        let members = descendants(&ProcFs::new(folder.path()), Pid(10)).unwrap();
        let mut pids: Vec<u32> = members.iter().map(|member| member.id.pid.0).collect();
        pids.sort_unstable();
        pids
    }

    #[test]
    fn children_and_theirs() {
        let all = [(1, 0), (10, 1), (11, 10), (12, 11), (5, 12), (20, 1), (21, 20)];
        let all: Vec<_> = all.map(|(pid, parent)| (pid, parent, 'S', 0)).into();
        assert_eq!(tree(&all), [5, 11, 12]);
    }

    #[test]
    fn the_dead_and_those_that_are_not_themselves_yet() {
        assert_eq!(tree(&[(11, 10, 'Z', 0), (12, 10, 'S', 0x40), (13, 12, 'S', 0)]), [13]);
        // A circle, as reused ids can make it, ends.
        assert_eq!(tree(&[(10, 11, 'S', 0), (11, 10, 'S', 0)]), [11]);
    }
}
