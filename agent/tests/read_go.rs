//! Reads the runtimes of programs built by every Go toolchain there is, and compares with what the
//! programs know of themselves, to the last unit.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

use std::{collections::BTreeMap, env, fs::File, io::Read as _, thread, time::Duration};

use goroscope::{
    inspect::{address::LoadBias, inspect},
    read::{
        Counts, Groups, Origin, RuntimeFacts, ScanBuffer, State, TimeHistogram,
        globals::{Global, from_code},
        layout::{Layout, dwarf::RuntimeTypes, table},
    },
};
use serde_json::Value;

#[path = "read_go/programs.rs"]
mod programs;

use programs::{Opened, Running, Toolchain, VARIANTS, VERSIONS, Variant, open};
/// One comparison: what it is of, what the program says, and what was read.
struct Cell {
    what: &'static str,
    told: String,
    read: String,
}

#[derive(Default)]
struct Cells(Vec<Cell>);

impl Cells {
    fn add(&mut self, what: &'static str, told: impl ToString, read: impl ToString) {
        self.0.push(Cell { what, told: told.to_string(), read: read.to_string() });
    }

    /// Compares with a metric, where the program's release has it.
    fn metric(&mut self, report: &Value, name: &'static str, read: u64) {
        if let Some(told) = report["Metrics"][name].as_u64() {
            self.add(name, told, read);
        }
    }

    fn histogram(&mut self, report: &Value, name: &'static str, read: &TimeHistogram) {
        let numbers = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let told = &report["Histograms"][name];
        let counts: Vec<_> = numbers(&told["Counts"]).iter().filter_map(Value::as_u64).collect();
        self.add(name, format!("{counts:?}"), format!("{:?}", read.counts));
        let bounds: Vec<_> = numbers(&told["Buckets"]).iter().filter_map(Value::as_f64).collect();
        #[expect(clippy::cast_precision_loss, reason = "the runtime converts them likewise")]
        let read: Vec<_> = read.bounds.iter().map(|bound| *bound as f64 / 1e9).collect();
        self.add("bounds", format!("{bounds:?}"), format!("{read:?}"));
    }
}

/// Goroutines by what Go's own dump calls their state, and by what created them.
fn groups(opened: &mut Opened) -> (BTreeMap<String, u64>, BTreeMap<String, u64>, Groups) {
    let mut groups = Groups::default();
    let report = opened.reader.scan(&mut ScanBuffer::default(), &mut |g| groups.add(g)).unwrap();
    assert_eq!((report.torn, report.unreadable), (0, 0), "{:?}", opened.reader.facts().release);
    let reasons = opened.reader.wait_reasons().cloned().unwrap_or_default();
    let (mut states, mut sites) = (BTreeMap::new(), BTreeMap::new());
    for (key, group) in groups.groups().iter().filter(|(key, _)| !key.system) {
        let state = match key.state {
            State::Waiting => reasons.name(key.wait_reason).unwrap_or("?").to_owned(),
            state => state.as_str().to_owned(),
        };
        *states.entry(state).or_default() += group.goroutines;
        // Neither the main goroutine nor one of a thread of C was created by a `go` statement of
        // the program.
        let place = key.created_at.in_file(opened.bias);
        let place = place.and_then(|at| opened.binary.symbols.created_by(at));
        let site = place.map(|place| place.function).filter(|name| !name.starts_with("runtime."));
        if let Some(site) = site {
            *sites.entry(site).or_default() += group.goroutines;
        }
    }
    (states, sites, groups)
}

fn text(map: &BTreeMap<String, u64>) -> String {
    map.iter().map(|(key, count)| format!("{key}={count} ")).collect()
}

fn told(map: &Value) -> String {
    let map = map.as_object().unwrap().iter();
    text(&map.map(|(key, count)| (key.clone(), count.as_u64().unwrap())).collect())
}

