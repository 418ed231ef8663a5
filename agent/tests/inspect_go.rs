//! Inspects programs built by every Go toolchain there is, and compares with what the programs'
//! own runtimes say about themselves.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are tests too"
)]

use std::{collections::HashMap, env, fs, fs::File, path::Path, process::Command};

use proptest::prelude::*;

use goroscope::inspect::{
    Arch, Binary, GoVersion, InspectError, Mapping,
    address::{FileAddress, FileOffset, LoadBias, ProcessAddress},
    inspect,
};
use goroscope_tests::{
    fixture::{self, Mode},
    skip,
    toolchain::Go,
};

const PROGRAM: &str = "inspected";
const MODULE: &str = "goroscope.test/fixtures";

const USUAL: &[Mode] =
    &[Mode::Normal, Mode::Stripped, Mode::Pie, Mode::PieStripped, Mode::PlainDwarf];
const UNUSUAL: &[Mode] = &[Mode::Cgo, Mode::CgoExternalPie, Mode::Static, Mode::Trimpath];

macro_rules! releases {
    ($($test:ident: $version:literal, $variants:expr;)+) => {$(
        #[test]
        fn $test() {
            check_release(stringify!($test), $version, $variants);
        }
    )+};
}

releases! {
    go_1_19: "1.19", &[Mode::Normal, Mode::Stripped, Mode::Pie, Mode::PieStripped];
    go_1_21: "1.21.13", USUAL;
    go_1_22: "1.22.10", USUAL;
    go_1_23: "1.23.9", USUAL;
    go_1_24: "1.24.11", USUAL;
    go_1_25: "1.25.5", USUAL;
    go_1_26: "1.26.6", USUAL;
    go_1_27: "1.27.3", USUAL;
    go_1_21_unusual: "1.21.13", UNUSUAL;
    go_1_26_unusual: "1.26.6", UNUSUAL;
    go_1_27_unusual: "1.27.3", UNUSUAL;
}

/// A toolchain; a test that lacks it is noted as skipped.
fn toolchain(test: &str, version: &'static str) -> Option<Go> {
    Go::find(version).map_err(|error| skip::note(test, &error.to_string())).ok()
}

fn check_release(test: &str, version: &'static str, modes: &[Mode]) {
    let Some(go) = toolchain(test, version) else { return };
    for mode in modes {
        let binary = fixture::build(PROGRAM, &go, *mode).unwrap();
        check_binary(&go, *mode, &binary);
        check_without_sections(&binary);
    }
}

fn check_binary(go: &Go, mode: Mode, path: &Path) {
    let context = format!("{go} {mode}");
    let binary = inspect(File::open(path).unwrap()).unwrap();
    check_facts(&context, go, mode, &binary, path);
    check_probe_points(&context, go, &binary, path);
    check_g_fields(&context, go, &binary, path);

    let output = Command::new(path).output().unwrap();
    assert!(output.status.success(), "{context}: {output:?}");
    let output = String::from_utf8(output.stdout).unwrap();
    let (dump, told) = output.split_once("\n====\n").unwrap();
    let told = Told::parse(told);
    let bias = binary.load_bias(told.mappings.iter().copied());
    let bias = bias.unwrap_or_else(|| panic!("{context}: no bias in {:?}", told.mappings));
    assert_eq!(bias != LoadBias(0), mode.pie(), "{context}");
    check_created_by(&context, &binary, dump, &told, bias);
    check_frames(&context, &binary, &told, bias);
}

fn check_facts(context: &str, go: &Go, mode: Mode, binary: &Binary, path: &Path) {
    let facts = &binary.facts;
    let told = go.command().unwrap().args(["version", "-m"]).arg(path).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let version = told.lines().next().unwrap().split(": ").nth(1).unwrap();
    assert_eq!(facts.go_version, version, "{context}");
    let minor = facts.version.map(|GoVersion { minor, .. }| u32::from(minor));
    assert_eq!(minor, Some(go.minor()), "{context}");
    assert_eq!(facts.module.as_deref(), Some(MODULE), "{context}");
    let id = go.command().unwrap().args(["tool", "buildid"]).arg(path).output().unwrap();
    let id = String::from_utf8(id.stdout).unwrap();
    assert_eq!(facts.build_id.as_deref(), Some(id.trim()), "{context}");
    assert_eq!(facts.arch, Arch::Amd64, "{context}");
    let stripped = (facts.stripped, facts.dwarf);
    assert_eq!(stripped, (mode.stripped(), !mode.stripped()), "{context}");
    assert_eq!(facts.pie, mode.pie(), "{context}");
    let cgo = if mode.cgo() { "1" } else { "0" };
    assert_eq!(facts.setting("CGO_ENABLED"), Some(cgo), "{context}");
}

