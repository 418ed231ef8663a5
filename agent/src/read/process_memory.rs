//! The memory of a running process, through `process_vm_readv(2)`: the one place of this stage
//! with `unsafe`. The process is neither stopped nor written to.

use std::{
    fs, io,
    path::PathBuf,
    sync::atomic::{AtomicI32, Ordering},
};

use super::memory::{Memory, MemoryError, Span, check_spans};
use crate::{discover::identity::Pid, inspect::address::ProcessAddress};

/// Ranges per call: `IOV_MAX` of Linux (`UIO_MAXIOV`).
/// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/uio.h#L29>
const MAX_RANGES: usize = 1024;

/// Threads tried when the one that was read through has ended.
const MAX_THREADS_TRIED: usize = 64;

/// The memory of a process.
///
/// The process is named by its id alone: whoever holds this drops it when the process ends or
/// executes another program.
#[derive(Debug)]
pub struct ProcessMemory {
    pid: Pid,
    proc_root: PathBuf,
    /// The thread whose memory is read. It is the process's first until that ends: the kernel
    /// finds no memory behind a thread that has ended, though the others of the process live on.
    thread: AtomicI32,
}

impl ProcessMemory {
    /// The memory of `pid`, whose threads are listed under `proc_root` (normally `/proc`).
    ///
    /// # Errors
    /// [`MemoryError::Gone`] for a number that no process can have.
    pub fn new(pid: Pid, proc_root: impl Into<PathBuf>) -> Result<Self, MemoryError> {
        let thread = i32::try_from(pid.0).map_err(|_| MemoryError::Gone)?;
        Ok(Self { pid, proc_root: proc_root.into(), thread: AtomicI32::new(thread) })
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Reads as [`Memory::read_many`] does, through one thread.
    fn read_through(thread: i32, spans: &[Span], mut into: &mut [u8]) -> Result<(), MemoryError> {
        for batch in spans.chunks(MAX_RANGES) {
            let length = batch.iter().map(|span| span.length).sum();
            let (target, rest) = into.split_at_mut(length);
            into = rest;
            let read = vm_read(thread, batch, target)?;
            if read < length {
                return Err(unread(batch, read));
            }
        }
        Ok(())
    }

    /// Another thread of the process that still has its memory, if there is one.
    fn another_thread(&self, ended: i32) -> Option<i32> {
        let threads = fs::read_dir(self.proc_root.join(self.pid.to_string()).join("task")).ok()?;
        threads
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|thread| *thread != ended)
            .take(MAX_THREADS_TRIED)
            // A thread that lives answers a read of nothing but for a fault; one that has ended
            // says that it is gone.
            .find(|thread| {
                let probe = Span { at: ProcessAddress(0), length: 1 };
                !matches!(vm_read(*thread, &[probe], &mut [0]), Err(MemoryError::Gone))
            })
    }
}

impl Memory for ProcessMemory {
    fn read_many(&self, spans: &[Span], into: &mut [u8]) -> Result<(), MemoryError> {
        check_spans(spans, into.len())?;
        let thread = self.thread.load(Ordering::Relaxed);
        match Self::read_through(thread, spans, into) {
            Err(MemoryError::Gone) => {
                let other = self.another_thread(thread).ok_or(MemoryError::Gone)?;
                self.thread.store(other, Ordering::Relaxed);
                Self::read_through(other, spans, into)
            }
            result => result,
        }
    }
}

/// The error for the range that reading stopped in after `read` bytes.
fn unread(spans: &[Span], mut read: usize) -> MemoryError {
    for span in spans {
        if read < span.length {
            return MemoryError::Unmapped { at: span.at, length: span.length };
        }
        read -= span.length;
    }
    MemoryError::Os(libc::EIO)
}

/// One call to the kernel; returns the number of bytes read, which is less than asked for where
/// a range is not mapped.
fn vm_read(thread: i32, spans: &[Span], into: &mut [u8]) -> Result<usize, MemoryError> {
    let mut remote = Vec::with_capacity(spans.len());
    for span in spans {
        let at = usize::try_from(span.at.0)
            .map_err(|_| MemoryError::OutOfBounds { at: span.at, length: span.length })?;
        remote.push(libc::iovec {
            iov_base: std::ptr::without_provenance_mut(at),
            iov_len: span.length,
        });
    }
    let ranges =
        libc::c_ulong::try_from(remote.len()).map_err(|_| MemoryError::Os(libc::EINVAL))?;
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: `local` describes `into`, which is borrowed mutably for the whole call, and the
    // kernel writes no more than `iov_len` bytes there. The addresses in `remote` belong to
    // another process: the kernel checks them, and nothing here dereferences them.
    let read =
        unsafe { libc::process_vm_readv(thread, &raw const local, 1, remote.as_ptr(), ranges, 0) };
    usize::try_from(read).map_err(|_| {
        match io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO) {
            libc::ESRCH => MemoryError::Gone,
            libc::EPERM | libc::EACCES => MemoryError::NotPermitted,
            libc::EFAULT => unread(spans, 0),
            other => MemoryError::Os(other),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::process;

    use super::*;

    fn own() -> ProcessMemory {
        ProcessMemory::new(Pid(process::id()), "/proc").unwrap()
    }

    fn address(of: &[u8]) -> ProcessAddress {
        ProcessAddress(u64::try_from(of.as_ptr().addr()).unwrap())
    }

    #[test]
    fn more_ranges_than_one_call_takes_arrive_in_order() {
        let source: Vec<u8> = (0..5000_u32).map(|i| (i % 251) as u8).collect();
        let start = address(&source);
        let spans: Vec<_> = (0..2500_u64)
            .rev()
            .map(|i| Span { at: ProcessAddress(start.0 + 2 * i), length: 2 })
            .collect();
        let mut read = vec![0; 5000];
        own().read_many(&spans, &mut read).unwrap();
        let expected: Vec<u8> = source.chunks(2).rev().flatten().copied().collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_not_mapped_is_named() {
        let source = [7_u8; 8];
        let mut read = [0; 16];
        let spans = [
            Span { at: address(&source), length: 8 },
            Span { at: ProcessAddress(0x10), length: 8 },
        ];
        assert_eq!(
            own().read_many(&spans, &mut read),
            Err(MemoryError::Unmapped { at: ProcessAddress(0x10), length: 8 })
        );
        assert_eq!(
            own().read(ProcessAddress(0x20), &mut read),
            Err(MemoryError::Unmapped { at: ProcessAddress(0x20), length: 16 })
        );
    }

    #[test]
    fn an_ended_process_is_gone() {
        let mut child = process::Command::new("true").spawn().unwrap();
        let pid = Pid(child.id());
        child.wait().unwrap();
        let memory = ProcessMemory::new(pid, "/proc").unwrap();
        assert_eq!(memory.read(ProcessAddress(0x1000), &mut [0]), Err(MemoryError::Gone));
    }

    #[test]
    fn a_process_lives_on_behind_its_first_thread() {
        // Stands for a process whose first thread has ended: a thread id that is nobody's, under
        // a process that has others.
        let memory = own();
        let mut child = process::Command::new("true").spawn().unwrap();
        let ended = i32::try_from(child.id()).unwrap();
        child.wait().unwrap();
        memory.thread.store(ended, Ordering::Relaxed);
        let source = [7_u8; 8];
        let mut read = [0; 8];
        memory.read(address(&source), &mut read).unwrap();
        assert_eq!(read, source);
    }
}
