//! Which processes the user wants watched.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use thiserror::Error;

use super::{
    cgroup::{CgroupPrefix, Cgroups},
    error::DiscoverError,
    executable::Exe,
    identity::Pid,
    proc_fs::ProcFs,
};

/// What the user wrote, on the command line or elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Criteria {
    /// Process ids.
    pub pids: Vec<u32>,
    /// Globs for the path of the executable.
    pub exes: Vec<String>,
    /// Cgroups, with all below them.
    pub cgroups: Vec<String>,
}

/// A glob cannot be understood.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("\"{glob}\" is not a glob: {why}")]
pub struct GlobError {
    /// The glob.
    pub glob: String,
    /// What is wrong with it.
    pub why: String,
}

/// One side of a selection: what is taken in, or what is left out.
#[derive(Clone, Debug, Default)]
struct Filter {
    pids: BTreeSet<Pid>,
    exes: GlobSet,
    cgroups: Vec<CgroupPrefix>,
}

/// Which processes are watched: those that any of the criteria takes in (all, where there is none),
/// without those that any of the others leaves out.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    include: Filter,
    exclude: Filter,
}

/// Where the criteria look. Asked only for what they need, and never opens what belongs to a
/// process.
trait Facts {
    fn exe(&self) -> Result<Exe, DiscoverError>;
    fn cgroups(&self) -> Result<Cgroups, DiscoverError>;
}

impl Selection {
    /// From what the user wrote.
    ///
    /// # Errors
    /// A glob that cannot be understood.
    pub fn new(include: &Criteria, exclude: &Criteria) -> Result<Self, GlobError> {
        Ok(Self { include: Filter::new(include)?, exclude: Filter::new(exclude)? })
    }

    /// Whether the process was asked for by its id.
    #[must_use]
    pub fn names(&self, pid: Pid) -> bool {
        self.include.pids.contains(&pid)
    }

    /// The ids, where processes are selected by their ids alone.
    #[must_use]
    pub fn only_pids(&self) -> Option<&BTreeSet<Pid>> {
        let Filter { pids, exes, cgroups } = &self.include;
        (!pids.is_empty() && exes.is_empty() && cgroups.is_empty()).then_some(pids)
    }

    /// Whether a process is to be watched. Its id, the link to its executable and its cgroups are
    /// looked at, as far as the criteria need them; nothing of it is opened. The agent itself,
    /// and a process that still runs in the memory of its parent, are not.
    ///
    /// # Errors
    /// Of the process. What it is excluded by, or the only thing it could be included by, cannot
    /// be read; or it is a thread or a kernel thread.
    pub fn admits(&self, procfs: &ProcFs, pid: Pid) -> Result<bool, DiscoverError> {
        if procfs.own_pid() == Some(pid) {
            return Ok(false);
        }
        // A thread has a folder of its own, which is not listed, but found by those who ask for
        // its number.
        if self.names(pid) {
            let leader = procfs.status(pid)?.leader;
            if leader != pid {
                return Err(DiscoverError::Thread { pid, leader });
            }
        }
        let stat = procfs.stat(pid)?;
        if stat.is_kernel_thread() {
            return Err(DiscoverError::KernelThread { pid });
        }
        if procfs.is_borrowing_memory(pid, &stat) {
            return Ok(false);
        }
        self.decide(pid, &Process { procfs, pid })
    }

    fn decide(&self, pid: Pid, facts: &impl Facts) -> Result<bool, DiscoverError> {
        let included = self.include.is_empty() || self.include.matches(pid, facts)?;
        // What cannot be read might be what excludes it, so such a process is left alone.
        Ok(included && !self.exclude.matches(pid, facts)?)
    }
}

impl Filter {
    fn new(criteria: &Criteria) -> Result<Self, GlobError> {
        let mut exes = GlobSetBuilder::new();
        for text in &criteria.exes {
            exes.add(glob(text)?);
            // A path is never without a slash: a pattern without one is meant for the name.
            if !text.contains('/') {
                exes.add(glob(&format!("**/{text}"))?);
            }
        }
        let exes = exes.build().map_err(|error| glob_error("", &error))?;
        Ok(Self {
            pids: criteria.pids.iter().copied().map(Pid).collect(),
            exes,
            cgroups: criteria.cgroups.iter().map(|path| CgroupPrefix::new(path)).collect(),
        })
    }

