//! The version and build settings that the Go linker leaves in each program.
//!
//! Layout: <https://github.com/golang/go/blob/go1.26.0/src/debug/buildinfo/buildinfo.go>. Since
//! Go 1.18 the two strings follow the header; before, the header pointed at Go strings.

use std::ops::ControlFlow;

use super::{
    address::FileAddress,
    elf::Elf,
    error::InspectError,
    source::{Source, u64_at},
};

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Size and alignment of the header.
const HEADER: usize = 32;
const ALIGN: usize = 16;
/// Flags in byte 15 of the header: pointers are big-endian; the strings follow the header.
const BIG_ENDIAN: u8 = 1;
const INLINE: u8 = 2;
/// The longest version that is believed, in bytes.
const MAX_VERSION: u64 = 256;
/// The longest description of the modules that is believed, in bytes.
const MAX_MODULES: u64 = 4 << 20;
/// How many settings are kept, and how long a line may be to be kept, in bytes.
const MAX_SETTINGS: usize = 64;
const MAX_LINE: usize = 4 << 10;
/// The description of the modules stands between two marks of this length.
const MARK: usize = 16;

/// What the linker wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BuildInfo {
    pub(super) go_version: String,
    pub(super) module: Option<String>,
    pub(super) settings: Vec<(String, String)>,
}

impl BuildInfo {
    /// Reads it; [`InspectError::NotGo`] where there is none, at the cost of no further read if
    /// the section table is there.
    pub(super) fn read(source: &Source, elf: &Elf) -> Result<Self, InspectError> {
        let offset = find(source, elf)?;
        let start = source.read_up_to(offset, HEADER as u64)?;
        let corrupt = |why| InspectError::Corrupt { what: "build info", offset, why };
        if start.len() < HEADER || !start.starts_with(MAGIC) {
            return Err(corrupt("it does not begin as it should"));
        }
        let (pointer_size, flags) = match start.get(14..16) {
            Some(&[pointer_size, flags]) => (pointer_size, flags),
            _ => return Err(corrupt("it is too short")),
        };
        let (version, modules) = if flags & INLINE != 0 {
            let at = offset.saturating_add(HEADER as u64);
            let (version, end) = inline_string(source, at, MAX_VERSION)?;
            let (modules, _) = inline_string(source, end, MAX_MODULES)?;
            (version, modules)
        } else if pointer_size == 8 && flags & BIG_ENDIAN == 0 {
            let string = |at, max| go_string(source, elf, u64_at(&start, at).map(FileAddress), max);
            let version = string(16, MAX_VERSION)?;
            (version, string(24, MAX_MODULES).unwrap_or_default())
        } else {
            return Err(corrupt("its pointers are not those of this machine"));
        };
        let go_version = String::from_utf8(version)
            .ok()
            .filter(|version| !version.is_empty() && !version.contains(char::is_control))
            .ok_or_else(|| corrupt("there is no version in it"))?;
        let mut info = Self { go_version, ..Self::default() };
        info.parse_modules(&modules);
        Ok(info)
    }

    /// Reads the lines that `go version -m` prints.
    fn parse_modules(&mut self, bytes: &[u8]) {
        let marked = bytes.len().checked_sub(MARK).and_then(|end| bytes.get(MARK..end));
        let text = String::from_utf8_lossy(marked.unwrap_or_default());
        let mut package = None;
        for line in text.lines().filter(|line| line.len() <= MAX_LINE) {
            let mut fields = line.split('\t');
            match (fields.next(), fields.next()) {
                (Some("path"), Some(path)) => package = Some(path.to_owned()),
                (Some("mod"), Some(path)) => self.module = Some(path.to_owned()),
                (Some("build"), Some(setting)) if self.settings.len() < MAX_SETTINGS => {
                    if let Some((key, value)) = setting.split_once('=') {
                        let value = value.trim_matches(['"', '`']);
                        self.settings.push((key.to_owned(), value.to_owned()));
                    }
                }
                _ => {}
            }
        }
        self.module = self.module.take().or(package).filter(|module| !module.is_empty());
    }
}

fn find(source: &Source, elf: &Elf) -> Result<u64, InspectError> {
    if let Some(section) = elf.section(".go.buildinfo") {
        return Ok(section.file.offset);
    }
    let go = |name: &str| {
        name.ends_with(".gopclntab") || name == ".note.go.buildid" || name == ".go.module"
    };
    if !elf.sections.is_empty() && !elf.sections.iter().any(|section| go(&section.name)) {
        return Err(InspectError::NotGo);
    }
    // As debug/buildinfo does where there is no section table: through the writable data.
    let mut left = source.size();
    for segment in elf.segments.iter().filter(|segment| segment.writable) {
        let size = segment.file.size.min(left);
        left -= size;
        let start = segment.file.offset;
        let found =
            source.scan(start, start.saturating_add(size), HEADER as u64, |at, piece| {
                let mut headers = piece.chunks(ALIGN);
                match headers.position(|header| header.starts_with(MAGIC)) {
                    Some(index) => ControlFlow::Break(at + (index * ALIGN) as u64),
                    None => ControlFlow::Continue(()),
                }
            })?;
        if let Some(found) = found {
            return Ok(found);
        }
    }
    Err(InspectError::NotGo)
}

/// A string behind its length, and the offset behind it.
fn inline_string(source: &Source, at: u64, max: u64) -> Result<(Vec<u8>, u64), InspectError> {
    let what = "build info";
    let corrupt = InspectError::Corrupt { what, offset: at, why: "a string is too long" };
    let (mut size, mut count) = (0_u64, 0_u32);
    for byte in source.read_up_to(at, 5)? {
        size |= u64::from(byte & 0x7f) << (7 * count);
        count += 1;
        if byte & 0x80 == 0 {
            if size > max {
                return Err(corrupt);
            }
            let start = at.saturating_add(u64::from(count));
            return Ok((source.read(what, start, size)?, start.saturating_add(size)));
        }
    }
    Err(corrupt)
}

/// A Go string header (pointer and length) at an address.
fn go_string(
    source: &Source,
    elf: &Elf,
    header: Option<FileAddress>,
    max: u64,
) -> Result<Vec<u8>, InspectError> {
    let what = "build info";
    let missing = InspectError::Missing { what };
    let at = header.and_then(|at| elf.in_file(at, 16)).ok_or_else(|| missing.clone())?;
    let header = source.read(what, at.0, 16)?;
    let (Some(data), Some(size)) = (u64_at(&header, 0), u64_at(&header, 8)) else {
        return Err(missing);
    };
    if size > max {
        return Err(InspectError::Corrupt { what, offset: at.0, why: "a string is too long" });
    }
    let data = elf.in_file(FileAddress(data), size).ok_or(missing)?;
    source.read(what, data.0, size)
}
