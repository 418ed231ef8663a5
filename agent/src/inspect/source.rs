//! Positioned, bounded reads of a file that nobody vouches for.
//!
//! The file is never mapped: one that is cut short while it is read would kill the agent.

use std::{fs::File, io, ops::ControlFlow, os::unix::fs::FileExt as _};

use super::error::InspectError;

/// Bytes that can be read at any position.
pub trait ReadAt: Send + Sync {
    /// How many bytes there are.
    fn size(&self) -> u64;

    /// Fills `buf` from `offset` on; less is read only at the end.
    ///
    /// # Errors
    ///
    /// What the operating system reports.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
}

/// A file with the size it had when it was opened.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    size: u64,
}

impl OpenFile {
    /// Takes a regular file.
    pub(super) fn new(file: File) -> Result<Self, InspectError> {
        let metadata = file.metadata().map_err(|error| read_error(0, &error))?;
        if !metadata.is_file() {
            return Err(InspectError::NotRegular);
        }
        Ok(Self { file, size: metadata.len() })
    }
}

impl ReadAt for OpenFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(more) => done += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let count = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }
}

/// What [`Source::read`] hands out at most; larger things are read in pieces.
pub(super) const MAX_READ: u64 = 16 << 20;
/// The piece [`Source::scan`] reads at a time.
const PIECE: u64 = 256 << 10;

/// Bounded reads with typed errors.
pub(super) struct Source {
    bytes: Box<dyn ReadAt>,
}

impl Source {
    pub(super) fn new(bytes: Box<dyn ReadAt>) -> Self {
        Self { bytes }
    }

    /// Size of the file in bytes.
    pub(super) fn size(&self) -> u64 {
        self.bytes.size()
    }

    /// Exactly `size` bytes from `offset` on. `what` names them in the error.
    pub(super) fn read(
        &self,
        what: &'static str,
        offset: u64,
        size: u64,
    ) -> Result<Vec<u8>, InspectError> {
        if size > MAX_READ {
            return Err(InspectError::Corrupt { what, offset, why: "it is too large" });
        }
        let bytes = self.read_up_to(offset, size)?;
        if bytes.len() as u64 != size {
            return Err(InspectError::Truncated { what, offset, size });
        }
        Ok(bytes)
    }

    /// At most `size` bytes from `offset` on; less where the file ends.
    pub(super) fn read_up_to(&self, offset: u64, size: u64) -> Result<Vec<u8>, InspectError> {
        let there = self.size().saturating_sub(offset);
        let size = usize::try_from(size.min(there).min(MAX_READ)).unwrap_or(0);
        let mut bytes = vec![0; size];
        let count =
            self.bytes.read_at(offset, &mut bytes).map_err(|error| read_error(offset, &error))?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Shows `look` the bytes from `start` to `end` in pieces, in order, until it breaks.
    ///
    /// Each piece but the first begins with the last `overlap` bytes of the one before; `look`
    /// gets the offset of the piece. The pieces keep the alignment of `start` to `overlap`, if
    /// that is a power of two.
    pub(super) fn scan<T>(
        &self,
        start: u64,
        end: u64,
        overlap: u64,
        mut look: impl FnMut(u64, &[u8]) -> ControlFlow<T>,
    ) -> Result<Option<T>, InspectError> {
        let end = end.min(self.size());
        let mut at = start;
        while at < end {
            let piece = self.read_up_to(at, PIECE.min(end - at))?;
            if let ControlFlow::Break(found) = look(at, &piece) {
                return Ok(Some(found));
            }
            let next = (at + piece.len() as u64).saturating_sub(overlap);
            if next <= at || at + piece.len() as u64 >= end {
                break;
            }
            at = next;
        }
        Ok(None)
    }
}

fn read_error(offset: u64, error: &io::Error) -> InspectError {
    InspectError::Read { offset, kind: error.kind(), message: error.to_string() }
}

/// The little-endian number at `at`.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}

/// The little-endian number at `at`.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(word.try_into().ok()?))
}

/// The bytes before the first zero, or `None` where there is no zero.
pub(super) fn c_str(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    bytes.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_beyond_the_end_says_so() {
        let source = Source::new(Box::new(vec![1_u8, 2, 3]));
        assert_eq!(source.read("x", 1, 2), Ok(vec![2, 3]));
        let error = InspectError::Truncated { what: "x", offset: 2, size: 2 };
        assert_eq!(source.read("x", 2, 2), Err(error));
        assert!(source.read("x", u64::MAX, 1).is_err());
        assert!(source.read("x", 0, u64::MAX).is_err());
    }

    #[test]
    fn a_scan_sees_what_lies_across_two_pieces() {
        let mut bytes = vec![0_u8; usize::try_from(PIECE).unwrap() * 2 + 100];
        let at = usize::try_from(PIECE).unwrap() - 3;
        bytes[at..at + 6].copy_from_slice(b"needle");
        let end = bytes.len() as u64;
        let source = Source::new(Box::new(bytes));
        let found = source.scan(0, end, 16, |offset, piece| {
            match piece.windows(6).position(|window| window == b"needle") {
                Some(found) => ControlFlow::Break(offset + found as u64),
                None => ControlFlow::Continue(()),
            }
        });
        assert_eq!(found, Ok(Some(PIECE - 3)));
    }

    #[test]
    fn a_scan_of_nothing_ends() {
        let source = Source::new(Box::new(vec![0_u8; 40]));
        let mut seen = Vec::new();
        let end: Option<()> = source
            .scan(32, u64::MAX, 16, |at, piece| {
                seen.push((at, piece.len()));
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!((end, seen), (None, vec![(32, 8)]));
    }
}
