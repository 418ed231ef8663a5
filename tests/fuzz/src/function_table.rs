//! The function table as the Go linker writes it, for the functions of [`crate::program`].
//!
//! <https://github.com/golang/go/blob/go1.26.0/src/cmd/link/internal/ld/pcln.go>

use crate::{
    elf::Machine,
    program::{Build, FUNCTION, FUNCTIONS},
};

/// The first name, of no function that is looked for.
const FIRST: &str = "go:buildid";
/// Name of the function inlined into each.
const INLINED: &str = "main.(*T).inlined";
const FILES: [&str; 2] = ["/src/main.go", "/src/inlined.go"];

/// The table, and where its parts are in it.
pub struct FunctionTable {
    pub bytes: Vec<u8>,
    minor: u8,
    /// Function names, compile units, files, values, functions.
    parts: [u64; 5],
    end: u64,
}

impl FunctionTable {
    pub fn new(build: Build, text: [u64; 2]) -> Self {
        let quantum = if build.machine == Machine::Amd64 { 1 } else { 4 };
        let names = name_places();
        let files = strings(&FILES);
        let units: Vec<u8> = [0, FILES[0].len() as u32 + 1].map(u32::to_le_bytes).concat();
        // Pairs of change and distance; the value is -1 before the first. The inlined call is in
        // the middle of the function, and in another file.
        let unit = (FUNCTION / 4 / u64::from(quantum)) as u8;
        let file = [2, unit, 2, unit, 1, unit * 2, 0];
        let line = [22, unit, 40, unit, 1, unit * 2, 0];
        let tree = [0, unit, 2, unit, 1, unit * 2, 0];
        let mut values = vec![0];
        let mut place = |table: &[u8]| {
            let at = values.len() as u32;
            values.extend(table);
            at
        };
        let [file, line, tree] = [place(&file), place(&line), place(&tree)];

        let mut functions = Vec::new();
        let mut index = Vec::new();
        let first = (FUNCTIONS.len() as u32 + 1) * 8;
        for (number, name) in (0_u32..).zip(&names) {
            let entry = number * FUNCTION as u32;
            index.extend([entry, first + functions.len() as u32]);
            let mut words = vec![entry, *name, 0, 0, file, file, line, 3, 0];
            if build.minor >= 20 {
                words.push(10);
            }
            functions.extend(words.into_iter().flat_map(u32::to_le_bytes));
            functions.extend([0, 0, 0, 4]);
            // Tables of values: the third is that of inlined calls; data: likewise the fourth.
            let tables = [file, file, tree, u32::MAX, u32::MAX, u32::MAX, 0];
            functions.extend(tables.into_iter().flat_map(u32::to_le_bytes));
        }
        index.extend([(text[1] - text[0]) as u32, 0]);
        let index: Vec<u8> = index.into_iter().flat_map(u32::to_le_bytes).collect();

        let magic = if build.minor >= 20 { 0xffff_fff1_u32 } else { 0xffff_fff0 };
        let mut bytes = magic.to_le_bytes().to_vec();
        bytes.extend([0, 0, quantum, 8]);
        bytes.resize(72, 0);
        bytes[8..16].copy_from_slice(&(FUNCTIONS.len() as u64).to_le_bytes());
        bytes[16..24].copy_from_slice(&(FILES.len() as u64).to_le_bytes());
        let all_names = strings(&[&[FIRST], &FUNCTIONS[..], &[INLINED]].concat());
        let mut parts = [0; 5];
        let contents = [all_names, units, files, values, [index, functions].concat()];
        for (number, part) in contents.iter().enumerate() {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            parts[number] = bytes.len() as u64;
            bytes[32 + number * 8..][..8].copy_from_slice(&parts[number].to_le_bytes());
            bytes.extend(part);
        }
        let end = bytes.len() as u64;
        Self { bytes, minor: build.minor, parts, end }
    }

    /// The words of `runtime.firstmoduledata` for a table at `address`, and inline trees at `data`.
    pub fn module_data(&self, address: u64, data: u64, text: [u64; 2]) -> Vec<u64> {
        let ends = self.parts.iter().skip(1).copied().chain([self.end]);
        let mut words = vec![address];
        for ((begin, end), element) in self.parts.into_iter().zip(ends).zip([1, 4, 1, 1, 1]) {
            let count = (end - begin) / element;
            words.extend([address + begin, count, count]);
        }
        let count = FUNCTIONS.len() as u64 + 1;
        words.extend([address + self.parts[4], count, count]);
        // `findfunctab`, `minpc`, `maxpc`, `text`, `etext`.
        words.extend([address, text[0], text[1], text[0], text[1]]);
        words.resize(48, 0);
        let function_data = match self.minor {
            ..=19 => 304,
            20..=26 => 320,
            27.. => 344,
        };
        words[function_data / 8] = data;
        words
    }
}

/// The inline tree that all functions have.
pub fn inline_tree(build: Build) -> Vec<u8> {
    let name = strings(&[&[FIRST], &FUNCTIONS[..]].concat()).len() as u32;
    let call = FUNCTION as u32 / 2;
    let words =
        if build.minor >= 20 { vec![0, name, call, 7] } else { vec![u32::MAX, 1, 7, name, call] };
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn strings(of: &[&str]) -> Vec<u8> {
    of.iter().flat_map(|text| text.bytes().chain([0])).collect()
}

fn name_places() -> Vec<u32> {
    let mut at = FIRST.len() as u32 + 1;
    let place = |name: &&str| {
        let place = at;
        at += name.len() as u32 + 1;
        place
    };
    FUNCTIONS.iter().map(place).collect()
}
