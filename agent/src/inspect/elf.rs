//! The parts of an ELF file that the kernel and the Go linker give meaning to.
//!
//! The only file that touches `object`, and only its structures: they are decoded from small
//! buffers, so that neither the size of the file nor its contents decide how much is read.

use object::{
    LittleEndian as LE, elf, elf::Dyn64, elf::FileHeader64, elf::NoteHeader64,
    elf::ProgramHeader64, elf::Rela64, elf::SectionHeader64, pod,
};

use super::{
    address::{FileAddress, FileOffset},
    error::InspectError,
    facts::Arch,
    source::{Source, c_str},
};

/// More program headers than any linker writes.
const MAX_SEGMENTS: u16 = 512;
/// More sections than any executable needs.
const MAX_SECTIONS: u16 = 4096;
/// The longest name of a section that is told apart.
const MAX_NAME: usize = 64;
/// The longest list of dynamic entries that is looked at, in bytes.
const MAX_DYNAMIC: u64 = 64 << 10;
/// The longest run of notes that is looked at, in bytes.
const MAX_NOTES: u64 = 64 << 10;
/// Relocations read at a time.
const RELAS: u64 = 8192;

/// What is known of the file as a whole.
#[derive(Debug)]
pub(super) struct Elf {
    pub(super) arch: Arch,
    pub(super) pie: bool,
    pub(super) segments: Vec<Segment>,
    /// Empty where the section table was stripped off.
    pub(super) sections: Vec<Section>,
    notes: Vec<Extent>,
    dynamic: Option<Extent>,
}

/// A `PT_LOAD` segment: what the kernel maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) file: Extent,
    pub(super) address: u64,
    pub(super) writable: bool,
    pub(super) executable: bool,
}

/// A section that has contents in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) file: Extent,
    pub(super) address: FileAddress,
    pub(super) compressed: bool,
}

/// A run of bytes in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) size: u64,
}

impl Extent {
    /// Offset of the first byte behind it.
    pub(super) const fn end(self) -> u64 {
        self.offset.saturating_add(self.size)
    }
}

impl Elf {
    /// Reads the headers of an executable file.
    pub(super) fn read(source: &Source) -> Result<Self, InspectError> {
        if source.size() == 0 {
            return Err(InspectError::Empty);
        }
        let start = source.read_up_to(0, size_of::<FileHeader64<LE>>() as u64)?;
        check_ident(&start)?;
        let header: &FileHeader64<LE> = decode(&start, "ELF header", 0)?;
        let kind = header.e_type.get(LE);
        if kind != elf::ET_EXEC && kind != elf::ET_DYN {
            return Err(InspectError::UnsupportedElf { kind: "an ELF file that is no executable" });
        }
        let mut this = Self {
            arch: match header.e_machine.get(LE) {
                elf::EM_X86_64 => Arch::Amd64,
                elf::EM_AARCH64 => Arch::Arm64,
                other => Arch::Other(format!("ELF machine {}", other.0)),
            },
            pie: kind == elf::ET_DYN,
            segments: Vec::new(),
            sections: Vec::new(),
            notes: Vec::new(),
            dynamic: None,
        };
        this.read_segments(source, header)?;
        this.sections = read_sections(source, header).unwrap_or_default();
        Ok(this)
    }

    fn read_segments(
        &mut self,
        source: &Source,
        header: &FileHeader64<LE>,
    ) -> Result<(), InspectError> {
        let offset = header.e_phoff.get(LE);
        let count = header.e_phnum.get(LE);
        let entry = size_of::<ProgramHeader64<LE>>();
        let what = "program headers";
        if usize::from(header.e_phentsize.get(LE)) != entry || count == 0 {
            return Err(InspectError::Corrupt { what, offset, why: "their size is wrong" });
        }
        if count > MAX_SEGMENTS {
            return Err(InspectError::Corrupt { what, offset, why: "there are too many" });
        }
        let bytes = source.read(what, offset, u64::from(count) * entry as u64)?;
        for header in bytes.chunks_exact(entry) {
            let header: &ProgramHeader64<LE> = decode(header, what, offset)?;
            let file = Extent { offset: header.p_offset.get(LE), size: header.p_filesz.get(LE) };
            match header.p_type.get(LE) {
                elf::PT_LOAD => {
                    // The kernel would run it all the same, until it touches what is missing.
                    if file.end() > source.size() {
                        let Extent { offset, size } = file;
                        return Err(InspectError::Truncated { what: "a segment", offset, size });
                    }
                    let flags = header.p_flags.get(LE);
                    self.segments.push(Segment {
                        file,
                        address: header.p_vaddr.get(LE),
                        writable: flags.contains(elf::PF_W),
                        executable: flags.contains(elf::PF_X),
                    });
                }
                elf::PT_NOTE => self.notes.push(file),
                elf::PT_DYNAMIC => self.dynamic = Some(file),
                _ => {}
            }
        }
        Ok(())
    }

