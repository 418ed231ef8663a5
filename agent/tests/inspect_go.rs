//! Inspects programs built by every Go toolchain there is, and compares with what the programs'
//! own runtimes say about themselves.

use std::{
    collections::HashMap,
    env, fs,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use goroscope::inspect::{
    Arch, Binary, GoVersion, InspectError, Mapping,
    address::{FileAddress, FileOffset, LoadBias, ProcessAddress},
    inspect,
};

const PROGRAM: &str = include_str!("inspect_go/main.go");
const MODULE: &str = "example.com/inspected";

/// How a fixture is built.
struct Variant {
    name: &'static str,
    flags: &'static [&'static str],
    cgo: bool,
    stripped: bool,
    pie: bool,
}

const DEFAULT: Variant =
    Variant { name: "default", flags: &[], cgo: false, stripped: false, pie: false };
const STRIPPED: Variant =
    Variant { name: "stripped", flags: &["-ldflags=-s -w"], stripped: true, ..DEFAULT };
const PIE: Variant = Variant { name: "pie", flags: &["-buildmode=pie"], pie: true, ..DEFAULT };
const PIE_STRIPPED: Variant = Variant {
    name: "pie-stripped",
    flags: &["-buildmode=pie", "-ldflags=-s -w"],
    stripped: true,
    ..PIE
};
const PLAIN_DWARF: Variant =
    Variant { name: "plain-dwarf", flags: &["-ldflags=-compressdwarf=false"], ..DEFAULT };
const CGO: Variant = Variant { name: "cgo", cgo: true, ..DEFAULT };
const CGO_EXTERNAL_PIE: Variant = Variant {
    name: "cgo-external-pie",
    flags: &["-buildmode=pie", "-ldflags=-linkmode=external -s -w"],
    cgo: true,
    stripped: true,
    ..PIE
};
const STATIC: Variant = Variant {
    name: "static",
    flags: &["-ldflags=-linkmode=external -extldflags=-static"],
    cgo: true,
    ..DEFAULT
};
const TRIMPATH: Variant = Variant { name: "trimpath", flags: &["-trimpath"], ..DEFAULT };

const USUAL: &[Variant] = &[DEFAULT, STRIPPED, PIE, PIE_STRIPPED, PLAIN_DWARF];
const UNUSUAL: &[Variant] = &[CGO, CGO_EXTERNAL_PIE, STATIC, TRIMPATH];

macro_rules! releases {
    ($($test:ident: $version:literal, $variants:expr;)+) => {$(
        #[test]
        fn $test() {
            check_release(stringify!($test), $version, $variants);
        }
    )+};
}

