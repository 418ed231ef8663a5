//! Changes of a valid image: the fuzzer's input is a list of them, so that each input is close to
//! what a real program has and gets past the first checks.

use libfuzzer_sys::arbitrary::{self, Arbitrary};

/// More changes make of an image what the first check refuses.
pub const MAX_CHANGES: usize = 24;

/// One change. Places count modulo the size of the image.
#[derive(Clone, Debug, Arbitrary)]
pub enum Change {
    /// Another byte.
    Byte(u32, u8),
    /// Another number of 4 bytes.
    Word(u32, u32),
    /// Another number of 8 bytes.
    Long(u32, u64),
    /// A number of 8 bytes that leads into the image.
    Pointer(u32, u16),
    /// A number of 4 bytes that is a little more or less.
    Add(u32, i8),
    /// The same byte many times.
    Fill(u32, u8, u8),
    /// Bytes from elsewhere: to, from, how many.
    Copy(u32, u32, u8),
}

impl Change {
    /// Where it is made.
    pub fn place_mut(&mut self) -> &mut u32 {
        match self {
            Self::Byte(at, _)
            | Self::Word(at, _)
            | Self::Long(at, _)
            | Self::Pointer(at, _)
            | Self::Add(at, _)
            | Self::Fill(at, ..)
            | Self::Copy(at, ..) => at,
        }
    }

    /// Changes `bytes`; `base` is the address of the first, for pointers.
    pub fn apply(&self, bytes: &mut [u8], base: u64) {
        let size = bytes.len();
        if size == 0 {
            return;
        }
        let place = |at: u32| at as usize % size;
        let mut put = |at: u32, value: &[u8]| {
            for (target, byte) in bytes.iter_mut().skip(place(at)).zip(value) {
                *target = *byte;
            }
        };
        match *self {
            Self::Byte(at, value) => put(at, &[value]),
            Self::Word(at, value) => put(at, &value.to_le_bytes()),
            Self::Long(at, value) => put(at, &value.to_le_bytes()),
            Self::Pointer(at, to) => put(at, &(base + u64::from(to)).to_le_bytes()),
            Self::Fill(at, value, count) => put(at, &vec![value; usize::from(count) + 1]),
            Self::Add(at, more) => {
                let at = place(at) & !3;
                let Some(word) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) else {
                    return;
                };
                let changed = u32::from_le_bytes(*word).wrapping_add_signed(i32::from(more));
                *word = changed.to_le_bytes();
            }
            Self::Copy(to, from, count) => {
                let (to, from) = (place(to), place(from));
                let count = usize::from(count).min(size - to).min(size - from);
                bytes.copy_within(from..from + count, to);
            }
        }
    }
}

/// The image with all changes, cut off at `cut` where that is within.
pub fn changed(image: &[u8], base: u64, changes: &[Change], cut: Option<u32>) -> Vec<u8> {
    let mut bytes = image.to_vec();
    for change in changes.iter().take(MAX_CHANGES) {
        change.apply(&mut bytes, base);
    }
    if let Some(cut) = cut {
        bytes.truncate(cut as usize % (image.len() + 1));
    }
    bytes
}
