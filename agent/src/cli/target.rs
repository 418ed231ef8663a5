//! One process that was asked for by its id: what is in it, or why that cannot be told.

use std::{path::Path, sync::Arc};

use super::failure::Failure;
use crate::{
    discover::{
        error::DiscoverError,
        identity::{Pid, ProcessId},
        proc_fs::ProcFs,
    },
    inspect::{Binary, InspectError, cache::FileKey, inspect},
};

/// A Go process.
pub(super) struct Target {
    pub(super) id: ProcessId,
    /// Of its executable.
    pub(super) exe: FileKey,
    pub(super) binary: Arc<Binary>,
}

impl Target {
    /// Looks into the executable of a process.
    pub(super) fn find(procfs: &ProcFs, pid: Pid) -> Result<Self, Failure> {
        let id = procfs.identity(pid).map_err(|error| refused(&error))?;
        let file = procfs.open_exe(pid).map_err(|error| refused(&error))?;
        let path = procfs.exe_link(pid).map(|exe| exe.path).unwrap_or_default();
        let metadata = file.metadata().map_err(|error| {
            Failure::new(format!("cannot look into process {pid} ({}): {error}", path.display()))
        })?;
        let inspected = inspect(file);
        // Its id may be another's by now, whose executable was opened then.
        if procfs.is_gone(id) {
            let path = procfs.root().join(pid.to_string());
            return Err(refused(&DiscoverError::Gone { pid, path }));
        }
        let binary = inspected.map_err(|error| not_inspected(pid, &path, &error))?;
        Ok(Self { id, exe: FileKey::of(&metadata), binary: Arc::new(binary) })
    }
}

/// A process could not be looked at.
pub(super) fn refused(error: &DiscoverError) -> Failure {
    Failure::new(error.to_string()).hint(hint(error))
}

fn hint(error: &DiscoverError) -> &'static str {
    match error {
        DiscoverError::NotPermitted { .. } => {
            "run as root, or with CAP_SYS_PTRACE (and CAP_DAC_READ_SEARCH, where only the owner may \
             read the file); `goroscope doctor` tells what is missing"
        }
        DiscoverError::KernelThread { .. } => "the kernel's own threads run no Go",
        DiscoverError::Thread { .. } => "give the id of the process",
        _ => "`goroscope ps` lists the Go processes in sight",
    }
}

/// Its executable could not be understood.
pub(super) fn not_inspected(pid: Pid, exe: &Path, error: &InspectError) -> Failure {
    let exe = exe.display();
    match error {
        InspectError::NotGo | InspectError::NotElf => {
            Failure::new(format!("process {pid} ({exe}) is not a Go program"))
                .hint("`goroscope ps` lists the Go processes in sight")
        }
        _ => Failure::new(format!("cannot look into process {pid} ({exe}): {error}"))
            .hint("the file is damaged, or not made by Go's own linker"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_go_program_is_named() {
        let failure = not_inspected(Pid(5), Path::new("/bin/sleep"), &InspectError::NotGo);
        assert_eq!(failure.to_string(), "process 5 (/bin/sleep) is not a Go program");
    }
}
