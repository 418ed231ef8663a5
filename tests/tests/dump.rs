//! A dump taken from outside is the one that the program takes of itself, frame by frame: each
//! release of Go × each way of building that lays the program out in another way.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail, ensure};
use goroscope_tests::{
    fixture::{self, Mode},
    requires, skip,
    speaker::Speaker,
    stacked::{self, Stacked},
    table::Table,
    toolchain::{DEBIAN, Go, WITH_DEBIAN},
};
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;

/// The program tells when something in it moved after all; so often it may try again.
const ATTEMPTS: usize = 40;
/// Goroutines beside those that differ, in one more row.
const MANY: &str = "100000";
/// Go 1.19 ends a stack after 100 calls without a word, those included that it does not show: of the
/// deep stacks here, which wait for a channel, `gopark`, `chanrecv` and `chanrecv1`. Later releases
/// leave out the middle of stacks, and say so.
const SHOWN_BY_119: usize = 97;
/// The goroutine that dumps: its own dump says that it runs, and what.
const MAIN: u64 = 1;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut rows = Mode::LAID_OUT.map(|mode| mode.to_string()).to_vec();
    rows.push(MANY.to_owned());
    let table = Arc::new(Table::new("dumps", rows, &WITH_DEBIAN));
    let mut trials = Vec::new();
    for version in WITH_DEBIAN {
        let modes = Mode::LAID_OUT.map(|mode| (mode, "0", mode.to_string()));
        for (mode, more, row) in modes.into_iter().chain([(Mode::Normal, MANY, MANY.to_owned())]) {
            let name = format!("dump::go{version}::{row}");
            let table = Arc::clone(&table);
            trials.push(Trial::test(name.clone(), move || {
                test(&name, version, mode, more, &row, &table)
            }));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    table.show();
    conclusion.exit_code()
}

fn test(
    name: &str,
    version: &'static str,
    mode: Mode,
    more: &str,
    row: &str,
    table: &Table,
) -> Result<(), Failed> {
    let needs = requires::root()
        .and_then(|()| requires::go(version))
        .and_then(|()| if mode.cgo() { requires::c_compiler() } else { Ok(()) });
    if let Err(reason) = needs {
        skip::note(name, &reason);
        table.note(row, version, "skip");
        return Ok(());
    }
    let result = Go::find(version).and_then(|go| check(&go, mode, more));
    table.note(row, version, if result.is_ok() { "equal" } else { "DIFFERENT" });
    result.map_err(|error| format!("{error:#}").into())
}

/// The running fixture.
struct Program {
    speaker: Speaker,
    own: PathBuf,
    _folder: tempfile::TempDir,
}

#[derive(Deserialize)]
struct Report {
    moved: bool,
}

fn check(go: &Go, mode: Mode, more: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let own = folder.path().join("own");
    let mut command = Command::new(fixture::build("stacks", go, mode)?);
    let speaker = Speaker::spawn(command.arg(&own).arg(more).env("GOMAXPROCS", "1"))?;
    let mut program = Program { speaker, own, _folder: folder };
    for _ in 0..ATTEMPTS {
        program.speaker.say("")?;
        program.speaker.ready()?;
        let result = compare(&program, go.version);
        program.speaker.say("")?;
        if !program.speaker.hear::<Report>()?.moved {
            return result;
        }
    }
    bail!("the program does not come to rest");
}

fn compare(program: &Program, version: &str) -> Result<()> {
    let pid = program.speaker.pid();
    let own = stacked::parse(&fs::read_to_string(&program.own)?)?;
    ensure!(own.len() > 50, "the program has {} goroutines", own.len());
    let dump = stacked::dump(pid)?;
    let mut differences = Vec::new();
    for goroutine in dump.goroutines.iter().filter(|goroutine| !goroutine.system) {
        let goid = goroutine.goid;
        if goroutine.torn || goroutine.truncated {
            differences.push(format!("goroutine {goid} is torn or truncated"));
        }
        let Some(told) = own.get(&goid) else {
            differences.push(format!("goroutine {goid} is not in the program's dump"));
            continue;
        };
        let ours = goroutine.stacked().shortened(told.elided);
        if goid == MAIN {
            let thread = goroutine.thread.context("it runs on no thread")?;
            let is_its = Path::new(&format!("/proc/{pid}/task/{thread}")).exists();
            ensure!(ours.state == "running" && is_its, "{goroutine:?}");
        } else {
            differ(goid, told, &ours, version, &mut differences);
        }
    }
    let found = |goid: &u64| dump.goroutines.iter().any(|g| g.goid == *goid && !g.system);
    for goid in own.keys().filter(|_| own.len() < 1000).filter(|goid| !found(goid)) {
        differences.push(format!("goroutine {goid} is missing: {:#?}", own.get(goid)));
    }
    let found = dump.goroutines.iter().filter(|goroutine| !goroutine.system).count();
    if found != own.len() {
        differences.push(format!("{found} goroutines, the program has {}", own.len()));
    }
    // The text says the same.
    let text = String::from_utf8(stacked::take(pid, &["--format", "text"])?)?;
    let text = stacked::parse(&text).context("the text is not Go's")?;
    if !own.keys().eq(text.keys()) {
        differences.push(format!("{} goroutines in the text, {} in Go's", text.len(), own.len()));
    }
    for (goid, told) in own.iter().filter(|(goid, _)| **goid != MAIN) {
        match text.get(goid) {
            Some(ours) => {
                let ours = ours.clone().shortened(told.elided);
                differ(*goid, told, &ours, version, &mut differences);
            }
            None => differences.push(format!("goroutine {goid} is not in the text")),
        }
    }
    differences.truncate(10);
    ensure!(differences.is_empty(), "not equal:\n{}", differences.join("\n"));
    Ok(())
}

fn differ(goid: u64, told: &Stacked, ours: &Stacked, version: &str, all: &mut Vec<String>) {
    let mut ours = ours.clone();
    if version == DEBIAN {
        if told.calls.len() == SHOWN_BY_119 {
            ours.calls.truncate(SHOWN_BY_119);
        }
        // Of a function that was preempted by a signal, Go 1.19 shows the line of the instruction
        // before the next one, which it may have jumped over. Later releases do as we do.
        let file = |place: &str| place.rsplit_once(':').map(|(file, _)| file.to_owned());
        if ours.state == "runnable"
            && let (Some((_, told)), Some((_, ours))) = (told.calls.first(), ours.calls.first_mut())
            && file(told) == file(ours)
        {
            ours.clone_from(told);
        }
    }
    if *told != ours {
        all.push(format!("goroutine {goid}\n  the program: {told:#?}\n  ours: {ours:#?}"));
    }
}