    fn is_empty(&self) -> bool {
        self.pids.is_empty() && self.exes.is_empty() && self.cgroups.is_empty()
    }

    fn matches(&self, pid: Pid, facts: &impl Facts) -> Result<bool, DiscoverError> {
        if self.pids.contains(&pid) {
            return Ok(true);
        }
        if !self.exes.is_empty() && self.exes.is_match(&facts.exe()?.path) {
            return Ok(true);
        }
        if self.cgroups.is_empty() {
            return Ok(false);
        }
        let cgroups = facts.cgroups()?;
        let holds = |path| self.cgroups.iter().any(|prefix| prefix.holds(path));
        Ok(cgroups.paths().any(holds))
    }
}

fn glob(text: &str) -> Result<globset::Glob, GlobError> {
    // `*` goes over slashes, so that `*/worker` finds it in whatever folder it is.
    let built = GlobBuilder::new(text).literal_separator(false).backslash_escape(true).build();
    built.map_err(|error| glob_error(text, &error))
}

fn glob_error(glob: &str, error: &globset::Error) -> GlobError {
    GlobError { glob: glob.to_owned(), why: error.kind().to_string() }
}

struct Process<'a> {
    procfs: &'a ProcFs,
    pid: Pid,
}

impl Facts for Process<'_> {
    fn exe(&self) -> Result<Exe, DiscoverError> {
        self.procfs.exe_link(self.pid)
    }

    fn cgroups(&self) -> Result<Cgroups, DiscoverError> {
        self.procfs.cgroups(self.pid)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::discover::made_up::{MadeUp, stat_line};

    /// Counts what is asked.
    struct Counted {
        exe: &'static str,
        cgroup: &'static str,
        asked: Cell<(u32, u32)>,
    }

    impl Facts for Counted {
        fn exe(&self) -> Result<Exe, DiscoverError> {
            let (exes, cgroups) = self.asked.get();
            self.asked.set((exes + 1, cgroups));
            Ok(Exe::from_link(self.exe.into()))
        }

        fn cgroups(&self) -> Result<Cgroups, DiscoverError> {
            let (exes, cgroups) = self.asked.get();
            self.asked.set((exes, cgroups + 1));
            Ok(Cgroups::parse(format!("0::{}\n", self.cgroup).as_bytes()))
        }
    }

    fn criteria(pids: &[u32], exes: &[&str], cgroups: &[&str]) -> Criteria {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Criteria { pids: pids.to_vec(), exes: owned(exes), cgroups: owned(cgroups) }
    }

    fn decide(include: &Criteria, exclude: &Criteria) -> (bool, (u32, u32)) {
        let facts = Counted { exe: "/opt/app/worker", cgroup: "/a/b", asked: Cell::new((0, 0)) };
        let selection = Selection::new(include, exclude).unwrap();
        (selection.decide(Pid(7), &facts).unwrap(), facts.asked.get())
    }

    #[test]
    fn kinds_are_joined_by_or_and_excludes_cut() {
        let none = Criteria::default();
        for (include, exclude, selected) in [
            (none.clone(), none.clone(), true),
            (criteria(&[7], &[], &[]), none.clone(), true),
            (criteria(&[8], &[], &[]), none.clone(), false),
            (criteria(&[8], &["/opt/*"], &[]), none.clone(), true),
            (criteria(&[8], &["/usr/*"], &["/a"]), none.clone(), true),
            (criteria(&[8], &["/usr/*"], &["/x"]), none.clone(), false),
            (none.clone(), criteria(&[7], &[], &[]), false),
            (none.clone(), criteria(&[], &["*/worker"], &[]), false),
            (none.clone(), criteria(&[], &[], &["/a/b"]), false),
            (criteria(&[7], &[], &[]), criteria(&[], &["worker"], &[]), false),
            (criteria(&[7], &[], &[]), criteria(&[9], &["/x"], &["/a/c"]), true),
        ] {
            assert_eq!(decide(&include, &exclude).0, selected, "{include:?} {exclude:?}");
        }
    }

    #[test]
    fn looks_only_where_it_must() {
        let none = Criteria::default();
        assert_eq!(decide(&none, &none).1, (0, 0));
        assert_eq!(decide(&criteria(&[7], &["/x"], &["/y"]), &none).1, (0, 0));
        assert_eq!(decide(&criteria(&[], &["/opt/*"], &["/y"]), &none).1, (1, 0));
        assert_eq!(decide(&criteria(&[8], &[], &[]), &criteria(&[], &["/x"], &[])).1, (0, 0));
    }

    #[test]
    fn globs() {
        let matches = |glob: &str, path: &str| {
            let selection =
                Selection::new(&criteria(&[], &[glob], &[]), &Criteria::default()).unwrap();
            selection.include.exes.is_match(path)
        };
        assert!(matches("/opt/app/worker", "/opt/app/worker"));
        assert!(matches("/opt/*", "/opt/app/worker"));
        assert!(matches("*/worker", "/opt/app/worker"));
        assert!(matches("worker", "/opt/app/worker"));
        assert!(matches("work*", "/opt/app/worker"));
        assert!(matches("/opt/{app,lib}/w?rker", "/opt/app/worker"));
        assert!(!matches("work", "/opt/app/worker"));
        assert!(!matches("app", "/opt/app/worker"));
        assert!(!matches("/OPT/*", "/opt/app/worker"));
        assert!(!matches("opt/app/worker", "/opt/app/worker"));
        let error =
            Selection::new(&criteria(&[], &["/opt/[a"], &[]), &Criteria::default()).unwrap_err();
        assert!(error.to_string().contains("/opt/[a"), "{error}");
    }

    #[test]
    fn by_id_alone() {
        let selection =
            |include: &Criteria| Selection::new(include, &criteria(&[1], &["/x"], &[])).unwrap();
        assert_eq!(
            selection(&criteria(&[3, 2], &[], &[])).only_pids(),
            Some(&BTreeSet::from([Pid(2), Pid(3)]))
        );
        assert_eq!(selection(&criteria(&[3], &["/x"], &[])).only_pids(), None);
        assert_eq!(selection(&criteria(&[], &[], &[])).only_pids(), None);
        assert!(selection(&criteria(&[3], &["/x"], &[])).names(Pid(3)));
    }

    #[test]
    fn what_is_no_process_of_its_own() {
        let tree = MadeUp::new();
        tree.process(10, "/opt/a", "/").process(11, "/opt/a", "/").kernel_thread(2);
        tree.link("self", "10");
        tree.file("12/stat", stat_line(12, "t", 'S', 1, 0, 9)).file("12/status", "Tgid:\t11\n");
        // A child of vfork: it has not run exec, and runs in the memory of its parent.
        tree.process(13, "/opt/a", "/").file("13/stat", stat_line(13, "v", 'S', 11, 0x40, 9));
        let mut procfs = tree.procfs();
        procfs.shares_memory = |first, second| Some((first, second) == (Pid(13), Pid(11)));
        let all = Selection::default();
        assert!(!all.admits(&procfs, Pid(10)).unwrap());
        assert!(all.admits(&procfs, Pid(11)).unwrap());
        assert!(!all.admits(&procfs, Pid(13)).unwrap());
        assert!(matches!(all.admits(&procfs, Pid(2)), Err(DiscoverError::KernelThread { .. })));
        let named = Selection::new(&criteria(&[12], &[], &[]), &Criteria::default()).unwrap();
        assert!(matches!(
            named.admits(&procfs, Pid(12)),
            Err(DiscoverError::Thread { leader: Pid(11), .. })
        ));
        // Where the kernel cannot tell, a forked child is a process.
        procfs.shares_memory = |_, _| None;
        assert!(all.admits(&procfs, Pid(13)).unwrap());
    }

    #[test]
    fn what_cannot_be_checked_against_an_exclude_is_left_alone() {
        let tree = MadeUp::new();
        tree.stat(5, "go", 'S', 1);
        let selection = |include, exclude| Selection::new(&include, &exclude).unwrap();
        let excluding = selection(Criteria::default(), criteria(&[], &[], &["/x"]));
        assert!(excluding.admits(&tree.procfs(), Pid(5)).is_err());
        assert!(Selection::default().admits(&tree.procfs(), Pid(5)).unwrap());
    }
}
