//! Where in a process its executable was loaded.

use super::{
    address::{FileOffset, LoadBias, ProcessAddress},
    elf::Segment,
};

/// One mapping of the executable file: a line of `/proc/PID/maps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Its first byte.
    pub start: ProcessAddress,
    /// Behind its last byte.
    pub end: ProcessAddress,
    /// What of the file is at its first byte.
    pub offset: FileOffset,
    /// Code may run from it.
    pub executable: bool,
}

/// The bias that explains the executable mappings; `None` where none fits a segment, or where they
/// contradict one another.
pub(super) fn load_bias(
    segments: &[Segment],
    pie: bool,
    mappings: impl IntoIterator<Item = Mapping>,
) -> Option<LoadBias> {
    let mut found = None;
    for mapping in mappings.into_iter().filter(|mapping| mapping.executable) {
        let size = mapping.end.0.checked_sub(mapping.start.0)?;
        for segment in segments.iter().filter(|segment| segment.executable) {
            let (begin, end) = (segment.file.offset, segment.file.end());
            if mapping.offset.0 >= end || mapping.offset.0.saturating_add(size) <= begin {
                continue;
            }
            // A byte of the file that both the segment and the mapping hold.
            let common = begin.max(mapping.offset.0);
            let address = segment.address.checked_add(common - begin)?;
            let mapped = mapping.start.0.checked_add(common - mapping.offset.0)?;
            let bias = LoadBias(mapped.checked_sub(address)?);
            if found.is_some_and(|other| other != bias) {
                return None;
            }
            found = Some(bias);
        }
    }
    found.filter(|&bias| pie || bias == LoadBias(0))
}

#[cfg(test)]
mod tests {
    use super::{super::elf::Extent, *};

    fn segment(offset: u64, address: u64, size: u64, executable: bool) -> Segment {
        Segment { file: Extent { offset, size }, address, writable: false, executable }
    }

    fn mapping(start: u64, size: u64, offset: u64, executable: bool) -> Mapping {
        Mapping {
            start: ProcessAddress(start),
            end: ProcessAddress(start + size),
            offset: FileOffset(offset),
            executable,
        }
    }

    #[test]
    fn a_fixed_program_has_none() {
        let segments = [segment(0, 0x40_0000, 0x9b4b1, true)];
        let maps =
            [mapping(0x40_0000, 0x9c000, 0, true), mapping(0x49_c000, 0x1000, 0x9c000, false)];
        assert_eq!(load_bias(&segments, false, maps), Some(LoadBias(0)));
        assert_eq!(load_bias(&segments, false, [mapping(0x50_0000, 0x9c000, 0, true)]), None);
    }

    #[test]
    fn an_independent_program_has_that_of_its_code() {
        // The segment begins within a page, as external linkers have it; its mapping with the page.
        let segments = [segment(0, 0, 0x1000, false), segment(0x1234, 0x2234, 0x5000, true)];
        let base = 0x5555_5555_4000;
        let maps = [mapping(base, 0x1000, 0, false), mapping(base + 0x2000, 0x6000, 0x1000, true)];
        assert_eq!(load_bias(&segments, true, maps), Some(LoadBias(base)));
    }

    #[test]
    fn a_mapping_split_in_two_says_the_same() {
        let segments = [segment(0, 0x1000, 0x8000, true)];
        let maps =
            [mapping(0x7000_1000, 0x2000, 0, true), mapping(0x7000_3000, 0x6000, 0x2000, true)];
        assert_eq!(load_bias(&segments, true, maps), Some(LoadBias(0x7000_0000)));
    }

    #[test]
    fn what_does_not_fit_gives_none() {
        let segments = [segment(0x1000, 0x1000, 0x1000, true)];
        assert_eq!(load_bias(&segments, true, []), None);
        assert_eq!(load_bias(&segments, true, [mapping(0x7000, 0x1000, 0x1000, false)]), None);
        assert_eq!(load_bias(&segments, true, [mapping(0x7000, 0x1000, 0x9000, true)]), None);
        let twice = [mapping(0x7000, 0x1000, 0x1000, true), mapping(0x9000, 0x1000, 0x1000, true)];
        assert_eq!(load_bias(&segments, true, twice), None);
        let wrong = Mapping { end: ProcessAddress(0), ..mapping(0x7000, 0, 0x1000, true) };
        assert_eq!(load_bias(&segments, true, [wrong]), None);
    }
}
