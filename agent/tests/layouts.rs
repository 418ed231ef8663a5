//! The table of layouts, `agent/data/layouts.txt`, is what the Go toolchains say.
//!
//! For each release and architecture a small program is built, and its layout read from its debug
//! information as the agent reads it; and again with each experiment that changes the layout.
//! `cargo xtask layouts` runs [`the_whole_table`] with `GOROSCOPE_LAYOUTS` set: then it does so
//! for every experiment that the toolchains know, which takes long, and compares or writes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests too")]

use std::{env, fs, path::Path};

use goroscope::read::{
    layout::table::TABLE,
    release::{KNOWN, Minor},
};
use goroscope_tests::skip;

#[path = "layouts/blocks.rs"]
mod blocks;
#[path = "layouts/generate.rs"]
mod generate;

use blocks::Blocks;
use generate::Generator;

/// The blocks that the table has for one release are those of its toolchain. Experiments that leave
/// the layout as it is are not tried: there are many.
fn blocks_are_those_of_the_toolchain(minor: u8) {
    let minor = Minor::known(minor).unwrap();
    let Some(generator) = Generator::find(minor) else {
        let reason = format!("no toolchain of {minor}: `cargo xtask setup` installs those it can");
        return skip::note(&format!("blocks_are_those_of::{minor}").replace('.', "_"), &reason);
    };
    let committed = Blocks::parse(TABLE).of(minor);
    assert!(!committed.is_empty(), "{minor} has no block");
    for entry in committed {
        let name = entry.build.head();
        let experiment = entry.build.experiment.as_deref();
        let made = generator.layout(entry.build.arch, experiment).unwrap();
        let (_, facts) = made.unwrap_or_else(|| panic!("{name} cannot be built"));
        assert_eq!(facts, entry.facts, "{name}: run `cargo xtask layouts`");
    }
}

macro_rules! releases {
    ($($name:ident: $minor:literal),+) => {
        mod blocks_are_those_of {
            $(#[test]
            fn $name() {
                super::blocks_are_those_of_the_toolchain($minor);
            })+
        }

        #[test]
        fn every_known_release_is_tried() {
            let tried = [$($minor),+].map(|minor| Minor::known(minor).unwrap());
            assert_eq!(tried, KNOWN);
        }
    };
}
releases! {
    go1_19: 19, go1_21: 21, go1_22: 22, go1_23: 23, go1_24: 24, go1_25: 25, go1_26: 26, go1_27: 27
}

/// Without `GOROSCOPE_LAYOUTS` the file must be as it would be written; with `check` it must also
/// say what the toolchains say; with `write` it is written. Releases without a toolchain stay as
/// they are.
#[test]
fn the_whole_table() {
    let committed = Blocks::parse(TABLE);
    let task = env::var("GOROSCOPE_LAYOUTS").unwrap_or_default();
    if task.is_empty() {
        assert!(committed.render() == TABLE, "the file was edited: run `cargo xtask layouts`");
        return;
    }
    let mut blocks = Blocks::default();
    for minor in KNOWN {
        let entries = match Generator::find(minor) {
            Some(generator) => generator.entries().unwrap(),
            None => {
                eprintln!("{minor}: no toolchain, its blocks stay as they are");
                committed.of(minor)
            }
        };
        entries.into_iter().for_each(|entry| blocks.add(entry));
    }
    let text = blocks.render();
    if task == "write" {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/layouts.txt");
        fs::write(&file, text).unwrap();
        return;
    }
    let different = text.lines().zip(TABLE.lines()).find(|(made, known)| made != known);
    assert!(
        text == TABLE,
        "the table is not up to date, run `cargo xtask layouts`; the first difference: {different:?}"
    );
}
