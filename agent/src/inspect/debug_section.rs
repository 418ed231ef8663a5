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
const MAX_SIZE: u64 = 1 << 30;

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

    /// Reads one place after another without decompressing the same bytes twice.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { section: self, unpacked: None }
    }
}

/// Reads a section from its begin to its end.
pub(super) struct Reader<'a> {
    section: &'a DebugSection,
    /// The decoder, and how far it has come.
    unpacked: Option<(ZlibDecoder<Packed>, u64)>,
}

impl Reader<'_> {
    /// As [`DebugSection::read`]; dear where a compressed section is read backwards.
    pub(super) fn read(&mut self, at: u64, size: u64) -> Option<Vec<u8>> {
        let size = size.min(self.section.size.checked_sub(at)?);
        let DebugSection { source, packed, compressed, .. } = self.section;
        if size > MAX_READ {
            return None;
        }
        if !compressed {
            return source.read_up_to(packed.offset.checked_add(at)?, size).ok();
        }
        if self.unpacked.as_ref().is_none_or(|&(_, done)| done > at) {
            let packed = Packed { source: Arc::clone(source), left: *packed };
            self.unpacked = Some((ZlibDecoder::new_with_buf(packed, vec![0; 64 << 10]), 0));
        }
        let (decoder, done) = self.unpacked.as_mut()?;
        let skip = at - *done;
        if io::copy(&mut decoder.take(skip), &mut io::sink()).ok()? != skip {
            return None;
        }
        let mut bytes = Vec::new();
        decoder.take(size).read_to_end(&mut bytes).ok()?;
        *done = at + bytes.len() as u64;
        Some(bytes)
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
