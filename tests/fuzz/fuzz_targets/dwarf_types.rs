//! Layouts of the runtime's records by debug information: types of package `runtime` as releases
//! have them.
#![no_main]

use std::sync::LazyLock;

use goroscope_fuzz::read::layout::{Layout, dwarf::RuntimeTypes};
use goroscope_fuzz::{
    change::{Change, changed},
    debug_info,
};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

const RELEASES: [(u16, &str); 3] = [(4, "go1.19 amd64"), (4, "go1.24 amd64"), (5, "go1.27 amd64")];

/// `.debug_info` and `.debug_abbrev` of each release.
static TYPES: LazyLock<Vec<[Vec<u8>; 2]>> = LazyLock::new(|| {
    let sections = |(version, release)| {
        let contents = debug_info::types(version, release);
        [".debug_info", ".debug_abbrev"].map(|wanted| {
            let found = contents.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, bytes)| bytes.clone()).unwrap_or_default()
        })
    };
    RELEASES.map(sections).into()
});

#[derive(Debug, Arbitrary)]
struct Input {
    release: u8,
    cut: Option<u32>,
    info: Vec<Change>,
    abbrev: Vec<Change>,
    /// A unit that comes before.
    before: Vec<u8>,
}

fn layout(info: &[u8], abbrev: &[u8]) -> Option<Layout> {
    let types = RuntimeTypes::find(info, abbrev.to_vec()).ok()?;
    Layout::from_source(&types).ok()
}

fn check() {
    for (release, [info, abbrev]) in RELEASES.into_iter().zip(TYPES.iter()) {
        let found = layout(info, abbrev).unwrap_or_else(|| panic!("{release:?} is not understood"));
        assert!(found.g.size > 300, "{release:?}: {:?}", found.g);
    }
}

fuzz_target!(init: check(), |input: Input| {
    let [info, abbrev] = &TYPES[usize::from(input.release) % TYPES.len()];
    let mut all = input.before;
    all.extend(changed(info, 0, &input.info, input.cut));
    let _ = layout(&all, &changed(abbrev, 0, &input.abbrev, None));
});
