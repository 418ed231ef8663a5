//! Dumps in every form: what Go itself writes is read, what we write is read by Go's tools, and all
//! of it tells the same.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends where it fails")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use goroscope::{dumps, model::dump::Dump};
use goroscope_tests::{
    fixture::{self, Mode},
    skip,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};
use serde_json::Value;

const GOROSCOPE: &str = env!("CARGO_BIN_EXE_goroscope");
/// The first release and the last: their names, lines and profiles differ most.
const RELEASES: [&str; 2] = ["1.21.13", NEWEST];
/// The last release that brings pprof built.
const WITH_PPROF: &str = "1.24.11";
/// What Go writes.
const GOS: [&str; 3] = ["text", "summary", "profile"];
/// What we write and read.
const OURS: [&str; 4] = ["text", "json", "pprof", "folded"];

/// The fixture, and the folder that it writes into.
struct Dumped {
    speaker: Speaker,
    folder: tempfile::TempDir,
}

impl Dumped {
    /// `None` where it cannot be built here: then the test is noted as skipped.
    fn start(test: &str, version: &'static str) -> Option<Self> {
        let go = Go::find(version).map_err(|error| skip::note(test, &error.to_string())).ok()?;
        let program = fixture::build("dumped", &go, Mode::Normal).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut dumped =
            Self { speaker: Speaker::start(&program, &[folder.path()]).unwrap(), folder };
        dumped.say("write");
        Some(dumped)
    }

