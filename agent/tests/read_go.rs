//! Reads the runtimes of programs built by every Go toolchain there is, and compares with what the
//! programs know of themselves, to the last unit.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

use std::{
    collections::BTreeMap,
    env,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use goroscope::{
    discover::identity::Pid,
    inspect::{address::LoadBias, inspect},
    read::{
        Counts, Groups, Origin, RuntimeFacts, ScanBuffer, State, TimeHistogram,
        globals::{Global, from_code},
        layout::{Layout, dwarf::RuntimeTypes, table},
    },
};
use goroscope_tests::{
    fixture::{self, Mode},
    rest::{Report, Rest},
    skip,
    speaker::Speaker,
    toolchain::{Go, NEWEST, WITH_DEBIAN},
};
use serde_json::Value;

#[path = "read_go/programs.rs"]
mod programs;

use programs::{Opened, open};

/// A toolchain; a test that lacks it is noted as skipped.
fn toolchain(test: &str, version: &'static str) -> Option<Go> {
    Go::find(version).map_err(|error| skip::note(test, &error.to_string())).ok()
}

fn storm(arch: &str, go: &Go) -> PathBuf {
    fixture::build_for(arch, "storm", go, Mode::Normal).unwrap()
}

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
    fn metric(&mut self, report: &Report, name: &'static str, read: u64) {
        if let Some(told) = report.metrics.get(name) {
            self.add(name, told, read);
        }
    }

    fn histogram(&mut self, report: &Report, name: &'static str, read: &TimeHistogram) {
        let told = &report.histograms[name];
        self.add(name, format!("{:?}", told.counts), format!("{:?}", read.counts));
        #[expect(clippy::cast_precision_loss, reason = "the runtime converts them likewise")]
        let read: Vec<_> = read.bounds.iter().map(|bound| *bound as f64 / 1e9).collect();
        self.add("bounds", format!("{:?}", told.bounds), format!("{read:?}"));
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
        let Some(place) = place.filter(|at| !at.function.starts_with("runtime.")) else { continue };
        let file = Path::new(&place.file).file_name().unwrap().to_string_lossy();
        let start = key.start.in_file(opened.bias).and_then(|at| opened.binary.function_at(at));
        // A dump leaves out the wrapper that the compiler makes of a method's value.
        let start = start.unwrap();
        let start = start.strip_suffix("-fm").unwrap_or(&start);
        let site = format!("{} {file}:{} {start}", place.function, place.line);
        *sites.entry(site).or_default() += group.goroutines;
    }
    (states, sites, groups)
}

fn text(map: &BTreeMap<String, u64>) -> String {
    map.iter().map(|(key, count)| format!("{key}={count} ")).collect()
}

/// Compares all there is with what the program reports; returns the counts, or nothing where the
/// program says that it was not at rest.
fn compare(
    program: &mut Rest,
    opened: &mut Opened,
    before: Option<(Counts, u64)>,
    finalizer: bool,
) -> Option<(Cells, (Counts, u64))> {
    program.freeze().unwrap();
    // The threads go to sleep.
    thread::sleep(Duration::from_millis(30));
    let counts = opened.reader.counts().unwrap();
    let (states, sites, groups) = groups(opened);
    let reader = &opened.reader;
    let gc = reader.gc().unwrap_or_default();
    let goal = reader.heap_goal().unwrap_or_default();
    let heap = reader.heap().unwrap_or_default();
    let latency = opened.reader.sched_latency().unwrap();
    let report = program.report().unwrap();
    if !report.moved.is_empty() {
        println!("not at rest: {:?}", report.moved);
        return None;
    }

    let mut cells = Cells::default();
    cells.add("settled", true, counts.settled);
    cells.add("NumGoroutine", report.num_goroutine, counts.live);
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
    cells.add("goroutines in the table", report.num_goroutine + finalizers, groups.user());
    // A thread of C that is in Go has a goroutine that no `go` statement created.
    let from_c = groups.groups().iter().filter(|(key, _)| key.created_at.0 == 0);
    let from_c: u64 = from_c.map(|(_, group)| group.goroutines).sum();
    let existing = groups.user() + groups.system() - from_c;
    cells.add("created - exited", existing, counts.created - counts.exited);
    let started = report.started;
    cells.add("exited at all", report.ended, counts.exited);
    if let Some((before, started_before)) = before {
        cells.add("created", started - started_before, counts.created - before.created);
        cells.add("exited", started - started_before, counts.exited - before.exited);
    }
    cells.metric(&report, "/sched/goroutines-created:goroutines", counts.created);
    cells.metric(&report, "/sched/threads/total:threads", counts.threads);
    cells.add("GOMAXPROCS", report.gomaxprocs, counts.gomaxprocs);
    cells.add("states", text(&report.states), text(&states));
    cells.add("sites", text(&report.sites), text(&sites));
    cells.histogram(&report, "/sched/latencies:seconds", &latency);
    cells.histogram(&report, "/gc/pauses:seconds", &gc.pauses);
    cells.metric(&report, "/gc/cycles/total:gc-cycles", gc.cycles);
    cells.metric(&report, "/gc/cycles/forced:gc-cycles", gc.forced_cycles);
    cells.add("NumGC", report.num_gc, gc.cycles);
    cells.add("PauseTotal", report.pause_total, gc.pause_total_nanoseconds);
    cells.add("LastGC", report.last_gc, gc.last_end_unix_nanoseconds);
    cells.metric(&report, "/gc/heap/live:bytes", goal.live_bytes);
    cells.metric(&report, "/gc/heap/goal:bytes", goal.goal_bytes);
    let limit = goal.memory_limit.unwrap_or(i64::MAX as u64);
    cells.metric(&report, "/gc/gomemlimit:bytes", limit);
    cells.metric(&report, "/gc/gogc:percent", goal.percent.map_or(u64::MAX, u64::from));
    let of_class = |class: &str| report.metrics.get(&format!("/memory/classes/{class}:bytes"));
    if let (Some(total), Some(released)) = (of_class("total"), of_class("heap/released")) {
        cells.add("total - released", total - released, goal.mapped_bytes);
    }
    cells.metric(&report, "/gc/heap/objects:objects", heap.objects);
    cells.metric(&report, "/gc/heap/allocs:bytes", heap.allocated_bytes);
    cells.metric(&report, "/gc/heap/allocs:objects", heap.allocated_objects);
    cells.metric(&report, "/memory/classes/heap/objects:bytes", heap.object_bytes);
    cells.metric(&report, "/memory/classes/heap/stacks:bytes", heap.stack_bytes);
    Some((cells, (counts, started)))
}

