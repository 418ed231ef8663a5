//! Whole files made by hand: what is wrong with each is named, and nothing more is read into it.

use proptest::prelude::*;

use super::{InspectError, inspect_bytes};

const MAGIC: &[u8] = b"\xff Go buildinf:";
const VERSION: &[u8] = b"go1.26.6";

/// An x86-64 executable of one writable segment without sections, which holds the build info of a
/// Go program and nothing else.
fn program() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    for half in [2_u16, 62] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(1_u32.to_le_bytes());
    // Entry, program headers, section headers.
    for word in [0x40_0000_u64, 64, 0] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    // PT_LOAD, readable and writable: offset, address twice, sizes, alignment.
    for word in [1_u32, 6] {
        bytes.extend(word.to_le_bytes());
    }
    for word in [0_u64, 0x40_0000, 0x40_0000, 1024, 1024, 4096] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.resize(256, 0);
    bytes.extend(MAGIC);
    bytes.extend([8, 2]);
    bytes.resize(288, 0);
    bytes.push(8);
    bytes.extend(VERSION);
    let modules = b"path\texample.com/a/cmd\nmod\texample.com/a\tv1.2.3\t\nbuild\tCGO_ENABLED=0\n\
                    build\t-ldflags=\"-s -w\"\nbuild\tbroken\n";
    let modules = [&[b'<'; 16], &modules[..], &[b'>'; 16]].concat();
    // A length of two bytes, the lower 7 bits first.
    let size = u8::try_from(modules.len() - 128).unwrap();
    assert!(size < 128);
    bytes.extend([0x80 | size, 1]);
    bytes.extend(modules);
    bytes.resize(1024, 0);
    bytes
}

fn error(bytes: &[u8]) -> Option<InspectError> {
    inspect_bytes(bytes).err()
}

#[test]
fn the_facts_are_found_and_what_is_missing_is_named() {
    let binary = inspect_bytes(&program()).unwrap();
    assert_eq!(binary.facts.go_version, "go1.26.6");
    assert_eq!(binary.facts.module.as_deref(), Some("example.com/a"));
    assert_eq!(binary.facts.setting("CGO_ENABLED"), Some("0"));
    assert_eq!(binary.facts.setting("-ldflags"), Some("-s -w"));
    assert_eq!(binary.facts.settings.len(), 2);
    assert!(binary.facts.stripped && !binary.facts.pie && !binary.facts.dwarf);
    assert_eq!(binary.facts.build_id, None);
    let missing = InspectError::Missing { what: "function table" };
    assert_eq!(binary.probe_points, Err(missing));
    assert_eq!(binary.g_fields.map(|fields| (fields.gopc, fields.startpc)), Ok((288, 304)));
    assert_eq!(binary.symbols.frames(super::address::FileAddress(0x40_0000)), []);
}

#[test]
fn strings_behind_pointers_are_found_too() {
    let mut bytes = program();
    bytes[271] = 0;
    let (header, data) = (0x40_0000 + 700_u64, 0x40_0000 + 720_u64);
    bytes[272..280].copy_from_slice(&header.to_le_bytes());
    bytes[700..708].copy_from_slice(&data.to_le_bytes());
    bytes[708..716].copy_from_slice(&6_u64.to_le_bytes());
    bytes[720..726].copy_from_slice(b"go1.17");
    assert_eq!(inspect_bytes(&bytes).unwrap().facts.go_version, "go1.17");
    bytes[708..716].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(error(&bytes), Some(InspectError::Corrupt { .. })));
    bytes[272..280].fill(0xff);
    assert!(matches!(error(&bytes), Some(InspectError::Missing { .. })));
}

#[test]
fn what_is_no_go_program_says_what_it_is() {
    let unsupported = |kind| Some(InspectError::UnsupportedElf { kind });
    let with = |at: usize, byte| {
        let mut bytes = program();
        bytes[at] = byte;
        error(&bytes)
    };
    assert_eq!(error(b""), Some(InspectError::Empty));
    assert_eq!(error(b"#!/bin/sh\n"), Some(InspectError::NotElf));
    assert_eq!(error(b"\x7fEL"), Some(InspectError::NotElf));
    assert_eq!(with(4, 1), unsupported("a 32-bit ELF file"));
    assert_eq!(with(5, 2), unsupported("a big-endian ELF file"));
    assert_eq!(with(16, 1), unsupported("an ELF file that is no executable"));
    assert_eq!(with(257, b'?'), Some(InspectError::NotGo));
    // Program headers of the wrong size; none of them; too many.
    for (at, byte) in [(54, 55), (56, 0), (57, 0xff)] {
        assert!(matches!(with(at, byte), Some(InspectError::Corrupt { .. })), "{at}");
    }
    // A version that is too long; one with a control character.
    assert!(matches!(with(288, 0xff), Some(InspectError::Corrupt { .. })));
    assert!(matches!(with(290, 7), Some(InspectError::Corrupt { .. })));
    // Another machine is a Go program all the same, without probes.
    let mut bytes = program();
    bytes[18] = 0xf3;
    assert_eq!(inspect_bytes(&bytes).unwrap().facts.arch.to_string(), "ELF machine 243");
}

#[test]
fn a_file_that_was_cut_off_says_so() {
    let whole = program();
    for end in 4..whole.len() {
        let found = error(&whole[..end]);
        assert!(matches!(found, Some(InspectError::Truncated { .. })), "{end}: {found:?}");
    }
}

proptest! {
    #[test]
    fn no_change_of_a_few_bytes_ends_in_a_panic(
        changes in prop::collection::vec((0_usize..1024, any::<u8>()), 1..8),
    ) {
        let mut bytes = program();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        let _ = inspect_bytes(&bytes);
    }
}
