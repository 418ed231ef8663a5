//! A read lease on a binary that nobody runs just now but that has probes all the same.
//!
//! While a file is executed the kernel refuses writes to it. Afterwards it may be overwritten in
//! place, and the kernel would put the breakpoints into the new code, at places that mean
//! something else there: the next process would crash. A lease makes a writer wait until the
//! probes are gone. See `F_SETLEASE` in fcntl(2).

use std::{
    fs::File,
    io,
    os::{fd::AsRawFd, unix::fs::MetadataExt as _},
};

/// A read lease; gone when dropped.
#[derive(Debug)]
pub struct Lease(File);

impl Lease {
    /// Takes a lease on a file that is open for reading only.
    ///
    /// # Errors
    ///
    /// Where somebody has the file open for writing, the file system has no leases, or
    /// `CAP_LEASE` is missing and the file belongs to another user.
    pub fn take(file: File) -> io::Result<Self> {
        // SAFETY: a call on a file descriptor that is open, with an integer argument.
        let failed = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) };
        if failed != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(file))
    }

    /// Does somebody wait to write? The kernel says so with `SIGIO` too.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        // SAFETY: a call on a file descriptor that is open.
        let kind = unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_GETLEASE) };
        kind != libc::F_RDLCK
    }

    /// Has the file no name any more? Then nobody will run it again.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.0.metadata().map_or(true, |metadata| metadata.nlink() == 0)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Closing the last descriptor would do; a child that inherited it would hold it.
        // SAFETY: a call on a file descriptor that is open, with an integer argument.
        unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_noticed_and_waits() {
        // SIGIO ends a process that does not handle it.
        // SAFETY: ignoring a signal has no precondition.
        unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("binary");
        std::fs::write(&path, b"code").unwrap();
        let lease = Lease::take(File::open(&path).unwrap()).unwrap();
        assert!(!lease.is_wanted() && !lease.is_deleted());
        let writer = {
            let path = path.clone();
            std::thread::spawn(move || std::fs::write(path, b"other").unwrap())
        };
        while !lease.is_wanted() {
            std::thread::yield_now();
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"code");
        std::fs::hard_link(&path, folder.path().join("kept")).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!lease.is_deleted());
        std::fs::rename(folder.path().join("kept"), &path).unwrap();
        drop(lease);
        writer.join().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"other");
    }

    #[test]
    fn a_deleted_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("binary");
        std::fs::write(&path, b"code").unwrap();
        let lease = Lease::take(File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(lease.is_deleted());
    }

    #[test]
    fn a_file_that_is_being_written_gets_no_lease() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("binary");
        let _writer = File::create(&path).unwrap();
        assert!(Lease::take(File::open(&path).unwrap()).is_err());
    }
}
