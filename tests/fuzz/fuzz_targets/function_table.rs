//! Names, creation sites, inlined calls and lines by the function table, of programs of several
//! releases without debug information.
#![no_main]

use std::sync::LazyLock;

use goroscope_fuzz::{
    change::{Change, changed},
    look,
    program::{FUNCTION, FUNCTIONS, PLAIN, base, program, text},
};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

static PROGRAMS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| PLAIN.map(program).to_vec());

#[derive(Debug, Arbitrary)]
struct Input {
    program: u8,
    /// Looked up, as offsets in the file; and one anywhere.
    near: [u16; 3],
    far: u64,
    cut: Option<u32>,
    changes: Vec<Change>,
}

/// Unchanged, the programs are understood: else nothing behind the first check would be reached.
fn check() {
    let [begin, _] = text();
    for (build, program) in PLAIN.into_iter().zip(PROGRAMS.iter()) {
        let binary = look::everything(program, []).expect("it is a Go program");
        assert!(binary.probe_points.is_ok(), "{build:?}: {:?}", binary.probe_points);
        for (number, name) in (0_u64..).zip(FUNCTIONS) {
            let entry = begin + number * FUNCTION;
            assert_eq!(
                binary.function_at(goroscope_fuzz::inspect::address::FileAddress(entry)).as_deref(),
                Some(name)
            );
            let frames =
                binary.symbols.frames(goroscope_fuzz::inspect::address::FileAddress(entry + 20));
            assert_eq!(frames.len(), 2, "{build:?}: {frames:?}");
            assert_eq!(
                (frames[0].file.as_str(), frames[0].line),
                ("/src/inlined.go", 30),
                "{build:?}"
            );
        }
    }
}

fuzz_target!(init: check(), |input: Input| {
    let program = &PROGRAMS[usize::from(input.program) % PROGRAMS.len()];
    let bytes = changed(program, base(), &input.changes, input.cut);
    let [begin, end] = text();
    let near = input.near.map(|offset| base() + u64::from(offset));
    let _ = look::everything(&bytes, [begin, begin + 20, end - 1, input.far].into_iter().chain(near));
});