    /// The section of this name.
    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Where `size` bytes at an address are in the file; `None` unless one segment holds them all.
    pub(super) fn in_file(&self, address: FileAddress, size: u64) -> Option<FileOffset> {
        self.segments.iter().find_map(|segment| {
            let into = address.0.checked_sub(segment.address)?;
            (into.checked_add(size)? <= segment.file.size)
                .then_some(FileOffset(segment.file.offset.checked_add(into)?))
        })
    }

    /// The segment that holds an address, by what the file has of it.
    pub(super) fn segment_at(&self, address: FileAddress) -> Option<&Segment> {
        self.segments.iter().find(|segment| {
            address.0.checked_sub(segment.address).is_some_and(|into| into < segment.file.size)
        })
    }

    /// The description of the note of this owner and type.
    pub(super) fn note(
        &self,
        source: &Source,
        owner: &[u8],
        kind: u32,
    ) -> Result<Option<Vec<u8>>, InspectError> {
        for extent in self.notes.iter().take(usize::from(MAX_SEGMENTS)) {
            let bytes = source.read_up_to(extent.offset, extent.size.min(MAX_NOTES))?;
            if let Some(found) = find_note(&bytes, owner, kind) {
                return Ok(Some(found.to_vec()));
            }
        }
        Ok(None)
    }

    /// Calls `look` with address and value of each pointer that the loader of a
    /// position-independent executable fills in.
    pub(super) fn relocated_pointers(
        &self,
        source: &Source,
        mut look: impl FnMut(FileAddress, FileAddress),
    ) -> Result<(), InspectError> {
        let Some(table) = self.relocations(source)? else { return Ok(()) };
        let relative = match self.arch {
            Arch::Amd64 => elf::R_X86_64_RELATIVE,
            Arch::Arm64 => elf::R_AARCH64_RELATIVE,
            Arch::Other(_) => return Ok(()),
        };
        let entry = size_of::<Rela64<LE>>() as u64;
        let end = table.end().min(source.size());
        let mut at = table.offset;
        while at < end {
            let bytes = source.read_up_to(at, (RELAS * entry).min(end - at))?;
            let count = bytes.len() / size_of::<Rela64<LE>>();
            let Ok((relas, _)) = pod::slice_from_bytes::<Rela64<LE>>(&bytes, count) else { break };
            if relas.is_empty() {
                break;
            }
            for rela in relas {
                // Symbol index 0 and the type: what a position-independent pointer has.
                if rela.r_info.get(LE) == u64::from(relative.0) {
                    let value = rela.r_addend.get(LE).cast_unsigned();
                    look(FileAddress(rela.r_offset.get(LE)), FileAddress(value));
                }
            }
            at += count as u64 * entry;
        }
        Ok(())
    }

    fn relocations(&self, source: &Source) -> Result<Option<Extent>, InspectError> {
        let Some(dynamic) = self.dynamic else { return Ok(None) };
        let bytes = source.read_up_to(dynamic.offset, dynamic.size.min(MAX_DYNAMIC))?;
        let (mut address, mut size) = (None, None);
        for entry in bytes.chunks_exact(size_of::<Dyn64<LE>>()) {
            let entry: &Dyn64<LE> = decode(entry, "dynamic section", dynamic.offset)?;
            match entry.d_tag.get(LE) {
                elf::DT_NULL => break,
                elf::DT_RELA => address = Some(FileAddress(entry.d_val.get(LE))),
                elf::DT_RELASZ => size = Some(entry.d_val.get(LE)),
                _ => {}
            }
        }
        let (Some(address), Some(size)) = (address, size) else { return Ok(None) };
        let Some(offset) = self.in_file(address, size) else { return Ok(None) };
        Ok(Some(Extent { offset: offset.0, size }))
    }
}

