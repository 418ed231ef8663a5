//! An executable file made by hand: as small as it can be and still be understood.
//!
//! Addresses are offsets in the file plus [`BASE`].

/// Address of the first byte of the file.
pub const BASE: u64 = 0x40_0000;
/// ELF header and program headers.
const HEADERS: usize = 64 + 4 * 56;
/// Everything begins at a multiple of this.
const ALIGN: usize = 32;

/// Instruction sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    Amd64 = 62,
    Arm64 = 183,
}

/// A file in the making.
pub struct Image {
    bytes: Vec<u8>,
    sections: Vec<Section>,
}

struct Section {
    name: &'static str,
    offset: usize,
    size: usize,
    compressed: bool,
}

impl Section {
    fn place(&self) -> [u64; 2] {
        [self.offset as u64, self.size as u64]
    }
}

impl Default for Image {
    fn default() -> Self {
        Self { bytes: vec![0; HEADERS], sections: Vec::new() }
    }
}

impl Image {
    /// Where the next section will be.
    pub fn next(&self) -> u64 {
        BASE + self.bytes.len().next_multiple_of(ALIGN) as u64
    }

    /// Adds a section and gives its address.
    pub fn add(&mut self, name: &'static str, contents: &[u8]) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
        let (offset, size) = (self.bytes.len(), contents.len());
        self.sections.push(Section { name, offset, size, compressed: false });
        self.bytes.extend(contents);
        BASE + offset as u64
    }

    /// Adds a section compressed with zlib.
    pub fn add_compressed(&mut self, name: &'static str, contents: &[u8]) {
        let mut packed = [1, contents.len() as u64, 1].map(u64::to_le_bytes).concat();
        packed.extend(stored(contents));
        self.add(name, &packed);
        if let Some(section) = self.sections.last_mut() {
            section.compressed = true;
        }
    }

    /// Bytes from `begin` to the end, as a range of the file.
    fn segment(&self, name: &str) -> [u64; 2] {
        self.sections.iter().find(|section| section.name == name).map_or([0, 0], Section::place)
    }

    /// Writes headers and, if wanted, the table of sections. The first section is the code; the
    /// program can write to all others.
    pub fn finish(mut self, machine: Machine, pie: bool, with_sections: bool) -> Vec<u8> {
        let code = self.sections.first().map_or([0, 0], Section::place);
        let data_begin = self.sections.get(1).map_or(0, |section| section.offset as u64);
        let data = [data_begin, self.bytes.len() as u64 - data_begin];
        let (dynamic, note) = (self.segment(".dynamic"), self.segment(".note.go.buildid"));
        let table = if with_sections { self.table() } else { (0, 0) };

        let mut head = b"\x7fELF\x02\x01\x01".to_vec();
        head.resize(16, 0);
        head.extend((if pie { 3_u16 } else { 2 }).to_le_bytes());
        head.extend((machine as u16).to_le_bytes());
        head.extend(1_u32.to_le_bytes());
        for word in [BASE, 64, table.0] {
            head.extend(word.to_le_bytes());
        }
        head.extend(0_u32.to_le_bytes());
        for half in [64, 56, 4, 64, table.1, table.1.saturating_sub(1)] {
            head.extend(half.to_le_bytes());
        }
        // PT_LOAD readable and executable, readable and writable; PT_DYNAMIC; PT_NOTE.
        let segments = [(1_u32, 5_u32, code), (1, 6, data), (2, 6, dynamic), (4, 4, note)];
        for (kind, flags, [offset, size]) in segments {
            head.extend(kind.to_le_bytes());
            head.extend(flags.to_le_bytes());
            for word in [offset, BASE + offset, BASE + offset, size, size, 8] {
                head.extend(word.to_le_bytes());
            }
        }
        self.bytes[..HEADERS].copy_from_slice(&head);
        self.bytes
    }

    /// Appends the table of sections; gives its offset and length.
    fn table(&mut self) -> (u64, u16) {
        let mut names = vec![0];
        let mut headers = vec![0; 64];
        self.add(".shstrtab", &[]);
        let last = self.sections.len() - 1;
        let all: usize = self.sections.iter().map(|section| section.name.len() + 1).sum();
        self.sections[last].size = all + 1;
        for section in &self.sections {
            let flags = if section.compressed { 0x800_u64 } else { 0 };
            headers.extend((names.len() as u32).to_le_bytes());
            headers.extend(1_u32.to_le_bytes());
            let [offset, size] = section.place();
            for word in [flags, BASE + offset, offset, size, 0, 8, 0] {
                headers.extend(word.to_le_bytes());
            }
            names.extend(section.name.bytes());
            names.push(0);
        }
        self.bytes.extend(names);
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
        let offset = self.bytes.len() as u64;
        self.bytes.extend(headers);
        (offset, last as u16 + 2)
    }
}

/// A zlib stream of one stored block: its contents stay what they are, so that changes of them are
/// changes of what is read.
fn stored(contents: &[u8]) -> Vec<u8> {
    let size = u16::try_from(contents.len()).expect("a stored block has less than 64 KiB");
    let mut packed = vec![0x78, 0x01, 0x01];
    packed.extend(size.to_le_bytes());
    packed.extend((!size).to_le_bytes());
    packed.extend(contents);
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in contents {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    packed.extend((high << 16 | low).to_be_bytes());
    packed
}
