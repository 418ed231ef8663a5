//! Version, module and settings: build information of any form, in a program whose other parts are
//! whole, and ELF headers around it.
#![no_main]

use std::sync::LazyLock;

use goroscope_fuzz::inspect::inspect_bytes;
use goroscope_fuzz::{
    change::{Change, changed},
    elf::{Image, Machine},
    program::{base, build_info},
};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

#[derive(Debug, Arbitrary)]
struct Input {
    sections: bool,
    cut: Option<u32>,
    changes: Vec<Change>,
    /// Stands behind the header instead of what is there, where it is not empty.
    strings: Vec<u8>,
}

fn program(info: &[u8], sections: bool) -> Vec<u8> {
    let mut image = Image::default();
    image.add(".text", &[0xcc; 64]);
    image.add(".go.buildinfo", info);
    // A Go string, for the form with pointers.
    let text = image.add(".data", b"go1.17");
    let header = [text, 6].map(u64::to_le_bytes).concat();
    image.add(".go.module", &header);
    image.finish(Machine::Amd64, false, sections)
}

static PROGRAMS: LazyLock<[Vec<u8>; 2]> =
    LazyLock::new(|| [false, true].map(|sections| program(&build_info(26), sections)));

fn check() {
    for program in PROGRAMS.iter() {
        let facts = inspect_bytes(program).expect("it is a Go program").facts;
        assert_eq!(facts.go_version, "go1.26.3 X:arenas");
        assert_eq!(facts.module.as_deref(), Some("example.com/a"));
        assert_eq!(facts.setting("-ldflags"), Some("-s -w"));
    }
}

fuzz_target!(init: check(), |input: Input| {
    let made;
    let image = if input.strings.is_empty() {
        &PROGRAMS[usize::from(input.sections)]
    } else {
        made = program(&[&build_info(26)[..32], &input.strings].concat(), input.sections);
        &made
    };
    let bytes = changed(image, base(), &input.changes, input.cut);
    if let Ok(binary) = inspect_bytes(&bytes) {
        let facts = binary.facts;
        assert!(!facts.go_version.is_empty() && facts.go_version.len() <= 256);
        assert!(!facts.go_version.contains(char::is_control));
        assert!(facts.settings.len() <= 64);
    }
});