/// Compares all there is with what the program reports; returns the counts, or nothing where the
/// program says that it was not at rest.
fn compare(
    running: &mut Running,
    opened: &mut Opened,
    before: Option<(Counts, u64)>,
    finalizer: bool,
) -> Option<(Cells, (Counts, u64))> {
    running.next();
    assert_eq!(running.line(), "ready\n");
    // The threads go to sleep.
    thread::sleep(Duration::from_millis(30));
    let counts = opened.reader.counts().unwrap();
    let (states, sites, groups) = groups(opened);
    let reader = &opened.reader;
    let gc = reader.gc().unwrap_or_default();
    let goal = reader.heap_goal().unwrap_or_default();
    let heap = reader.heap().unwrap_or_default();
    let latency = opened.reader.sched_latency().unwrap();
    running.next();
    let report: Value = serde_json::from_str(&running.line()).unwrap();
    if !report["Moved"].is_null() {
        println!("not at rest: {}", report["Moved"]);
        return None;
    }
    let number = |name: &str| report[name].as_u64().unwrap();

    let mut cells = Cells::default();
    cells.add("settled", true, counts.settled);
    cells.add("NumGoroutine", number("NumGoroutine"), counts.live);
    // A finalizer goroutine that runs the program's code is one of the program's in a dump, but not
    // in the runtime's count.
    let finalizers = groups.groups().iter().filter(|(key, group)| {
        let name = key.start.in_file(opened.bias).and_then(|at| opened.binary.function_at(at));
        let finalizer =
            matches!(name.as_deref(), Some("runtime.runfinq" | "runtime.runFinalizers"));
        finalizer && !key.system && group.goroutines > 0
    });
    let finalizers = u64::try_from(finalizers.count()).unwrap();
    cells.add("finalizers", u64::from(finalizer), finalizers);
    cells.add("goroutines in the table", number("NumGoroutine") + finalizers, groups.user());
    // A thread of C that is in Go has a goroutine that no `go` statement created.
    let from_c = groups.groups().iter().filter(|(key, _)| key.created_at.0 == 0);
    let from_c: u64 = from_c.map(|(_, group)| group.goroutines).sum();
    let existing = groups.user() + groups.system() - from_c;
    cells.add("created - exited", existing, counts.created - counts.exited);
    let started = number("Started");
    if let Some((before, started_before)) = before {
        cells.add("created", started - started_before, counts.created - before.created);
        cells.add("exited", started - started_before, counts.exited - before.exited);
    }
    cells.metric(&report, "/sched/goroutines-created:goroutines", counts.created);
    cells.metric(&report, "/sched/threads/total:threads", counts.threads);
    cells.add("GOMAXPROCS", number("GOMAXPROCS"), counts.gomaxprocs);
    cells.add("states", told(&report["States"]), text(&states));
    cells.add("sites", told(&report["Sites"]), text(&sites));
    cells.histogram(&report, "/sched/latencies:seconds", &latency);
    cells.histogram(&report, "/gc/pauses:seconds", &gc.pauses);
    cells.metric(&report, "/gc/cycles/total:gc-cycles", gc.cycles);
    cells.metric(&report, "/gc/cycles/forced:gc-cycles", gc.forced_cycles);
    cells.add("NumGC", number("NumGC"), gc.cycles);
    cells.add("PauseTotal", number("PauseTotal"), gc.pause_total_nanoseconds);
    cells.add("LastGC", number("LastGC"), gc.last_end_unix_nanoseconds);
    cells.metric(&report, "/gc/heap/live:bytes", goal.live_bytes);
    cells.metric(&report, "/gc/heap/goal:bytes", goal.goal_bytes);
    cells.metric(&report, "/gc/heap/objects:objects", heap.objects);
    cells.metric(&report, "/gc/heap/allocs:bytes", heap.allocated_bytes);
    cells.metric(&report, "/gc/heap/allocs:objects", heap.allocated_objects);
    cells.metric(&report, "/memory/classes/heap/objects:bytes", heap.object_bytes);
    cells.metric(&report, "/memory/classes/heap/stacks:bytes", heap.stack_bytes);
    Some((cells, (counts, started)))
}

fn check(toolchain: &Toolchain, variant: &Variant, arguments: &[&str]) -> Result<Origin, String> {
    let folder = tempfile::tempdir().unwrap();
    let folders: &[_] = if variant.cgo { &["rest", "rest_cgo"] } else { &["rest"] };
    let program = toolchain.build(folder.path(), folders, variant);
    let mut running = Running::start(&program, arguments);
    let mut opened = open(&program, running.pid()).map_err(|error| error.to_string())?;
    let mut before = None;
    let mut wrong = String::new();
    for (_, error) in opened.reader.missing() {
        wrong += &format!("\n  {error}");
    }
    for _ in 0..2 {
        let mut rounds = (0..40).filter_map(|_| {
            compare(&mut running, &mut opened, before, arguments.contains(&"finalizer"))
        });
        let (cells, counts) = rounds.next().ok_or("it does not come to rest")?;
        before = Some(counts);
        for cell in cells.0.iter().filter(|cell| cell.told != cell.read) {
            wrong +=
                &format!("\n  {}: the program says {}, read {}", cell.what, cell.told, cell.read);
        }
    }
    if wrong.is_empty() { Ok(opened.reader.facts().origin) } else { Err(wrong) }
}