fn check(go: &Go, mode: Mode, arguments: &[&str]) -> Result<Origin, String> {
    let path = fixture::build("rest", go, mode).unwrap();
    let mut program = Rest::start(&path, arguments).unwrap();
    let opened = open(&path, Pid(program.pid()));
    let mut opened = opened.map_err(|error| error.to_string())?;
    let mut before = None;
    let mut wrong = String::new();
    for (_, error) in opened.reader.missing() {
        wrong += &format!("\n  {error}");
    }
    for _ in 0..2 {
        let mut rounds = (0..40).filter_map(|_| {
            compare(&mut program, &mut opened, before, arguments.contains(&"finalizer"))
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
    for mode in Mode::LAID_OUT {
        table += &format!(" | {mode:>14}");
    }
    let mut wrong = String::new();
    let only = env::var("READ_GO_ONLY").ok();
    for version in WITH_DEBIAN {
        if only.as_ref().is_some_and(|only| only != version) {
            continue;
        }
        let name = "at_rest_every_figure_equals_the_program_s_own";
        let Some(go) = toolchain(name, version) else { continue };
        table += &format!("\n{version:8}");
        for mode in Mode::LAID_OUT {
            let cell = match check(&go, mode, &[]) {
                Ok(Origin::Dwarf) => "equal (DWARF)",
                Ok(Origin::Table) => "equal (table)",
                Err(why) => {
                    wrong += &format!("\nGo {version}, {mode}:{why}");
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
        let Some(go) = toolchain("a_finalizer_that_runs_is_the_program_s", version) else {
            continue;
        };
        if let Err(why) = check(&go, Mode::Normal, &["finalizer"]) {
            panic!("Go {version}: {why}");
        }
    }
}

#[test]
fn under_fire_no_value_is_impossible() {
    for (version, mode, scans) in [
        ("1.19", Mode::Stripped, 100),
        ("1.21.13", Mode::Normal, 100),
        ("1.23.9", Mode::PieStripped, 100),
        ("1.25.5", Mode::Normal, 100),
        ("1.27.3", Mode::Stripped, 1000),
    ] {
        if let Some(go) = toolchain("under_fire_no_value_is_impossible", version) {
            fire(&go, mode, scans);
        }
    }
}

fn fire(go: &Go, mode: Mode, scans: usize) {
    let path = fixture::build("storm", go, mode).unwrap();
    let mut program = Speaker::start(&path, &[] as &[&str]).unwrap();
    let mut opened = open(&path, Pid(program.pid())).unwrap();
    let context = format!("{go} {mode}");
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
    program.say("stop").unwrap();
    let told: Value = program.hear().unwrap();
    let told = |name: &str| told[name].as_u64().unwrap();
    let counts = opened.reader.counts().unwrap();
    println!(
        "{context}: {scans} scans of {} goroutines created, {seen} records of goroutines, {torn} \
         torn, {unreadable} unreadable; {unsettled} counts unsettled",
        counts.created
    );
    assert!(counts.settled, "{context}");
    assert_eq!(counts.live, told("num_goroutine"), "{context}");
    // The runtime's own goroutines are created by the dozen, not by the thousand.
    let own = counts.created - told("started");
    assert!((1..64).contains(&own), "{context}: {counts:?}, {own} of the runtime's own");
}

/// Binaries of another architecture do not run here, but where their variables are is known from
/// their symbols.
#[test]
fn variables_are_found_in_the_code() {
    for version in WITH_DEBIAN {
        let Some(go) = toolchain("variables_are_found_in_the_code", version) else { continue };
        for arch in ["amd64", "arm64"] {
            let binary = inspect(File::open(storm(arch, &go)).unwrap()).unwrap();
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
    for version in WITH_DEBIAN {
        let Some(go) = toolchain("the_table_is_the_toolchains_own", version) else { continue };
        for arch in ["amd64", "arm64"] {
            let binary = inspect(File::open(storm(arch, &go)).unwrap()).unwrap();
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
    let Some(go) = toolchain("damaged_debug_information_does_no_harm", NEWEST) else { return };
    let binary = inspect(File::open(storm(fixture::host_arch(), &go)).unwrap()).unwrap();
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
