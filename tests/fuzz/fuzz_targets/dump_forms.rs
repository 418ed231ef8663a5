//! Goroutine dumps of every form that is read: ours and Go's, with changes anywhere. What was read
//! can be compared, and written again in every form.
#![no_main]

use std::{io::Read as _, sync::LazyLock};

use flate2::read::MultiGzDecoder;
use goroscope_fuzz::{
    change::{Change, changed},
    dumps::{Format, diff, parse, write},
    model::dump::Dump,
};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

#[derive(Debug, Arbitrary)]
struct Input {
    form: u8,
    cut: Option<u32>,
    changes: Vec<Change>,
    /// Stands for the whole, where it is not empty.
    bytes: Vec<u8>,
}

const TEXT: &[u8] = b"goroutine 1 [running, locked to thread]:\n\
    main.(*T[...]).run(...)\n\t/src/a b/main.go:12\n\
    main.main({0x1, 0x2})\n\t/src/main.go:7 +0x25 fp=0x1 sp=0x2 pc=0x401025\n\n\
    goroutine 7 gp=0x1 m=nil [select (no cases) (leaked), 12 minutes] {a: b}:\n\
    ...23 frames elided...\n...additional frames elided...\n\
    created by main.start in goroutine 1\n\t/src/main.go:9 +0x1\n";

const SUMMARY: &[u8] = b"goroutine profile: total 13\n\
    12 @ 0x47e0ae 0x4101c5\n# labels: {\"a\":\"b\"}\n\
    #\t0x49fca4\tmain.wait+0x24\t\t/src/main.go:12\n\
    #\t0x49fcb0\tmain.run+0x30\t/src/main.go:20\n\n1 @ 0x1\n#\t0x1\n";

fn written(form: Format, dump: &Dump) -> Vec<u8> {
    let mut out = Vec::new();
    write(form, dump, &mut out).expect("a vector takes all");
    out
}

/// One of each form; the profile packed and not.
static FORMS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let dump = parse(TEXT).expect("it is Go's form");
    let mut forms = vec![TEXT.to_vec(), SUMMARY.to_vec()];
    forms.extend(Format::ALL.map(|form| written(form, &dump)));
    let mut unpacked = Vec::new();
    let packed = written(Format::Pprof, &dump);
    MultiGzDecoder::new(&*packed).read_to_end(&mut unpacked).expect("it is packed by us");
    forms.push(unpacked);
    forms
});

fn check() {
    for bytes in FORMS.iter() {
        assert!(bytes.starts_with(b"<?xml") || parse(bytes).is_ok());
    }
}

fuzz_target!(init: check(), |input: Input| {
    let bytes = if input.bytes.is_empty() {
        let form = &FORMS[usize::from(input.form) % FORMS.len()];
        changed(form, 0, &input.changes, input.cut)
    } else {
        input.bytes
    };
    let Ok(dump) = parse(&bytes) else { return };
    let valid = parse(TEXT).expect("it is Go's form");
    assert!(diff::Diff::new(&dump, &dump).is_empty());
    let _ = diff::Diff::new(&dump, &valid);
    for form in Format::ALL {
        let written = written(form, &dump);
        if form != Format::Pprof {
            let text = String::from_utf8(written).expect("it is text");
            assert!(!text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t' | '\r')));
        }
    }
});