#[test]
fn at_rest_every_figure_equals_the_program_s_own() {
    let mut table = String::from("release ");
    for variant in VARIANTS {
        table += &format!(" | {:>14}", variant.name);
    }
    let mut wrong = String::new();
    let only = env::var("READ_GO_ONLY").ok();
    for version in VERSIONS {
        if only.as_ref().is_some_and(|only| only != version) {
            continue;
        }
        let Some(toolchain) = Toolchain::find(version) else {
            goroscope_tests::skip::note(
                "at_rest_every_figure_equals_the_program_s_own",
                &format!("no Go {version}"),
            );
            continue;
        };
        table += &format!("\n{version:8}");
        for variant in &VARIANTS {
            let cell = match check(&toolchain, variant, &[]) {
                Ok(Origin::Dwarf) => "equal (DWARF)",
                Ok(Origin::Table) => "equal (table)",
                Err(why) => {
                    wrong += &format!("\nGo {version}, {}:{why}", variant.name);
                    "DIFFERENT"
                }
            };
            table += &format!(" | {cell:>14}");
        }
    }
    println!("{table}");
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_finalizer_that_runs_is_the_program_s() {
    for version in ["1.19", "1.24.11", "1.27.3"] {
        let Some(toolchain) = Toolchain::find(version) else {
            goroscope_tests::skip::note(
                "a_finalizer_that_runs_is_the_program_s",
                &format!("no Go {version}"),
            );
            continue;
        };
        if let Err(why) = check(&toolchain, &VARIANTS[0], &["finalizer"]) {
            panic!("Go {version}: {why}");
        }
    }
}

#[test]
fn under_fire_no_value_is_impossible() {
    for (version, variant, scans) in [
        ("1.19", &VARIANTS[1], 100),
        ("1.21.13", &VARIANTS[0], 100),
        ("1.23.9", &VARIANTS[3], 100),
        ("1.25.5", &VARIANTS[0], 100),
        ("1.27.3", &VARIANTS[1], 1000),
    ] {
        let Some(toolchain) = Toolchain::find(version) else {
            goroscope_tests::skip::note(
                "under_fire_no_value_is_impossible",
                &format!("no Go {version}"),
            );
            continue;
        };
        fire(&toolchain, variant, scans);
    }
}

fn fire(toolchain: &Toolchain, variant: &Variant, scans: usize) {
    let folder = tempfile::tempdir().unwrap();
    let program = toolchain.build(folder.path(), &["storm"], variant);
    let mut running = Running::start(&program, &[]);
    assert_eq!(running.line(), "storm\n");
    let mut opened = open(&program, running.pid()).unwrap();
    let context = format!("Go {} {}", toolchain.version, variant.name);
    let mut buffer = ScanBuffer::default();
    let mut groups = Groups::default();
    let mut before = Counts::default();
    let (mut torn, mut unreadable, mut seen, mut unsettled) = (0, 0, 0, 0);
    for _ in 0..scans {
        let counts = opened.reader.counts().unwrap();
        assert!(counts.created >= before.created && counts.exited >= before.exited, "{context}");
        assert!(counts.live >= 1 && counts.live <= counts.created, "{context}: {counts:?}");
        assert!(counts.exited <= counts.created, "{context}: {counts:?}");
        assert!([1, 2, 4, 8].contains(&counts.gomaxprocs), "{context}: {counts:?}");
        assert!(counts.threads >= 1 && counts.threads < 1000, "{context}: {counts:?}");
        unsettled += u64::from(!counts.settled);
        before = counts;

        groups.clear();
        let report = opened.reader.scan(&mut buffer, &mut |goroutine| {
            groups.add(goroutine);
        });
        let report = report.unwrap();
        torn += report.torn;
        unreadable += report.unreadable;
        seen += report.live;
        assert_eq!(report.live, groups.user() + groups.system(), "{context}");
        assert!(report.live <= report.records, "{context}: {report:?}");
        let reasons = opened.reader.wait_reasons().unwrap();
        for (reason, _) in groups.by_reason() {
            assert!(reasons.name(reason).is_some(), "{context}: wait reason {reason}");
        }
        opened.reader.heap().unwrap();
        opened.reader.heap_goal().unwrap();
        opened.reader.gc().unwrap();
        opened.reader.sched_latency().unwrap();
    }
    running.next();
    let told = running.line();
    let told: Vec<u64> = told.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let counts = opened.reader.counts().unwrap();
    println!(
        "{context}: {scans} scans of {} goroutines created, {seen} records of goroutines, {torn} \
         torn, {unreadable} unreadable; {unsettled} counts unsettled",
        counts.created
    );
    assert!(counts.settled, "{context}");
    assert_eq!(counts.live, told[1], "{context}");
    // The runtime's own goroutines are created by the dozen, not by the thousand.
    let own = counts.created - told[0];
    assert!((1..64).contains(&own), "{context}: {counts:?}, {told:?}");
}

/// Binaries of another architecture do not run here, but where their variables are is known from
/// their symbols.
#[test]
fn variables_are_found_in_the_code() {
    for version in VERSIONS {
        let Some(toolchain) = Toolchain::find(version) else {
            goroscope_tests::skip::note(
                "variables_are_found_in_the_code",
                &format!("no Go {version}"),
            );
            continue;
        };
        for arch in ["amd64", "arm64"] {
            let folder = tempfile::tempdir().unwrap();
            let program = toolchain.build_for(arch, folder.path(), &["storm"], &VARIANTS[0]);
            let binary = inspect(File::open(program).unwrap()).unwrap();
            let facts = RuntimeFacts::of(&binary).unwrap();
            assert_eq!(facts.origin, Origin::Dwarf, "{version} {arch}");
            let found = from_code::find(&binary, &facts.layout, facts.arch).unwrap();
            for global in Global::ALL {
                if matches!(global, Global::ExtraLength | Global::ExtraInUse) {
                    continue;
                }
                let symbol = facts.candidates.of(global, LoadBias(0)).next().unwrap();
                let rank = found.of(global, LoadBias(0)).position(|at| at == symbol);
                let context = format!("{version} {arch} {global:?}");
                assert!(rank.is_some(), "{context}: not found");
                if matches!(global, Global::Sched | Global::Memstats | Global::Allp) {
                    assert_eq!(rank, Some(0), "{context}");
                }
            }
        }
    }
}

/// The table says the same as the debug information of a program of each toolchain.
#[test]
fn the_table_is_the_toolchains_own() {
    for version in VERSIONS {
        let Some(toolchain) = Toolchain::find(version) else {
            goroscope_tests::skip::note(
                "the_table_is_the_toolchains_own",
                &format!("no Go {version}"),
            );
            continue;
        };
        for arch in ["amd64", "arm64"] {
            let folder = tempfile::tempdir().unwrap();
            let program = toolchain.build_for(arch, folder.path(), &["storm"], &VARIANTS[0]);
            let binary = inspect(File::open(program).unwrap()).unwrap();
            let facts = RuntimeFacts::of(&binary).unwrap();
            assert_eq!(facts.origin, Origin::Dwarf, "{version} {arch}");
            let block = table::lookup(&facts.release, facts.arch).unwrap();
            let layout = Layout::from_source(&block).unwrap();
            assert_eq!(facts.layout, layout, "{version} {arch}");
        }
    }
}

/// Debug information with bytes changed is refused or read; what it says is checked later.
#[test]
fn damaged_debug_information_does_no_harm() {
    let Some(toolchain) = Toolchain::find("1.27.3") else {
        goroscope_tests::skip::note("damaged_debug_information_does_no_harm", "no Go 1.27.3");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let program = toolchain.build_for("amd64", folder.path(), &["storm"], &VARIANTS[0]);
    let binary = inspect(File::open(program).unwrap()).unwrap();
    let section = |name: &str| {
        let mut bytes = Vec::new();
        binary.section(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    let (info, abbrev) = (section(".debug_info"), section(".debug_abbrev"));
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for round in 0..300 {
        let (mut info, mut abbrev) = (info.clone(), abbrev.clone());
        for _ in 0..=round / 30 {
            let at = random(info.len());
            info[at] = u8::try_from(random(256)).unwrap();
        }
        if round % 3 == 0 {
            let at = random(abbrev.len());
            abbrev[at] = u8::try_from(random(256)).unwrap();
        }
        if round % 7 == 0 {
            info.truncate(random(info.len()));
        }
        if let Ok(types) = RuntimeTypes::find(info.as_slice(), abbrev) {
            let _ = Layout::from_source(&types);
        }
    }
}
