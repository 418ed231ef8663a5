//! Words of a stack: from a copy of it, or read from the process piece by piece.

use super::{
    memory::{Bytes, Memory, MemoryError},
    stack::Words,
};
use crate::inspect::address::ProcessAddress;

/// Bytes of a deep stack that are read at a time.
const PIECE: u64 = 32 << 10;

/// A copy of a part of a stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied<'a> {
    /// Address of the first byte.
    pub(super) base: u64,
    pub(super) bytes: &'a [u8],
}

impl Copied<'_> {
    fn get(&self, at: u64) -> Option<u64> {
        Bytes(self.bytes).u64(u32::try_from(at.checked_sub(self.base)?).ok()?)
    }
}

impl Words for Copied<'_> {
    fn word(&mut self, at: u64) -> Result<Option<u64>, MemoryError> {
        Ok(self.get(at))
    }
}

/// A stack in a process. A walk goes upwards only, so one piece at a time is kept.
#[derive(Debug)]
pub(super) struct Streamed<'a, M> {
    pub(super) memory: &'a M,
    /// Where the stack ends.
    pub(super) end: u64,
    pub(super) base: u64,
    pub(super) piece: &'a mut Vec<u8>,
}

impl<M: Memory> Words for Streamed<'_, M> {
    fn word(&mut self, at: u64) -> Result<Option<u64>, MemoryError> {
        if let Some(word) = (Copied { base: self.base, bytes: self.piece }).get(at) {
            return Ok(Some(word));
        }
        if at < self.base || at.checked_add(8).is_none_or(|end| end > self.end) {
            return Ok(None);
        }
        let length = usize::try_from((self.end - at).min(PIECE)).unwrap_or(0);
        self.piece.resize(length, 0);
        self.base = at;
        match self.memory.read(ProcessAddress(at), self.piece) {
            Ok(()) => Ok((Copied { base: self.base, bytes: self.piece }).get(at)),
            // The stack has been moved and given back.
            Err(MemoryError::Unmapped { .. } | MemoryError::OutOfBounds { .. }) => {
                self.piece.clear();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
