//! What can go wrong while looking at a process, told apart so that callers can act on it.

use std::{io, path::PathBuf};

use thiserror::Error;

use super::identity::Pid;

/// A process, or the folder of processes, could not be looked at.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DiscoverError {
    /// It ended, or never was.
    #[error("there is no process {pid}")]
    Gone {
        /// Which.
        pid: Pid,
        /// What was looked at when this showed.
        path: PathBuf,
    },
    /// The kernel does not let this user look.
    #[error("process {pid} may not be looked at by this user ({})", path.display())]
    NotPermitted {
        /// Which.
        pid: Pid,
        /// What may not be read.
        path: PathBuf,
    },
    /// It has no program: it is part of the kernel.
    #[error("process {pid} is a kernel thread")]
    KernelThread {
        /// Which.
        pid: Pid,
    },
    /// The number is that of a thread.
    #[error("{pid} is a thread of process {leader}, not a process")]
    Thread {
        /// Which.
        pid: Pid,
        /// The process it belongs to.
        leader: Pid,
    },
    /// Its executable is something that cannot hold a program.
    #[error("the executable of process {pid} is not a regular file ({})", path.display())]
    NotRegular {
        /// Which.
        pid: Pid,
        /// The executable.
        path: PathBuf,
    },
    /// The kernel's text does not have the form it should have.
    #[error("{}: {what}", path.display())]
    Malformed {
        /// Of which process.
        pid: Pid,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Any other failure to read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Of which process.
        pid: Pid,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder of processes, or what it says of the whole host, cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Host {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DiscoverError {
    /// Sorts an error of the operating system.
    #[must_use]
    pub fn from_io(pid: Pid, path: PathBuf, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::ENOENT | libc::ESRCH) => Self::Gone { pid, path },
            Some(libc::EACCES | libc::EPERM) => Self::NotPermitted { pid, path },
            _ => Self::Io { pid, path, source },
        }
    }

    /// The process ended meanwhile: nothing that anybody must be told.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. })
    }
}
