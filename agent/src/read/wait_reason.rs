//! The names of the wait reasons, from the target's own table.
//!
//! The numbers shift from release to release; the strings are what Go's goroutine dump shows.
//! <https://github.com/golang/go/blob/go1.26.0/src/runtime/runtime2.go> (`waitReasonStrings`)

use super::{
    error::ReadError,
    memory::{Bytes, Memory, Span},
};
use crate::inspect::address::ProcessAddress;

/// Longer than any name there is.
const MAX_NAME: u64 = 64;
/// Wait reasons are numbered with a byte.
const MAX_REASONS: u32 = 256;
/// Bytes of a string's header: address and length.
const HEADER: usize = 16;

/// Names of the wait reasons, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitReasons(Vec<String>);

/// What a goroutine in a bubble of package synctest waits for durably: only others of the bubble can
/// end it. Go's dump adds the word, except where the name has it.
/// <https://github.com/golang/go/blob/go1.26.0/src/runtime/runtime2.go> (`isIdleInSynctest`)
const DURABLE: [&str; 8] = [
    "chan receive (nil chan)",
    "chan send (nil chan)",
    "select (no cases)",
    "sleep",
    "sync.Cond.Wait",
    "coroutine",
    "synctest.Run",
    "synctest.Wait",
];

impl WaitReasons {
    /// Whether Go's dump calls this reason durable, of a goroutine in a bubble of package synctest.
    #[must_use]
    pub fn is_durable(name: &str) -> bool {
        DURABLE.contains(&name)
    }

    /// Reads the table of `count` strings at `at`.
    ///
    /// # Errors
    /// [`ReadError::Implausible`] where there is something else, [`ReadError::Memory`].
    pub fn read(memory: &impl Memory, at: ProcessAddress, count: u32) -> Result<Self, ReadError> {
        let wrong = |why| ReadError::implausible("runtime.waitReasonStrings", why);
        if count > MAX_REASONS {
            return Err(wrong("it has too many elements"));
        }
        let count = usize::try_from(count).unwrap_or(0);
        let mut headers = vec![0; count * HEADER];
        memory.read(at, &mut headers)?;
        let mut spans = Vec::with_capacity(count);
        for header in headers.chunks_exact(HEADER) {
            let (Some(start), Some(length)) = (Bytes(header).u64(0), Bytes(header).u64(8)) else {
                return Err(wrong("it is cut off"));
            };
            if length > MAX_NAME {
                return Err(wrong("a name is too long"));
            }
            let length = usize::try_from(length).unwrap_or(0);
            spans.push(Span { at: ProcessAddress(start), length });
        }
        let mut text = vec![0; spans.iter().map(|span| span.length).sum()];
        let readable: Vec<_> = spans.iter().copied().filter(|span| span.length > 0).collect();
        memory.read_many(&readable, &mut text)?;
        let mut names = Vec::with_capacity(count);
        let mut rest = text.as_slice();
        for span in spans {
            let (name, behind) = rest.split_at_checked(span.length).unwrap_or_default();
            rest = behind;
            if !name.iter().all(|byte| matches!(byte, b' '..=b'~')) {
                return Err(wrong("a name is not printable"));
            }
            names.push(String::from_utf8_lossy(name).into_owned());
        }
        // The first two have been the same in every release.
        match names.as_slice() {
            [first, second, ..] if first.is_empty() && second == "GC assist marking" => {
                Ok(Self(names))
            }
            _ => Err(wrong("the names are not those of wait reasons")),
        }
    }

    /// The name of a reason; `None` for 0, which is none, and for numbers that do not exist.
    #[must_use]
    pub fn name(&self, reason: u8) -> Option<&str> {
        self.0.get(usize::from(reason)).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The number of a name.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u8> {
        let index = self.0.iter().position(|known| known == name)?;
        u8::try_from(index).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::memory::literal::LiteralMemory;

    fn table(names: &[&str]) -> LiteralMemory {
        let mut memory = LiteralMemory::default();
        let text: String = names.concat();
        memory.put(0x9000, text.into_bytes());
        let mut headers = Vec::new();
        let mut at = 0x9000;
        for name in names {
            let length = u64::try_from(name.len()).unwrap();
            headers.extend([if length == 0 { 0 } else { at }, length]);
            at += length;
        }
        memory.put_words(0x1000, &headers);
        memory
    }

    #[test]
    fn names_are_those_of_the_target() {
        let memory = table(&["", "GC assist marking", "select"]);
        let reasons = WaitReasons::read(&memory, ProcessAddress(0x1000), 3).unwrap();
        assert_eq!(reasons.name(0), None);
        assert_eq!(reasons.name(2), Some("select"));
        assert_eq!(reasons.name(3), None);
        assert_eq!(reasons.number("select"), Some(2));
    }

    #[test]
    fn another_table_is_not_taken_for_it() {
        for names in [&["", "x", "y"], &["a", "GC assist marking", "y"], &["", "GC\n", "y"]] {
            let read = WaitReasons::read(&table(names), ProcessAddress(0x1000), 3);
            assert!(matches!(read, Err(ReadError::Implausible { .. })), "{names:?}");
        }
        let mut memory = LiteralMemory::default();
        memory.put_words(0x1000, &[0, 0, 0x9000, u64::MAX]);
        assert!(WaitReasons::read(&memory, ProcessAddress(0x1000), 2).is_err());
        assert!(WaitReasons::read(&memory, ProcessAddress(0x1000), u32::MAX).is_err());
    }
}
