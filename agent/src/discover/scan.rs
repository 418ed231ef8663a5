//! One look at all processes.

use super::{
    error::DiscoverError,
    executable::Exe,
    identity::{Pid, ProcessId},
    proc_fs::ProcFs,
    selection::Selection,
};

/// A process that is selected and runs a program; whether it is one of Go is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Identity.
    pub id: ProcessId,
    /// Its executable.
    pub exe: Exe,
    /// Name of its main thread.
    pub comm: String,
    /// Number of its threads.
    pub threads: u64,
}

/// What one look at all processes found.
#[derive(Debug, Default)]
pub struct Scan {
    /// The selected processes, by pid.
    pub candidates: Vec<Candidate>,
    /// Processes that could not be looked at. Of kernel threads and of processes that ended
    /// meanwhile only those that were asked for by their ids are in here.
    pub failures: Vec<DiscoverError>,
}

/// Looks at all processes that can be selected.
///
/// # Errors
/// [`DiscoverError::Host`] where they cannot be listed.
pub fn scan(procfs: &ProcFs, selection: &Selection) -> Result<Scan, DiscoverError> {
    let pids = match selection.only_pids() {
        Some(pids) => pids.iter().copied().collect(),
        None => procfs.pids()?,
    };
    let mut scan = Scan::default();
    for pid in pids {
        match procfs.candidate(selection, pid) {
            Ok(candidate) => scan.candidates.extend(candidate),
            Err(DiscoverError::Gone { .. } | DiscoverError::KernelThread { .. })
                if !selection.names(pid) => {}
            Err(error) => scan.failures.push(error),
        }
    }
    Ok(scan)
}

impl ProcFs {
    /// Looks at one process; `None` where it is not selected.
    ///
    /// # Errors
    /// Of the process.
    pub fn candidate(
        &self,
        selection: &Selection,
        pid: Pid,
    ) -> Result<Option<Candidate>, DiscoverError> {
        if !selection.admits(self, pid)? {
            return Ok(None);
        }
        let exe = self.exe_link(pid)?;
        let stat = self.stat(pid)?;
        let id = ProcessId { pid, start: stat.start };
        Ok(Some(Candidate { id, exe, comm: stat.comm, threads: stat.threads }))
    }

    /// The process is gone, or is dead but for its entry in the table, or its id is another's.
    #[must_use]
    pub fn is_gone(&self, id: ProcessId) -> bool {
        match self.stat(id.pid) {
            Ok(stat) if stat.start != id.start => true,
            Ok(stat) if stat.is_dead() => !matches!(self.live_thread(id.pid), Ok(Some(_))),
            Ok(_) => false,
            Err(error) => error.is_gone(),
        }
    }

    /// Name of the main thread.
    ///
    /// # Errors
    /// Of the process.
    pub fn comm(&self, pid: Pid) -> Result<String, DiscoverError> {
        Ok(self.stat(pid)?.comm)
    }

    /// Number of threads.
    ///
    /// # Errors
    /// Of the process.
    pub fn thread_count(&self, pid: Pid) -> Result<u64, DiscoverError> {
        Ok(self.stat(pid)?.threads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::{identity::StartTime, made_up::MadeUp, selection::Criteria};

    fn by_pids(pids: &[u32]) -> Selection {
        let include = Criteria { pids: pids.to_vec(), ..Criteria::default() };
        Selection::new(&include, &Criteria::default()).unwrap()
    }

    fn tree() -> MadeUp {
        let tree = MadeUp::new();
        tree.process(10, "/opt/a (deleted)", "/a").process(11, "/opt/b", "/b").kernel_thread(2);
        tree.stat(12, "z", 'Z', 3).thread(12, 12, 'Z').file("12/status", "Tgid:\t12\n");
        tree.file("13/stat", "nonsense").file("cpuinfo", "");
        tree
    }

    #[test]
    fn everything() {
        let scan = scan(&tree().procfs(), &Selection::default()).unwrap();
        let exe = Exe { path: "/opt/a".into(), deleted: true };
        let id = ProcessId { pid: Pid(10), start: StartTime(10) };
        assert_eq!(scan.candidates[0], Candidate { id, exe, comm: "go".into(), threads: 5 });
        assert_eq!(scan.candidates.len(), 2);
        assert!(matches!(&scan.failures[..], [DiscoverError::Malformed { pid: Pid(13), .. }]));
    }

    #[test]
    fn what_is_asked_for_by_id_has_a_reason() {
        let scan = scan(&tree().procfs(), &by_pids(&[2, 11, 12, 99])).unwrap();
        assert_eq!(scan.candidates.len(), 1);
        let reasons: Vec<String> = scan.failures.iter().map(ToString::to_string).collect();
        assert_eq!(
            reasons,
            ["process 2 is a kernel thread", "there is no process 12", "there is no process 99"]
        );
    }

    #[test]
    fn ids_alone_need_no_list() {
        let tree = tree();
        let procfs = ProcFs::new(tree.root());
        // A pid that is not listed as a folder of digits is never looked at; one asked for is.
        assert_eq!(scan(&procfs, &by_pids(&[10])).unwrap().candidates.len(), 1);
        assert!(scan(&ProcFs::new("/nonexistent"), &by_pids(&[10])).is_ok());
        assert!(scan(&ProcFs::new("/nonexistent"), &Selection::default()).is_err());
    }

    #[test]
    fn gone() {
        let tree = tree();
        let procfs = tree.procfs();
        let id = |pid, start| ProcessId { pid: Pid(pid), start: StartTime(start) };
        assert!(!procfs.is_gone(id(10, 10)));
        assert!(procfs.is_gone(id(10, 9)));
        assert!(procfs.is_gone(id(12, 3)));
        assert!(procfs.is_gone(id(99, 3)));
        tree.thread(12, 14, 'S');
        assert!(!procfs.is_gone(id(12, 3)));
    }
}