releases! {
    go_1_19: "1.19", &[DEFAULT, STRIPPED, PIE, PIE_STRIPPED];
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

fn check_release(test: &str, version: &str, variants: &[Variant]) {
    let Some(toolchain) = Toolchain::find(version) else {
        println!("SKIP {test}: no Go {version}");
        return;
    };
    for variant in variants {
        let folder = tempfile::tempdir().unwrap();
        let binary = toolchain.build(folder.path(), variant, "amd64");
        check_binary(&toolchain, variant, &binary);
        check_without_sections(&binary);
    }
}

fn check_binary(toolchain: &Toolchain, variant: &Variant, path: &Path) {
    let context = format!("go {} {}", toolchain.version, variant.name);
    let binary = inspect(File::open(path).unwrap()).unwrap();
    check_facts(&context, toolchain, variant, &binary, path);
    check_probe_points(&context, toolchain, &binary, path);
    binary.g_fields.as_ref().unwrap();

    let output = Command::new(path).output().unwrap();
    assert!(output.status.success(), "{context}: {output:?}");
    let output = String::from_utf8(output.stdout).unwrap();
    let (dump, told) = output.split_once("\n====\n").unwrap();
    let told = Told::parse(told);
    let bias = binary.load_bias(told.mappings.iter().copied());
    let bias = bias.unwrap_or_else(|| panic!("{context}: no bias in {:?}", told.mappings));
    assert_eq!(bias != LoadBias(0), variant.pie, "{context}");
    check_created_by(&context, &binary, dump, &told, bias);
    check_frames(&context, &binary, &told, bias);
}

fn check_facts(
    context: &str,
    toolchain: &Toolchain,
    variant: &Variant,
    binary: &Binary,
    path: &Path,
) {
    let facts = &binary.facts;
    let told = toolchain.go().arg("version").arg("-m").arg(path).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let version = told.lines().next().unwrap().split(": ").nth(1).unwrap();
    assert_eq!(facts.go_version, version, "{context}");
    let minor = toolchain.version.split('.').nth(1).unwrap().parse().unwrap();
    assert_eq!(facts.version.map(|GoVersion { minor, .. }| minor), Some(minor), "{context}");
    assert_eq!(facts.module.as_deref(), Some(MODULE), "{context}");
    let id = toolchain.go().args(["tool", "buildid"]).arg(path).output().unwrap();
    let id = String::from_utf8(id.stdout).unwrap();
    assert_eq!(facts.build_id.as_deref(), Some(id.trim()), "{context}");
    assert_eq!(facts.arch, Arch::Amd64, "{context}");
    let stripped = (facts.stripped, facts.dwarf);
    assert_eq!(stripped, (variant.stripped, !variant.stripped), "{context}");
    assert_eq!(facts.pie, variant.pie, "{context}");
    let cgo = if variant.cgo { "1" } else { "0" };
    assert_eq!(facts.setting("CGO_ENABLED"), Some(cgo), "{context}");
}

fn check_probe_points(context: &str, toolchain: &Toolchain, binary: &Binary, path: &Path) {
    let points = binary.probe_points.as_ref().unwrap();
    let minor: u16 = toolchain.version.split('.').nth(1).unwrap().parse().unwrap();
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

/// What a fixture says about its own code.
#[derive(Default)]
struct Told {
    mappings: Vec<Mapping>,
    /// Instances of a generic function share a name.
    entries: HashMap<String, Vec<u64>>,
    frames: Vec<(u64, Vec<(String, String, u32)>)>,
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
                "frames" => {
                    let mut fields = rest.split('\t');
                    let pc = hex(fields.next().unwrap());
                    let fields: Vec<_> = fields.collect();
                    let frame = |f: &[&str]| (f[0].to_owned(), f[1].to_owned(), f[2].parse().unwrap());
                    told.frames.push((pc, fields.chunks(3).map(frame).collect()));
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
            .filter_map(|gopc| binary.symbols.created_by(gopc))
            .collect();
        let fits = found.iter().any(|found| {
            found.function == function && found.file == file && found.line.to_string() == line
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
    for (pc, expected) in &told.frames {
        let address = ProcessAddress(*pc).in_file(bias).unwrap();
        let found = binary.symbols.frames(address);
        let got: Vec<_> =
            found.iter().map(|f| (f.function.clone(), f.file.clone(), f.line)).collect();
        // The runtime leaves out the wrappers that the compiler makes for methods.
        if expected.is_empty() || got.iter().any(|(_, file, _)| file == "<autogenerated>") {
            continue;
        }
        assert_eq!(&got, expected, "{context}: {address}");
        inlined += found.iter().filter(|frame| frame.inlined).count();
        let last = found.last().unwrap();
        assert!(!last.inlined);
        assert_eq!(binary.symbols.function(address).as_ref(), Some(&last.function), "{context}");
    }
    assert!(told.frames.len() > 100 && inlined > 10, "{context}: {inlined} inlined");
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
        let Some(toolchain) = Toolchain::find(version) else {
            println!("SKIP arm64_programs_have_their_places_behind_the_check_too: no Go {version}");
            continue;
        };
        let folder = tempfile::tempdir().unwrap();
        let path = toolchain.build(folder.path(), &DEFAULT, "arm64");
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

struct Toolchain {
    version: &'static str,
    go: PathBuf,
    cache: PathBuf,
}

impl Toolchain {
    fn find(version: &str) -> Option<Self> {
        let version: &'static str = version.to_owned().leak();
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))?;
        let cache = cache.join("goroscope");
        let root = env::var_os("GOROSCOPE_GO_ROOT").map(PathBuf::from);
        let root = root.unwrap_or_else(|| cache.join("go"));
        // Debian has this one as a package.
        let debian = PathBuf::from(format!("/usr/lib/go-{version}/bin/go"));
        let candidates = [root.join(version).join("go/bin/go"), debian];
        let go = candidates.into_iter().find(|go| go.exists())?;
        Some(Self { version, go, cache: cache.join("gocache") })
    }

    fn go(&self) -> Command {
        let mut command = Command::new(&self.go);
        command.env("GOTOOLCHAIN", "local").env("GOFLAGS", "-mod=mod").env("GOPROXY", "off");
        command.env("GOCACHE", &self.cache).env_remove("GOROOT").env_remove("GOEXPERIMENT");
        command
    }

    fn build(&self, folder: &Path, variant: &Variant, arch: &str) -> PathBuf {
        let minor = self.version.split('.').nth(1).unwrap();
        fs::write(folder.join("go.mod"), format!("module {MODULE}\n\ngo 1.{minor}\n")).unwrap();
        fs::write(folder.join("main.go"), PROGRAM).unwrap();
        if variant.cgo {
            let cgo = "package main\n\n// static int one(void) { return 1; }\nimport \"C\"\n\n\
                       var _ = C.one()\n";
            fs::write(folder.join("cgo.go"), cgo).unwrap();
        }
        let path = folder.join("inspected");
        let output = self
            .go()
            .current_dir(folder)
            .env("CGO_ENABLED", if variant.cgo { "1" } else { "0" })
            .env("GOARCH", arch)
            .args(["build", "-o"])
            .arg(&path)
            .args(variant.flags)
            .arg(".")
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "go {} {}: {error}", self.version, variant.name);
        path
    }
}
