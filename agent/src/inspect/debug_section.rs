//! A debug section, which may be compressed, read in pieces.

use std::{
    io::{self, Read as _},
    sync::Arc,
};

use flate2::read::ZlibDecoder;

use super::{
    elf::{self, Elf, Extent},
    source::{MAX_READ, Source},
};

/// The largest section that is decompressed, in bytes.
const MAX_SIZE: u64 = 512 << 20;

/// Where a section is, and how it is packed.
#[derive(Clone)]
pub(super) struct DebugSection {
    source: Arc<Source>,
    packed: Extent,
    compressed: bool,
    /// Its size in bytes once decompressed.
    pub(super) size: u64,
}

impl DebugSection {
    /// The section of this name; `None` where there is none that can be read.
    pub(super) fn open(source: &Arc<Source>, elf: &Elf, name: &str) -> Option<Self> {
        let section = elf.section(name)?;
        let source = Arc::clone(source);
        let Extent { offset, size } = section.file;
        if !section.compressed {
            return Some(Self { source, packed: section.file, compressed: false, size });
        }
        let (header, unpacked) = elf::compression(&source.read_up_to(offset, 32).ok()?)?;
        let packed =
            Extent { offset: offset.checked_add(header)?, size: size.checked_sub(header)? };
        (unpacked <= MAX_SIZE).then_some(Self { source, packed, compressed: true, size: unpacked })
    }

    /// All of it, where it is no larger than `max` bytes.
    pub(super) fn all(&self, max: u64) -> Option<Vec<u8>> {
        if self.size > max { None } else { self.read(0, self.size) }
    }

    /// At most `size` bytes from a place on; less where the section ends.
    pub(super) fn read(&self, at: u64, size: u64) -> Option<Vec<u8>> {
        self.reader().read(at, size)
    }

    /// All of it, decompressed while it is read.
    pub(super) fn stream(self) -> Box<dyn io::Read> {
        let packed = Packed { source: self.source, left: self.packed };
        if self.compressed { Box::new(ZlibDecoder::new(packed)) } else { Box::new(packed) }
    }

    /// Reads one place after another without decompressing the same bytes twice.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { section: self, unpacked: None, last: (0, Vec::new()) }
    }
}

/// Reads a section from its begin to its end.
pub(super) struct Reader<'a> {
    section: &'a DebugSection,
    /// The decoder, and how far it has come.
    unpacked: Option<(ZlibDecoder<Packed>, u64)>,
    /// What was decompressed last, and where it begins: the next read may begin within it.
    last: (u64, Vec<u8>),
}

impl Reader<'_> {
    /// As [`DebugSection::read`]; dear where a compressed section is read backwards, by more than
    /// to the begin of the last read.
    pub(super) fn read(&mut self, at: u64, size: u64) -> Option<Vec<u8>> {
        let size = size.min(self.section.size.checked_sub(at)?);
        let DebugSection { source, packed, compressed, .. } = self.section;
        if size > MAX_READ {
            return None;
        }
        if !compressed {
            return source.read_up_to(packed.offset.checked_add(at)?, size).ok();
        }
        let (begin, last) = &mut self.last;
        let known = at.checked_sub(*begin).and_then(|into| usize::try_from(into).ok());
        match known.filter(|&into| into <= last.len()) {
            Some(into) => drop(last.drain(..into)),
            None => last.clear(),
        }
        *begin = at;
        let wanted = usize::try_from(size).ok()?;
        if let Some(more) = wanted.checked_sub(last.len()).filter(|&more| more > 0) {
            let from = at + last.len() as u64;
            if self.unpacked.as_ref().is_none_or(|&(_, done)| done > from) {
                let packed = Packed { source: Arc::clone(source), left: *packed };
                self.unpacked = Some((ZlibDecoder::new_with_buf(packed, vec![0; 64 << 10]), 0));
            }
            let (decoder, done) = self.unpacked.as_mut()?;
            let skip = from - *done;
            if io::copy(&mut decoder.take(skip), &mut io::sink()).ok()? != skip {
                return None;
            }
            let read = decoder.take(more as u64).read_to_end(last).ok()?;
            *done = from + read as u64;
        }
        Some(last.get(..wanted).unwrap_or(last).to_vec())
    }
}

/// The compressed bytes, read as a stream.
struct Packed {
    source: Arc<Source>,
    left: Extent,
}

impl io::Read for Packed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let size = self.left.size.min(buf.len() as u64);
        let bytes = self.source.read_up_to(self.left.offset, size).map_err(io::Error::other)?;
        if let Some(to) = buf.get_mut(..bytes.len()) {
            to.copy_from_slice(&bytes);
        }
        self.left.offset = self.left.offset.saturating_add(bytes.len() as u64);
        self.left.size = self.left.size.saturating_sub(bytes.len() as u64);
        Ok(bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::ZlibEncoder};

    use super::*;

    fn section(unpacked: &[u8], claimed: u64) -> DebugSection {
        let mut encoder = ZlibEncoder::new(vec![0xee; 7], Compression::fast());
        encoder.write_all(unpacked).unwrap();
        let bytes = encoder.finish().unwrap();
        let packed = Extent { offset: 7, size: bytes.len() as u64 - 7 };
        let source = Arc::new(Source::new(Box::new(bytes)));
        DebugSection { source, packed, compressed: true, size: claimed }
    }

    #[test]
    fn any_order_of_reads_gives_the_same_bytes() {
        let bytes: Vec<u8> =
            (0..200_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
        let section = section(&bytes, bytes.len() as u64);
        let mut reader = section.reader();
        for (at, size) in
            [(0, 40), (11, 100_000), (50_000, 100_000), (60_000, 10), (60_005, 300_000), (3, 9)]
        {
            let expected = &bytes[at..at + size];
            assert_eq!(reader.read(at as u64, size as u64).unwrap(), expected, "{at}, {size}");
        }
        assert_eq!(reader.read(799_990, 100).unwrap(), &bytes[799_990..]);
        assert_eq!(reader.read(800_001, 1), None);
    }

    #[test]
    fn a_size_that_is_too_large_gives_what_there_is() {
        let section = section(b"four", 1 << 20);
        assert_eq!(section.read(0, 100).as_deref(), Some(&b"four"[..]));
        assert_eq!(section.read(5, 100), None);
        assert_eq!(section.all(100), None);
    }

    #[test]
    fn a_stream_is_all_of_it() {
        let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut read = Vec::new();
        section(&bytes, bytes.len() as u64).stream().read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        let plain = DebugSection {
            source: Arc::new(Source::new(Box::new(bytes.clone()))),
            packed: Extent { offset: 8, size: 4 },
            compressed: false,
            size: 4,
        };
        read.clear();
        plain.stream().read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes[8..12]);
    }

    #[test]
    fn what_is_not_compressed_as_it_says_gives_nothing() {
        let mut section = section(b"four", 4);
        section.packed.offset -= 3;
        assert_eq!(section.read(0, 4), None);
    }
}
