//! Another process's memory, as the walkers see it: bytes at addresses, or a reason why not.
//!
//! The walkers of this stage are written against [`Memory`], so that they are tested with literal
//! bytes; [`super::process_memory`] is the one that reads a process.

use crate::inspect::address::ProcessAddress;

/// The most that one call reads. No record of the runtime comes near it, and a length that was
/// itself read from the target must not decide how much the agent allocates.
pub const MAX_READ: usize = 16 << 20;

/// Why memory could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// The process has ended.
    #[error("the process has ended")]
    Gone,
    /// The kernel refuses: another user's process, Yama, or a security module.
    #[error(
        "reading the process's memory is not permitted; it needs the same user and Yama's \
         ptrace_scope 0, or CAP_SYS_PTRACE"
    )]
    NotPermitted,
    /// Nothing is mapped there, or not all of it.
    #[error("no memory is mapped at {at} ({length} bytes)")]
    Unmapped {
        /// Where reading failed: the start of the range that could not be read in full.
        at: ProcessAddress,
        /// Length of that range, in bytes.
        length: usize,
    },
    /// More was asked for than [`MAX_READ`], or a range that wraps around the address space.
    #[error("a read of {length} bytes at {at} is out of bounds")]
    OutOfBounds {
        /// Start of the range.
        at: ProcessAddress,
        /// Its length in bytes.
        length: usize,
    },
    /// The kernel's error number for anything else.
    #[error("process_vm_readv failed: {}", std::io::Error::from_raw_os_error(*.0))]
    Os(i32),
}

/// A range of a process's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub at: ProcessAddress,
    /// Its length in bytes.
    pub length: usize,
}

impl Span {
    /// The address behind the last byte; `None` where the range wraps around.
    #[must_use]
    pub fn end(&self) -> Option<u64> {
        self.at.0.checked_add(u64::try_from(self.length).ok()?)
    }
}

/// A process's memory.
pub trait Memory {
    /// Fills `into` with what is at `at`: all of it, or an error.
    ///
    /// # Errors
    /// As [`MemoryError`] says.
    fn read(&self, at: ProcessAddress, into: &mut [u8]) -> Result<(), MemoryError> {
        self.read_many(&[Span { at, length: into.len() }], into)
    }

    /// Fills `into` with the ranges, one behind the other; the sum of their lengths is
    /// `into.len()`. One call to the kernel for many ranges is what makes a scan cheap.
    ///
    /// # Errors
    /// As [`MemoryError`] says; what `into` holds then is not specified.
    fn read_many(&self, spans: &[Span], into: &mut [u8]) -> Result<(), MemoryError>;
}

impl<M: Memory + ?Sized> Memory for &M {
    fn read_many(&self, spans: &[Span], into: &mut [u8]) -> Result<(), MemoryError> {
        (**self).read_many(spans, into)
    }
}

/// Checks the promise that callers of [`Memory::read_many`] make, and the bounds.
///
/// # Errors
/// [`MemoryError::OutOfBounds`].
pub fn check_spans(spans: &[Span], into: usize) -> Result<(), MemoryError> {
    let mut total = 0_usize;
    for span in spans {
        let out = MemoryError::OutOfBounds { at: span.at, length: span.length };
        span.end().ok_or(out)?;
        total = total.checked_add(span.length).ok_or(out)?;
    }
    if total == into && total <= MAX_READ {
        Ok(())
    } else {
        let at = spans.first().map_or(ProcessAddress(0), |span| span.at);
        Err(MemoryError::OutOfBounds { at, length: total })
    }
}

/// Reads a little-endian word of 8 bytes; every architecture supported is little-endian.
///
/// # Errors
/// As [`Memory::read`].
pub fn read_u64(memory: &impl Memory, at: ProcessAddress) -> Result<u64, MemoryError> {
    let mut bytes = [0; 8];
    memory.read(at, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Fields of a record that was read: never beyond its end.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    fn array<const N: usize>(self, offset: u32) -> Option<[u8; N]> {
        let start = usize::try_from(offset).ok()?;
        self.0.get(start..start.checked_add(N)?)?.try_into().ok()
    }

    /// One byte.
    #[must_use]
    pub fn u8(self, offset: u32) -> Option<u8> {
        self.array::<1>(offset).map(|[byte]| byte)
    }

    /// Four bytes.
    #[must_use]
    pub fn u32(self, offset: u32) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    /// Four bytes with a sign.
    #[must_use]
    pub fn i32(self, offset: u32) -> Option<i32> {
        self.array(offset).map(i32::from_le_bytes)
    }

    /// Eight bytes.
    #[must_use]
    pub fn u64(self, offset: u32) -> Option<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }

    /// Eight bytes with a sign.
    #[must_use]
    pub fn i64(self, offset: u32) -> Option<i64> {
        self.array(offset).map(i64::from_le_bytes)
    }
}

/// Memory made of literal bytes.
#[cfg(test)]
pub(crate) mod literal {
    use std::collections::BTreeMap;

    use super::{Memory, MemoryError, Span, check_spans};
    use crate::inspect::address::ProcessAddress;

    /// Pieces of memory by start address; they do not overlap.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct LiteralMemory {
        pieces: BTreeMap<u64, Vec<u8>>,
    }

    impl LiteralMemory {
        pub(crate) fn put(&mut self, at: u64, bytes: impl Into<Vec<u8>>) {
            self.pieces.insert(at, bytes.into());
        }

        pub(crate) fn put_words(&mut self, at: u64, words: &[u64]) {
            self.put(at, words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>());
        }
    }

    impl Memory for LiteralMemory {
        fn read_many(&self, spans: &[Span], into: &mut [u8]) -> Result<(), MemoryError> {
            check_spans(spans, into.len())?;
            let mut rest = into;
            for span in spans {
                let unmapped = MemoryError::Unmapped { at: span.at, length: span.length };
                let (target, behind) = rest.split_at_mut(span.length);
                rest = behind;
                let (start, piece) = self.pieces.range(..=span.at.0).next_back().ok_or(unmapped)?;
                let offset = usize::try_from(span.at.0 - start).unwrap();
                let source = piece.get(offset..).and_then(|bytes| bytes.get(..span.length));
                target.copy_from_slice(source.ok_or(unmapped)?);
            }
            Ok(())
        }
    }

    #[test]
    fn reads_what_was_put_and_nothing_else() {
        let mut memory = LiteralMemory::default();
        memory.put(0x1000, [1, 2, 3, 4]);
        let mut two = [0; 2];
        memory.read(ProcessAddress(0x1002), &mut two).unwrap();
        assert_eq!(two, [3, 4]);
        let beyond = memory.read(ProcessAddress(0x1003), &mut two);
        assert!(matches!(beyond, Err(MemoryError::Unmapped { .. })));
        let below = memory.read(ProcessAddress(0xfff), &mut two);
        assert!(matches!(below, Err(MemoryError::Unmapped { .. })));
    }

    #[test]
    fn a_range_that_wraps_around_is_out_of_bounds() {
        let mut two = [0; 2];
        let wraps = LiteralMemory::default().read(ProcessAddress(u64::MAX), &mut two);
        assert!(matches!(wraps, Err(MemoryError::OutOfBounds { .. })));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_end_where_the_record_ends() {
        let bytes = Bytes(&[1, 0, 0, 0, 2]);
        assert_eq!(bytes.u32(0), Some(1));
        assert_eq!(bytes.u8(4), Some(2));
        assert_eq!(bytes.u32(2), None);
        assert_eq!(bytes.u64(0), None);
        assert_eq!(bytes.u8(u32::MAX), None);
    }
}