    fn say(&mut self, word: &str) {
        self.speaker.say(word).unwrap();
        self.speaker.ready().unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes our dump in a form.
    fn ours(&self, form: &str) -> PathBuf {
        let path = self.path(&format!("ours.{form}"));
        let pid = self.speaker.pid().to_string();
        let output = goroscope(&[&"dump", &pid, &"--format", &form, &"--output", &path]);
        assert!(output.status.success(), "{output:?}");
        path
    }

    /// Whether our dumps can be taken by this user.
    fn can_be_read(&self, test: &str) -> bool {
        let output = goroscope(&[&"dump", &self.speaker.pid().to_string(), &"--summary"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if said.contains("permitted") {
            skip::note(test, &said);
            return false;
        }
        assert!(output.status.success(), "{said}");
        true
    }
}

fn goroscope(arguments: &[&dyn AsRef<std::ffi::OsStr>]) -> Output {
    let mut command = Command::new(GOROSCOPE);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GOROSCOPE_") {
            command.env_remove(name);
        }
    }
    command.args(arguments.iter().map(|argument| argument.as_ref()));
    command.stdin(std::process::Stdio::null()).output().unwrap()
}

fn diff(before: &Path, after: &Path) -> Value {
    let output = goroscope(&[&"diff", &before, &after, &"--output", &"json"]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Nothing differs but the goroutine that writes, which is in `main.main`.
fn assert_same(before: &Path, after: &Path) {
    let value = diff(before, after);
    let what = || format!("{} and {}: {value:#}", before.display(), after.display());
    assert_eq!(value["before"], value["after"], "{}", what());
    assert_eq!(value["sites_changed"], 0, "{}", what());
    for change in value["stacks"].as_array().unwrap() {
        let outermost = change["stack"].as_array().unwrap().last().unwrap();
        assert_eq!(outermost["function"], "main.main", "{}", what());
    }
}

fn read(path: &Path) -> Dump {
    dumps::read(fs::File::open(path).unwrap()).unwrap()
}

#[test]
fn gos_forms_tell_the_same() {
    for version in RELEASES {
        let Some(dumped) = Dumped::start("gos_forms_tell_the_same", version) else { return };
        for first in GOS {
            let dump = read(&dumped.path(first));
            let count: u64 = dump.goroutines.iter().map(|goroutine| goroutine.count).sum();
            assert_eq!(count, 18, "{version}: {first}");
            for second in GOS {
                assert_same(&dumped.path(first), &dumped.path(second));
            }
        }
        let dump = read(&dumped.path("text"));
        let by = |test: &dyn Fn(&str) -> bool| {
            let has = |reason: &Option<std::sync::Arc<str>>| reason.as_deref().is_some_and(test);
            dump.goroutines.iter().filter(|one| has(&one.wait_reason)).count()
        };
        assert_eq!(by(&|reason| reason == "chan receive"), 6 + 5);
        assert_eq!(by(&|reason| reason == "select (no cases)"), 1);
        assert_eq!(dump.goroutines.iter().filter(|one| one.locked_to_thread).count(), 1);
        assert!(dump.goroutines.iter().any(|one| one.stack.iter().any(|frame| frame.inlined)));
    }
}

#[test]
fn gos_dump_and_ours_diff_to_nothing() {
    let test = "gos_dump_and_ours_diff_to_nothing";
    for version in RELEASES {
        let Some(dumped) = Dumped::start(test, version) else { return };
        if !dumped.can_be_read(test) {
            return;
        }
        for ours in OURS {
            let ours = dumped.ours(ours);
            for gos in GOS {
                assert_same(&dumped.path(gos), &ours);
            }
        }
    }
}

/// Runs `go tool pprof`; `None` where there is no such release.
fn pprof(test: &str, option: &str, profile: &Path) -> Option<String> {
    let go = Go::find(WITH_PPROF).map_err(|error| skip::note(test, &error.to_string())).ok()?;
    let mut go = go.command().unwrap();
    let folder = tempfile::tempdir().unwrap();
    go.env("PPROF_TMPDIR", folder.path()).env("HOME", folder.path());
    let output =
        go.args(["tool", "pprof", option, "-nodecount=1000"]).arg(profile).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// By function, how many goroutines are in it, and how many have it on their stack.
fn by_function(dump: &Dump) -> BTreeMap<String, (u64, u64)> {
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for goroutine in &dump.goroutines {
        let functions: Vec<&str> =
            goroutine.stack.iter().map(|frame| &*frame.place.function).collect();
        for (number, function) in functions.iter().enumerate() {
            let entry = counts.entry((*function).to_owned()).or_default();
            entry.0 += if number == 0 { goroutine.count } else { 0 };
            entry.1 += if functions[..number].contains(function) { 0 } else { goroutine.count };
        }
    }
    counts
}

#[test]
fn pprof_reads_our_profile_and_agrees_with_our_text() {
    let test = "pprof_reads_our_profile_and_agrees_with_our_text";
    for version in RELEASES {
        let Some(dumped) = Dumped::start(test, version) else { return };
        if !dumped.can_be_read(test) {
            return;
        }
        let (profile, text) = (dumped.ours("pprof"), read(&dumped.ours("text")));
        let Some(top) = pprof(test, "-top", &profile) else { return };
        assert!(top.contains("Type: goroutine\n"), "{top}");
        let rows = top.lines().skip_while(|line| !line.contains("flat%")).skip(1);
        let shown: BTreeMap<String, (u64, u64)> = rows
            .map(|row| {
                let columns: Vec<&str> = row.split_whitespace().collect();
                let name = columns[5..].join(" ");
                let name = name.strip_suffix(" (inline)").unwrap_or(&name);
                (name.to_owned(), (columns[0].parse().unwrap(), columns[3].parse().unwrap()))
            })
            .collect();
        assert_eq!(shown, by_function(&text), "{top}");

        let raw = pprof(test, "-raw", &profile).unwrap();
        assert!(raw.contains(&format!("go{version}")), "{raw}");
        assert!(raw.contains("wait_reason:[select (no cases)]"), "{raw}");
        let samples = raw.lines().skip_while(|line| *line != "goroutine/count").skip(1);
        let counts = samples.take_while(|line| *line != "Locations").filter_map(|line| {
            line.split_once(": ").and_then(|(count, _)| count.trim().parse::<u64>().ok())
        });
        assert_eq!(counts.sum::<u64>(), text.goroutines.len() as u64, "{raw}");
        // Inlined calls are lines of one location: the second line has no number of its own.
        let middle = raw.lines().find(|line| line.contains("main.middle")).unwrap();
        assert!(!middle.contains(": 0x"), "{raw}");
    }
}

#[test]
fn the_folded_file_makes_the_same_flame_graph() {
    let test = "the_folded_file_makes_the_same_flame_graph";
    let Some(dumped) = Dumped::start(test, NEWEST) else { return };
    if !dumped.can_be_read(test) {
        return;
    }
    let [folded, svg] =
        ["folded", "svg"].map(|form| fs::read_to_string(dumped.ours(form)).unwrap());
    // A box for each way from the root, as wide as the sum of what goes that way.
    let mut ways: BTreeMap<Vec<&str>, u64> = BTreeMap::new();
    for line in folded.lines() {
        let (stack, count) = line.rsplit_once(' ').unwrap();
        let frames: Vec<&str> = stack.split(';').collect();
        for depth in 1..=frames.len() {
            *ways.entry(frames[..depth].to_vec()).or_default() += count.parse::<u64>().unwrap();
        }
    }
    let mut expected: Vec<(String, u64)> =
        ways.iter().map(|(way, count)| ((*way.last().unwrap()).to_owned(), *count)).collect();
    let mut drawn: Vec<(String, u64)> = svg
        .split("<title>")
        .skip(1)
        .filter_map(|rest| {
            let title = rest.split_once("</title>")?.0;
            let (name, count) = title.rsplit_once(" (")?;
            let count = count.split_once(" goroutines")?.0.replace(',', "").parse().ok()?;
            Some((name.replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"), count))
        })
        .filter(|(name, _)| name != "all")
        .collect();
    expected.sort();
    drawn.sort();
    assert_eq!(drawn, expected);
    // And the same stacks as those of the text.
    let text = read(&dumped.ours("text"));
    let total: u64 =
        folded.lines().map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum();
    assert_eq!(total, text.goroutines.len() as u64);
    assert_same(&dumped.ours("text"), &dumped.path("ours.folded"));
}

#[test]
fn what_grows_in_a_process_is_named() {
    let test = "what_grows_in_a_process_is_named";
    let Some(mut dumped) = Dumped::start(test, NEWEST) else { return };
    if !dumped.can_be_read(test) {
        return;
    }
    let pid = dumped.speaker.pid().to_string();
    let output = goroscope(&[&"diff", &pid, &"--interval", &"100ms"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.starts_with("no difference: 18 goroutines"), "{said}");
    let before = dumped.ours("json");
    let kept = dumped.path("before.json");
    fs::rename(&before, &kept).unwrap();
    dumped.say("more");
    dumped.say("write");
    for after in [dumped.ours("json"), dumped.path("text")] {
        let value = diff(&kept, &after);
        assert_eq!(value["sites_changed"], 1, "{value:#}");
        let site = &value["sites"][0];
        assert_eq!(
            (&site["created_by"]["function"], &site["delta"]),
            (&"main.more".into(), &5.into())
        );
        assert_eq!(value["moved"]["born"], 5, "{value:#}");
        let grown = &value["stacks"][0];
        assert_eq!(
            (&grown["stack"][0]["function"], &grown["delta"]),
            (&"main.leak".into(), &5.into())
        );
    }
    let picture = dumped.path("grown.svg");
    let after = dumped.path("ours.json");
    let output =
        goroscope(&[&"diff", &kept, &after, &"--output", &"svg", &"--output-file", &picture]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let svg = fs::read_to_string(picture).unwrap();
    assert!(svg.contains("<title>main.leak (5 goroutines"), "{svg}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("5 were born"), "{output:?}");
}

#[test]
fn bad_files_are_named_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let good = file("good", "goroutine 1 [running]:\nmain.main()\n\t/m.go:7 +0x1\n");
    let same = goroscope(&[&"diff", &good, &good]);
    assert!(same.status.success());
    assert!(
        String::from_utf8_lossy(&same.stdout)
            .starts_with("no difference: 1 goroutine with 1 different stack in")
    );
    let missing = folder.path().join("missing");
    let cases = [
        (file("cut", "goroutine 1 [running]:\nmain.f()\nmain.g()\n\t/m.go:1\n"), "line 2: "),
        (file("svg", "<?xml version=\"1.0\"?><svg></svg>"), "a picture"),
        (file("empty", ""), "it is empty"),
        (file("prose", "nothing\nof the kind"), "no form"),
        (file("json", "{\n\"pid\": \"x\"}"), "line 2"),
        (file("gzip", "\u{1f}"), ""),
        (missing, "No such file"),
        (folder.path().to_owned(), "it is a folder"),
    ];
    for (path, why) in cases {
        for (first, second) in [(&path, &good), (&good, &path)] {
            let out = folder.path().join("out");
            let output = goroscope(&[&"diff", first, second, &"--output-file", &out]);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains(path.to_str().unwrap()) && said.contains(why), "{said}");
            assert!(said.lines().count() == 2 && said.contains("\nhint: "), "{said}");
            assert!(!out.exists());
        }
    }
    let left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains(".new")), "{left:?}");
    for usage in
        [&["diff", "nofile"][..], &["diff"], &["diff", "-", "-"], &["diff", "1", "--by", "x"]]
    {
        let usage: Vec<&dyn AsRef<std::ffi::OsStr>> = usage.iter().map(|word| word as _).collect();
        assert_eq!(goroscope(&usage).status.code(), Some(2));
    }
}
