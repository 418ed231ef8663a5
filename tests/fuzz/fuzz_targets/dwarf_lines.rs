//! Files and lines, and the fields of `runtime.g`, by debug information: versions 4 and 5, as it is
//! and compressed.
#![no_main]

use std::sync::LazyLock;

use goroscope_fuzz::inspect::address::FileAddress;
use goroscope_fuzz::{
    change::{Change, changed},
    look,
    program::{WITH_DWARF, base, program, text},
};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use object::{Object as _, ObjectSection as _};

/// A program, and where in it the debug information is.
struct Program {
    bytes: Vec<u8>,
    debug: (usize, usize),
}

static PROGRAMS: LazyLock<Vec<Program>> = LazyLock::new(|| {
    let with_place = |build| {
        let bytes = program(build);
        let file = object::File::parse(&*bytes).expect("it is an ELF file");
        let sections = file
            .sections()
            .filter(|section| section.name().is_ok_and(|name| name.starts_with(".debug_")));
        let ranges = sections.filter_map(|section| section.file_range());
        let ranges: Vec<_> = ranges.map(|(at, size)| (at as usize, (at + size) as usize)).collect();
        let begin = ranges.iter().map(|range| range.0).min().expect("there is debug information");
        let end = ranges.iter().map(|range| range.1).max().unwrap_or(begin);
        Program { bytes, debug: (begin, end) }
    };
    WITH_DWARF.map(with_place).into()
});

#[derive(Debug, Arbitrary)]
struct Input {
    program: u8,
    /// Looked up, as distances from the begin of the code; and one anywhere.
    near: [u16; 3],
    far: u64,
    /// Of the debug information; and of all.
    changes: Vec<Change>,
    around: Vec<Change>,
}

fn check() {
    let [begin, end] = text();
    for (build, program) in WITH_DWARF.into_iter().zip(PROGRAMS.iter()) {
        let binary = look::everything(&program.bytes, []).expect("it is a Go program");
        assert!(binary.facts.dwarf);
        for at in [begin, begin + 40, end - 1] {
            let line = binary.symbols.line_by_dwarf(FileAddress(at));
            let line = line.unwrap_or_else(|| panic!("{build:?}: no line at {at:#x}"));
            assert!(
                line.0.starts_with("/src/") && (10..17).contains(&line.1),
                "{build:?}: {line:?}"
            );
        }
        let fields = binary.g_fields.map(|fields| (fields.gopc, fields.startpc));
        assert_eq!(fields, Ok((280, 296)), "{build:?}");
    }
}

fuzz_target!(init: check(), |input: Input| {
    let Program { bytes, debug } = &PROGRAMS[usize::from(input.program) % PROGRAMS.len()];
    let mut bytes = changed(bytes, base(), &input.around[..input.around.len().min(4)], None);
    let debug = debug.0..debug.1;
    let part = changed(&bytes[debug.clone()], 0, &input.changes, None);
    bytes[debug].copy_from_slice(&part);
    let [begin, end] = text();
    let near = input.near.map(|distance| begin + u64::from(distance));
    let _ = look::everything(&bytes, [begin, end - 1, input.far].into_iter().chain(near));
});