fn check_ident(start: &[u8]) -> Result<(), InspectError> {
    let short = InspectError::Truncated { what: "ELF header", offset: 0, size: 64 };
    if !start.starts_with(&elf::ELFMAG) {
        return Err(InspectError::NotElf);
    }
    let Some(&[class, data]) = start.get(4..6) else { return Err(short) };
    if class != elf::ELFCLASS64.0 {
        return Err(InspectError::UnsupportedElf { kind: "a 32-bit ELF file" });
    }
    if data != elf::ELFDATA2LSB.0 {
        return Err(InspectError::UnsupportedElf { kind: "a big-endian ELF file" });
    }
    if start.len() < size_of::<FileHeader64<LE>>() { Err(short) } else { Ok(()) }
}

/// The section table, or an error: nothing at run time needs it, so it may be anything.
fn read_sections(source: &Source, header: &FileHeader64<LE>) -> Result<Vec<Section>, InspectError> {
    let offset = header.e_shoff.get(LE);
    let count = header.e_shnum.get(LE);
    let entry = size_of::<SectionHeader64<LE>>();
    let what = "section headers";
    if usize::from(header.e_shentsize.get(LE)) != entry || count > MAX_SECTIONS {
        return Err(InspectError::Corrupt { what, offset, why: "their size is wrong" });
    }
    let bytes = source.read(what, offset, u64::from(count) * entry as u64)?;
    let mut headers = Vec::new();
    for header in bytes.chunks_exact(entry) {
        headers.push(decode::<SectionHeader64<LE>>(header, what, offset)?);
    }
    let names = headers
        .get(usize::from(header.e_shstrndx.get(LE).0))
        .ok_or(InspectError::Corrupt { what, offset, why: "they have no names" })?;
    let names = source.read_up_to(names.sh_offset.get(LE), names.sh_size.get(LE).min(1 << 20))?;
    Ok(headers
        .iter()
        .filter(|header| header.sh_type.get(LE) != elf::SHT_NOBITS)
        .map(|header| {
            let name = usize::try_from(header.sh_name.get(LE)).ok();
            let name = name.and_then(|at| c_str(first(names.get(at..)?, MAX_NAME)));
            let name = name.unwrap_or_default();
            Section {
                name: String::from_utf8_lossy(name).into_owned(),
                file: Extent { offset: header.sh_offset.get(LE), size: header.sh_size.get(LE) },
                address: FileAddress(header.sh_addr.get(LE)),
                compressed: header.sh_flags.get(LE).contains(elf::SHF_COMPRESSED),
            }
        })
        .filter(|section| section.file.end() <= source.size())
        .collect())
}

/// The header of a compressed section: bytes it takes in the file, and the uncompressed size where
/// the method is zlib.
pub(super) fn compression(start: &[u8]) -> Option<(u64, u64)> {
    let (header, _) = pod::from_bytes::<elf::CompressionHeader64<LE>>(start).ok()?;
    (header.ch_type.get(LE) == elf::ELFCOMPRESS_ZLIB)
        .then_some((size_of::<elf::CompressionHeader64<LE>>() as u64, header.ch_size.get(LE)))
}

fn first(bytes: &[u8], count: usize) -> &[u8] {
    bytes.get(..count).unwrap_or(bytes)
}

fn find_note<'a>(mut bytes: &'a [u8], owner: &[u8], kind: u32) -> Option<&'a [u8]> {
    // ELF notes are padded to 4 bytes, whatever the alignment of the segment that Go uses.
    let padded = |size: u32| usize::try_from(size).ok()?.checked_next_multiple_of(4);
    loop {
        let (header, rest) = pod::from_bytes::<NoteHeader64<LE>>(bytes).ok()?;
        let name_size = usize::try_from(header.n_namesz.get(LE)).ok()?;
        let description_size = usize::try_from(header.n_descsz.get(LE)).ok()?;
        let name = rest.get(..name_size)?;
        let rest = rest.get(padded(header.n_namesz.get(LE))?..)?;
        let description = rest.get(..description_size)?;
        if name == owner && header.n_type.get(LE).0 == kind {
            return Some(description);
        }
        bytes = rest.get(padded(header.n_descsz.get(LE))?..)?;
    }
}

fn decode<'a, T: pod::Pod>(
    bytes: &'a [u8],
    what: &'static str,
    offset: u64,
) -> Result<&'a T, InspectError> {
    let size = size_of::<T>() as u64;
    let (value, _) =
        pod::from_bytes(bytes).map_err(|()| InspectError::Truncated { what, offset, size })?;
    Ok(value)
}