fn check_probe_points(context: &str, go: &Go, binary: &Binary, path: &Path) {
    let points = binary.probe_points.as_ref().unwrap();
    let minor = go.minor();
    let death = if minor < 22 { "runtime.goexit0" } else { "runtime.gdestroy" };
    assert_eq!(points.birth.function, "runtime.newproc1", "{context}");
    assert_eq!(points.death.function, death, "{context}");
    let bytes = fs::read(path).unwrap();
    for point in [points.birth, points.death] {
        let at = usize::try_from(point.offset.0).unwrap();
        if minor < 21 {
            // sub $N,%rsp
            assert_eq!(bytes[at..at + 3], [0x48, 0x83, 0xec], "{context} {point:?}");
        } else {
            // push %rbp; mov %rsp,%rbp
            assert_eq!(bytes[at..at + 4], [0x55, 0x48, 0x89, 0xe5], "{context} {point:?}");
        }
        assert_eq!(point.emulated, minor >= 21, "{context}");
        let function = binary.symbols.function(point.address);
        assert_eq!(function.as_deref(), Some(point.function), "{context}");
    }
}

/// Its own DWARF and the table of releases say the same.
fn check_g_fields(context: &str, go: &Go, binary: &Binary, path: &Path) {
    let expected = binary.g_fields.as_ref().unwrap();
    // With a version that no table has.
    let (known, unknown) = (format!("go1.{}.", go.minor()), "go1.99.");
    let mut bytes = fs::read(path).unwrap();
    for at in 0..bytes.len() - known.len() {
        if bytes[at..].starts_with(known.as_bytes()) {
            bytes[at..at + known.len()].copy_from_slice(unknown.as_bytes());
        }
    }
    let newer = goroscope::inspect::inspect_bytes(&bytes).unwrap();
    assert_eq!(newer.facts.version.unwrap().minor, 99, "{context}");
    match newer.g_fields {
        Ok(fields) => assert_eq!((&fields, binary.facts.dwarf), (expected, true), "{context}"),
        Err(InspectError::UnknownLayout { .. }) => assert!(!binary.facts.dwarf, "{context}"),
        Err(error) => panic!("{context}: {error}"),
    }
}

/// Function, file and line.
type Frame = (String, String, u32);

/// What a fixture says about its own code.
#[derive(Default)]
struct Told {
    mappings: Vec<Mapping>,
    /// Instances of a generic function share a name.
    entries: HashMap<String, Vec<u64>>,
    /// Of an address: whether those are all, or only the innermost.
    frames: Vec<(bool, u64, Vec<Frame>)>,
}

impl Told {
    fn parse(text: &str) -> Self {
        let mut told = Self::default();
        for line in text.lines() {
            let (kind, rest) = line.split_once(' ').unwrap();
            match kind {
                "map" => told.mappings.push(mapping(rest)),
                "entry" => {
                    let (pc, name) = rest.split_once(' ').unwrap();
                    told.entries.entry(name.to_owned()).or_default().push(hex(pc));
                }
                "innermost" | "stack" => {
                    let mut fields = rest.split('\t');
                    let pc = hex(fields.next().unwrap());
                    let fields: Vec<_> = fields.collect();
                    let frame =
                        |f: &[&str]| (f[0].to_owned(), f[1].to_owned(), f[2].parse().unwrap());
                    told.frames.push((kind == "stack", pc, fields.chunks(3).map(frame).collect()));
                }
                _ => panic!("{line}"),
            }
        }
        told
    }
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap()
}

fn mapping(line: &str) -> Mapping {
    let fields: Vec<_> = line.split_whitespace().collect();
    let (start, end) = fields[0].split_once('-').unwrap();
    Mapping {
        start: ProcessAddress(hex(start)),
        end: ProcessAddress(hex(end)),
        offset: FileOffset(hex(fields[2])),
        executable: fields[1].contains('x'),
    }
}

