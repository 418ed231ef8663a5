//! Which cgroups a process is in: v1, v2, or both at once.

use super::{
    error::DiscoverError,
    identity::Pid,
    proc_fs::{ProcFs, parse},
};

/// More hierarchies than any kernel has controllers.
const HIERARCHY_LIMIT: usize = 64;

/// One line of `/proc/PID/cgroup` (cgroups(7)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Number of the hierarchy; 0 is that of v2.
    pub hierarchy: u32,
    /// Controllers, or `name=systemd` and the like; empty for v2.
    pub controllers: String,
    /// Path below the root of the hierarchy, as the cgroup namespace of `/proc`'s reader has it.
    pub path: String,
}

/// All cgroups of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cgroups(pub Vec<Membership>);

impl Cgroups {
    /// Takes the text apart; lines of another form are passed over.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let lines = text.split(|byte| *byte == b'\n');
        Self(lines.filter_map(membership).take(HIERARCHY_LIMIT).collect())
    }

    /// The paths, those that say most about the origin first: v2, systemd's own, the others.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let rank = |entry: &Membership| match entry.controllers.as_str() {
            "" => 0,
            "name=systemd" => 1,
            _ => 2,
        };
        let ranked = move |wanted| {
            self.0.iter().filter(move |entry| rank(entry) == wanted).map(|entry| &*entry.path)
        };
        ranked(0).chain(ranked(1)).chain(ranked(2))
    }
}

fn membership(line: &[u8]) -> Option<Membership> {
    let mut parts = line.splitn(3, |byte| *byte == b':');
    let hierarchy = parts.next().and_then(parse)?;
    let controllers = String::from_utf8_lossy(parts.next()?).into_owned();
    let path = parts.next()?;
    // A cgroup that was removed while the process was in it.
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    Some(Membership { hierarchy, controllers, path: String::from_utf8_lossy(path).into_owned() })
}

impl ProcFs {
    /// The cgroups of a process.
    ///
    /// # Errors
    /// Of the process.
    pub fn cgroups(&self, pid: Pid) -> Result<Cgroups, DiscoverError> {
        // A main thread that has exited is in the root of each v1 hierarchy, so a live one is
        // asked.
        let path = self.live_dir(pid)?.join("cgroup");
        Ok(Cgroups::parse(&self.read(pid, &path)?))
    }
}

/// A cgroup and all below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupPrefix(Vec<String>);

impl CgroupPrefix {
    /// From a path; a leading slash and a trailing one make no difference.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self(components(path).map(str::to_owned).collect())
    }

    /// Whether the cgroup with this path is in it; compared component by component.
    #[must_use]
    pub fn holds(&self, path: &str) -> bool {
        let mut parts = components(path);
        self.0.iter().all(|wanted| parts.next() == Some(wanted))
    }
}

fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::made_up::MadeUp;

    #[test]
    fn hybrid() {
        let cgroups = Cgroups::parse(
            b"9:name=systemd:/system.slice/a.service\n4:memory:/m\n1:cpu,cpuacct:/c\n0::/u:v\n",
        );
        assert_eq!(cgroups.0.len(), 4);
        assert_eq!(
            cgroups.paths().collect::<Vec<_>>(),
            ["/u:v", "/system.slice/a.service", "/m", "/c"]
        );
    }

    #[test]
    fn hostile() {
        assert_eq!(Cgroups::parse(b"").0, []);
        assert_eq!(Cgroups::parse(b"\n:\n::\nx::/\n-1::/a\n5:cpu\n").0, []);
        assert_eq!(Cgroups::parse(&b"1:cpu:/\n".repeat(5000)).0.len(), HIERARCHY_LIMIT);
        assert_eq!(Cgroups::parse(b"0::/\xff (deleted)\n").0[0].path, "/\u{fffd}");
    }

    #[test]
    fn prefixes_end_at_a_component() {
        let prefix = CgroupPrefix::new("/kubepods/burstable/");
        assert!(prefix.holds("/kubepods/burstable"));
        assert!(prefix.holds("/kubepods/burstable/pod1/c"));
        assert!(!prefix.holds("/kubepods/burstable-evil"));
        assert!(!prefix.holds("/kubepods"));
        assert!(!prefix.holds("/x/kubepods/burstable"));
        assert!(CgroupPrefix::new("kubepods").holds("/kubepods/x"));
        assert!(CgroupPrefix::new("/").holds("/anything"));
    }

    #[test]
    fn of_a_process_whose_main_thread_exited() {
        let tree = MadeUp::new();
        tree.stat(5, "go", 'Z', 1).file("5/cgroup", "1:cpu:/\n");
        tree.thread(5, 6, 'S').file("5/task/6/cgroup", "1:cpu:/there\n");
        assert_eq!(tree.procfs().cgroups(Pid(5)).unwrap().0[0].path, "/there");
        assert!(tree.procfs().cgroups(Pid(6)).unwrap_err().is_gone());
    }
}
