//! Real Go programs with changes anywhere in them. `GOROSCOPE_FUZZ_PROGRAMS` has their paths,
//! with colons between.
#![no_main]

use std::{
    env, fs,
    sync::{LazyLock, Mutex, PoisonError},
};

use goroscope_fuzz::{
    change::{Change, MAX_CHANGES},
    look,
    read::RuntimeFacts,
};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use object::{Object as _, ObjectSection as _};

/// A program, and its parts: headers and sections.
struct Program {
    bytes: Vec<u8>,
    parts: Vec<(usize, usize)>,
    text: (u64, u64),
}

static PROGRAMS: LazyLock<Vec<Program>> = LazyLock::new(|| {
    let paths = env::var_os("GOROSCOPE_FUZZ_PROGRAMS").unwrap_or_default();
    let read = |path| {
        let bytes = fs::read(path).expect("a program cannot be read");
        let file = object::File::parse(&*bytes).expect("a program is no ELF file");
        let parts = file.sections().filter_map(|section| section.file_range());
        let parts = parts.filter(|(_, size)| *size > 0);
        let parts =
            [(0, 1024)].into_iter().chain(parts.map(|(at, size)| (at as usize, size as usize)));
        let parts = parts.collect();
        let text = file.section_by_name(".text").map(|text| (text.address(), text.size()));
        Program { parts, text: text.unwrap_or((0, 1)), bytes }
    };
    env::split_paths(&paths).map(read).collect()
});

/// A copy of each program, which is put right again after each run: cheaper than another copy.
static COPIES: LazyLock<Vec<Mutex<Vec<u8>>>> =
    LazyLock::new(|| PROGRAMS.iter().map(|program| Mutex::new(program.bytes.clone())).collect());

#[derive(Debug, Arbitrary)]
struct Input {
    program: u8,
    /// Looked up: distances from the begin of the code.
    addresses: [u32; 3],
    /// Each in one of the parts.
    changes: Vec<(u8, Change)>,
}

fn check() {
    assert!(!PROGRAMS.is_empty(), "GOROSCOPE_FUZZ_PROGRAMS names no programs");
    for program in PROGRAMS.iter() {
        let binary =
            look::everything(&program.bytes, [program.text.0]).expect("it is a Go program");
        assert!(binary.probe_points.is_ok() && binary.g_fields.is_ok());
    }
}

fuzz_target!(init: check(), |input: Input| {
    let index = usize::from(input.program) % PROGRAMS.len();
    let program = &PROGRAMS[index];
    let mut bytes = COPIES[index].lock().unwrap_or_else(PoisonError::into_inner);
    let mut touched = Vec::new();
    for (part, change) in input.changes.iter().take(MAX_CHANGES) {
        let (at, size) = program.parts[usize::from(*part) % program.parts.len()];
        let range = at..at + size;
        change.apply(&mut bytes[range.clone()], program.text.0);
        touched.push(range);
    }
    let (begin, size) = program.text;
    let binary = look::everything(&bytes, input.addresses.map(|at| begin + u64::from(at) % (size + 1)));
    if let Ok(binary) = binary {
        let _ = RuntimeFacts::of(&binary);
    }
    for range in touched {
        bytes[range.clone()].copy_from_slice(&program.bytes[range]);
    }
});