/// Each "created by" of the dump comes out of the address that it stands for.
fn check_created_by(context: &str, binary: &Binary, dump: &str, told: &Told, bias: LoadBias) {
    let mut seen = Vec::new();
    let lines: Vec<_> = dump.lines().collect();
    for pair in lines.windows(2) {
        let Some(creator) = pair[0].strip_prefix("created by ") else { continue };
        let function = creator.split(" in goroutine ").next().unwrap();
        let (place, distance) = pair[1].trim().rsplit_once(" +0x").unwrap();
        let (file, line) = place.rsplit_once(':').unwrap();
        let found: Vec<_> = told.entries[function]
            .iter()
            .filter_map(|entry| ProcessAddress(entry + hex(distance)).in_file(bias))
            .filter_map(|gopc| Some((gopc, binary.symbols.created_by(gopc)?)))
            .collect();
        let fits = found.iter().any(|(gopc, found)| {
            let fits =
                found.function == function && found.file == file && found.line.to_string() == line;
            if fits {
                // The dump comes from the function table, so that both have to agree.
                let by_dwarf = binary.symbols.line_by_dwarf(FileAddress(gopc.0 - 1));
                let expected = binary.facts.dwarf.then(|| (found.file.clone(), found.line));
                assert_eq!(by_dwarf, expected, "{context}: {gopc}");
            }
            fits
        });
        assert!(fits, "{context}: {function} {file}:{line} is none of {found:?}");
        seen.push(function.to_owned());
    }
    for expected in [
        "main.(*T).method",
        "main.T.value",
        "main.generic[...]",
        "main.(*G[...]).start",
        "main.inner",
        "main.main.func1",
        "main.parallel",
    ] {
        let alike = |seen: &String| seen.starts_with(expected) || expected == "main.inner";
        assert!(seen.iter().any(alike), "{context}: no {expected} in {seen:?}");
    }
}

/// Addresses all over the program have the names, files and lines that the runtime gives them,
/// through all inlined calls.
fn check_frames(context: &str, binary: &Binary, told: &Told, bias: LoadBias) {
    let mut inlined = 0;
    for (all, pc, expected) in &told.frames {
        let address = ProcessAddress(*pc).in_file(bias).unwrap();
        let found = binary.symbols.frames(address);
        let count = if *all { found.len() } else { 1 };
        let got: Vec<_> = found
            .iter()
            .take(count)
            .map(|frame| (frame.function.clone(), frame.file.clone(), frame.line))
            .collect();
        assert_eq!(&got, expected, "{context}: {address}");
        inlined += usize::from(*all) * found.iter().filter(|frame| frame.inlined).count();
        let last = found.last().unwrap();
        assert!(!last.inlined);
        assert_eq!(binary.symbols.function(address).as_ref(), Some(&last.function), "{context}");
    }
    // Both calls of `double` in `inlines`, each with that of `addOne` in it.
    assert_eq!(inlined, 4, "{context}");
    assert!(told.frames.len() > 100, "{context}: {}", told.frames.len());
}

/// The same is found when the section table is gone, as some strippers leave it.
fn check_without_sections(path: &Path) {
    let whole = inspect(File::open(path).unwrap()).unwrap();
    let mut bytes = fs::read(path).unwrap();
    bytes[0x28..0x30].fill(0);
    bytes[0x3c..0x40].fill(0);
    let bare = goroscope::inspect::inspect_bytes(&bytes).unwrap();
    assert_eq!(bare.probe_points, whole.probe_points, "{}", path.display());
    assert_eq!(bare.facts.go_version, whole.facts.go_version);
    assert_eq!(bare.facts.module, whole.facts.module);
    assert_eq!(bare.facts.build_id, whole.facts.build_id);
    assert_eq!(bare.facts.settings, whole.facts.settings);
    assert!(bare.facts.stripped);
    assert_eq!(bare.g_fields, whole.g_fields);
}

#[test]
fn arm64_programs_have_their_places_behind_the_check_too() {
    for version in ["1.21.13", "1.26.6", "1.27.3"] {
        let name = "arm64_programs_have_their_places_behind_the_check_too";
        let Some(go) = toolchain(name, version) else { continue };
        let path = fixture::build_for("arm64", PROGRAM, &go, Mode::Normal).unwrap();
        let binary = inspect(File::open(&path).unwrap()).unwrap();
        assert_eq!(binary.facts.arch, Arch::Arm64);
        let points = binary.probe_points.unwrap();
        let bytes = fs::read(&path).unwrap();
        for point in [points.birth, points.death] {
            let at = usize::try_from(point.offset.0).unwrap();
            // A branch if lower or same, then `str x30, [sp, #-N]!`.
            assert_eq!(bytes[at - 4] & 0x1f, 0x09, "{point:?}");
            assert_eq!((bytes[at], bytes[at + 3]), (0xfe, 0xf8), "{point:?}");
            assert!(!point.emulated);
        }
    }
}

#[test]
fn what_is_no_go_program_is_named() {
    let itself = inspect(File::open(env::current_exe().unwrap()).unwrap());
    assert!(matches!(itself, Err(InspectError::NotGo)));
    let folder = inspect(File::open(env::temp_dir()).unwrap());
    assert!(matches!(folder, Err(InspectError::NotRegular)));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(inspect(File::open(file.path()).unwrap()), Err(InspectError::Empty)));
    std::io::Write::write_all(&mut file, b"#!/bin/sh\n").unwrap();
    assert!(matches!(inspect(File::open(file.path()).unwrap()), Err(InspectError::NotElf)));
    assert_eq!(FileAddress(1).in_process(LoadBias(u64::MAX)), None);
}

/// Bytes of a real program are changed or cut off: an inspection ends, and without a panic.
#[test]
fn a_damaged_program_harms_nobody() {
    let versions = ["1.19", "1.21.13", "1.27.3"];
    let toolchains =
        versions.iter().filter_map(|version| toolchain("a_damaged_program_harms_nobody", version));
    let programs: Vec<(Vec<u8>, Vec<usize>)> = toolchains
        .flat_map(|go| {
            [Mode::Normal, Mode::PieStripped, Mode::PlainDwarf].map(|mode| {
                let path = fixture::build_for("amd64", PROGRAM, &go, mode).unwrap();
                let bytes = fs::read(path).unwrap();
                let places = sensitive(&bytes);
                (bytes, places)
            })
        })
        .collect();
    if programs.is_empty() {
        return;
    }
    let config = ProptestConfig { cases: 250, failure_persistence: None, ..Default::default() };
    let damage = (any::<prop::sample::Index>(), any::<u64>(), 0_u8..6, any::<bool>());
    let strategy = (
        0..programs.len(),
        prop::collection::vec(damage, 1..6),
        prop::option::weighted(0.1, any::<prop::sample::Index>()),
        prop::collection::vec(any::<prop::sample::Index>(), 4),
    );
    proptest!(config, |((which, damages, cut, addresses) in strategy)| {
        let (mut bytes, places) = programs[which].clone();
        for (place, value, kind, anywhere) in damages {
            let at = if anywhere { place.index(bytes.len()) } else { places[place.index(places.len())] };
            let value: Vec<u8> = match kind {
                0 => value.to_le_bytes().to_vec(),
                1 => u64::MAX.to_le_bytes().to_vec(),
                2 => vec![0; 8],
                3 => (bytes.len() as u64).to_le_bytes().to_vec(),
                4 => vec![value.to_le_bytes()[0]],
                _ => vec![0xff, 0xff, 0xff, 0x7f],
            };
            let end = (at + value.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&value[..end - at]);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(binary) = goroscope::inspect::inspect_bytes(&bytes) {
            for address in addresses {
                let pc = FileAddress(0x40_1000 + address.index(0x9_0000) as u64);
                let _ = binary.symbols.created_by(pc);
                let _ = binary.symbols.frames(pc);
                let _ = binary.symbols.line_by_dwarf(pc);
            }
        }
    });
}

/// Places where damage is likely to matter: headers, the function table's begin, and the runtime's
/// description of the program.
fn sensitive(bytes: &[u8]) -> Vec<usize> {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let mut places: Vec<usize> = (0..0x300).step_by(4).collect();
    let sections = usize::try_from(word(0x28)).unwrap();
    places.extend((sections..bytes.len().min(sections + 30 * 64)).step_by(4));
    let table = [0xff, 0xff, 0xff, 0, 0, 1, 8];
    let buildinfo = b"\xff Go buildinf:";
    for at in (0x1000..bytes.len() - 1024).step_by(8) {
        if bytes[at + 1..].starts_with(&table) || bytes[at..].starts_with(buildinfo) {
            places.extend((at..at + 1024).step_by(4));
        }
        // In a program that is not position-independent: a pointer to the table and one into it.
        if word(at) > 0x40_0000 && word(at + 8).wrapping_sub(word(at)) == 72 {
            places.extend((at..at + 352).step_by(8));
        }
    }
    places
}
