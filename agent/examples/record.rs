//! Records what looks at all goroutines of real programs see, for the judge's tests: `cargo xtask
//! record` runs it.
//!
//! ```text
//! cargo run --release --example record -- FOLDER [KIND]
//! ```
//!
//! `KIND` is `innocent`, `leak` or `slow`; by default all are recorded, at once.
//!
//! Each program has a file, lines of JSON that are compressed. The first says what the program does;
//! each further one is a look: what groups there are that were not there before, and by goroutine
//! number who was born into which group, moved to another one, has run since the last look, or is
//! gone. Numbers are differences to the one before.

use std::{
    collections::{BTreeMap, HashMap},
    env,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use flate2::{Compression, write::GzEncoder};
use goroscope::{
    discover::identity::Pid,
    inspect::{
        Binary, Mapping,
        address::{FileOffset, LoadBias, ProcessAddress},
        inspect,
    },
    read::{
        Goroutine, RuntimeFacts, RuntimeReader, ScanBuffer, State, process_memory::ProcessMemory,
    },
};
use goroscope_tests::{
    fixture::{self, Mode},
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};
use serde_json::{Value, json};

/// Looks are so far apart.
const LOOK: Duration = Duration::from_secs(5);
/// Programs that look as if they leaked, and how long they are looked at.
const INNOCENT: [&str; 12] = [
    "batch",
    "burst",
    "cache",
    "connections",
    "coroutines",
    "gcchurn",
    "pipeline",
    "pool",
    "retry",
    "sleepers",
    "startup",
    "websocket",
];
const LOOK_ALIKE: Duration = Duration::from_secs(605);
/// Programs that leak five goroutines a second, and one a minute; how long they do honest work
/// only, and how long they leak.
const LEAKS: [&str; 4] = ["range", "producer", "select", "ticker"];
const SLOW: [&str; 3] = ["range", "mutex", "producer"];
const HONEST: Duration = Duration::from_secs(30);
const FAST_LEAK: Duration = Duration::from_secs(90);
const SLOW_LEAK: Duration = Duration::from_secs(750);
const ONE_A_MINUTE: &str = "0.0166667";

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let folder = PathBuf::from(arguments.next().context("usage: record FOLDER [KIND]")?);
    let wanted = arguments.next();
    let wanted = |kind: &str| wanted.as_deref().is_none_or(|wanted| wanted == kind);
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let (innocent, leaks) = (built("innocent")?, built("leaks")?);
    let results = thread::scope(|scope| {
        let mut all = Vec::new();
        for name in INNOCENT.into_iter().filter(|_| wanted("innocent")) {
            let (path, file) = (&innocent, folder.join(format!("innocent-{name}.jsonl.gz")));
            all.push(scope.spawn(move || record_innocent(path, name, &file)));
        }
        let fast = LEAKS.map(|name| (name, "5", FAST_LEAK, "leak"));
        let slow = SLOW.map(|name| (name, ONE_A_MINUTE, SLOW_LEAK, "slow"));
        let leaking = fast.into_iter().chain(slow).filter(|(.., kind)| wanted(kind));
        for (name, rate, lasting, kind) in leaking {
            let (path, file) = (&leaks, folder.join(format!("{kind}-{name}.jsonl.gz")));
            all.push(scope.spawn(move || record_leak(path, name, rate, lasting, &file)));
        }
        let joined = all
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("a thread has panicked"))));
        joined.collect::<Vec<_>>()
    });
    results.into_iter().collect()
}

fn built(name: &str) -> Result<PathBuf> {
    fixture::build(name, &Go::find(NEWEST)?, Mode::Normal)
}

fn record_innocent(program: &Path, name: &str, file: &Path) -> Result<()> {
    let target = Speaker::spawn(Command::new(program).arg(name))?;
    let _ready: Value = target.hear().with_context(|| name.to_owned())?;
    let mut recorder = Recorder::open(target.pid(), file, &json!({ "program": name }))?;
    recorder.run(LOOK_ALIKE).with_context(|| name.to_owned())?;
    recorder.end()
}

fn record_leak(
    program: &Path,
    name: &str,
    rate: &str,
    lasting: Duration,
    file: &Path,
) -> Result<()> {
    let mut target = Speaker::spawn(Command::new(program).args([name, rate]))?;
    let ready: Value = target.hear().with_context(|| name.to_owned())?;
    let head = json!({
        "program": name, "leak": ready.get("leak"), "also": ready.get("also"),
    });
    let mut recorder = Recorder::open(target.pid(), file, &head)?;
    recorder.run(HONEST).with_context(|| name.to_owned())?;
    target.say("leak")?;
    recorder.run(HONEST + lasting).with_context(|| name.to_owned())?;
    recorder.end()
}

/// What goroutines of a group have in common: site, and what they do.
type GroupKey = (ProcessAddress, ProcessAddress, State, u8);

/// A goroutine at the last look.
#[derive(Clone, Copy)]
struct Stands {
    group: usize,
    stand: (u8, u64, u64),
}

struct Recorder {
    binary: Arc<Binary>,
    bias: LoadBias,
    reader: RuntimeReader<ProcessMemory>,
    buffer: ScanBuffer,
    began: Instant,
    next: Duration,
    groups: HashMap<GroupKey, usize>,
    known: BTreeMap<u64, Stands>,
    out: GzEncoder<File>,
}

impl Recorder {
    fn open(pid: u32, file: &Path, head: &Value) -> Result<Self> {
        let exe = File::open(format!("/proc/{pid}/exe"))?;
        let binary = Arc::new(inspect(exe)?);
        let facts = Arc::new(RuntimeFacts::of(&binary)?);
        let bias = binary.load_bias(mappings(pid)?).context("no load bias")?;
        let memory = ProcessMemory::new(Pid(pid), "/proc")?;
        let names = Arc::clone(&binary);
        let names = Arc::new(move |at| names.function_at(at));
        let reader = RuntimeReader::open(facts, memory, bias, names)?;
        let out = File::create(file).with_context(|| format!("creating {}", file.display()))?;
        let mut out = GzEncoder::new(out, Compression::best());
        writeln!(out, "{head}")?;
        Ok(Self {
            binary,
            bias,
            reader,
            buffer: ScanBuffer::default(),
            began: Instant::now(),
            next: Duration::ZERO,
            groups: HashMap::new(),
            known: BTreeMap::new(),
            out,
        })
    }

    /// Looks until then.
    fn run(&mut self, until: Duration) -> Result<()> {
        while self.next < until {
            thread::sleep(self.next.saturating_sub(self.began.elapsed()));
            let line = self.look()?;
            writeln!(self.out, "{line}")?;
            self.next += LOOK;
        }
        thread::sleep(until.saturating_sub(self.began.elapsed()));
        Ok(())
    }

    fn end(self) -> Result<()> {
        self.out.finish()?.sync_all()?;
        Ok(())
    }

    fn look(&mut self) -> Result<Value> {
        let at = self.began.elapsed().as_secs_f64();
        let mut seen: BTreeMap<u64, Goroutine> = BTreeMap::new();
        self.reader.scan(&mut self.buffer, &mut |goroutine| {
            if !goroutine.system {
                seen.insert(goroutine.goid, *goroutine);
            }
        })?;
        let (mut new, mut gone, mut ran) = (Vec::new(), Vec::new(), Vec::new());
        let mut born: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        let mut moved = born.clone();
        gone.extend(self.known.keys().filter(|goid| !seen.contains_key(goid)).copied());
        for goid in &gone {
            self.known.remove(goid);
        }
        for (goid, goroutine) in &seen {
            let waits = if goroutine.state == State::Waiting { goroutine.wait_reason } else { 0 };
            let key = (goroutine.created_at, goroutine.start, goroutine.state, waits);
            let group = match self.groups.get(&key) {
                Some(group) => *group,
                None => {
                    let group = self.groups.len();
                    self.groups.insert(key, group);
                    new.push(self.named(key));
                    group
                }
            };
            let stand = (goroutine.tracking_seq, goroutine.pc.0, goroutine.sp.0);
            match self.known.insert(*goid, Stands { group, stand }) {
                None => born.entry(group).or_default().push(*goid),
                Some(before) => {
                    if before.group != group {
                        moved.entry(group).or_default().push(*goid);
                    }
                    if before.stand != stand {
                        ran.push(*goid);
                    }
                }
            }
        }
        let by_group = |all: BTreeMap<usize, Vec<u64>>| -> BTreeMap<String, Vec<u64>> {
            all.into_iter().map(|(group, goids)| (group.to_string(), deltas(&goids))).collect()
        };
        Ok(json!({
            "at": (at * 1000.0).round() / 1000.0, "groups": new, "born": by_group(born),
            "moved": by_group(moved), "ran": deltas(&ran), "gone": deltas(&gone),
        }))
    }

    /// Function with the `go` statement, place, function started, what they do.
    fn named(&self, (created_at, start, state, waits): GroupKey) -> Value {
        let symbols = &self.binary.symbols;
        let place = created_at.in_file(self.bias).and_then(|at| symbols.created_by(at));
        let (created_by, location) = place.map_or_else(Default::default, |place| {
            let file = place.file.rsplit('/').next().unwrap_or_default();
            (place.function, format!("{file}:{}", place.line))
        });
        let start = start.in_file(self.bias).and_then(|at| symbols.function(at));
        let word = self.reader.wait_reasons().ok().and_then(|words| words.name(waits));
        let word = word.filter(|_| state == State::Waiting).unwrap_or_default();
        json!([created_by, location, start.unwrap_or_default(), state.as_str(), word])
    }
}

fn deltas(goids: &[u64]) -> Vec<u64> {
    let mut last = 0;
    let delta = |goid: &u64| {
        let delta = goid - last;
        last = *goid;
        delta
    };
    goids.iter().map(delta).collect()
}

/// The mappings of the program's own file.
fn mappings(pid: u32) -> Result<Vec<Mapping>> {
    let exe = fs::read_link(format!("/proc/{pid}/exe"))?.display().to_string();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let parse = |line: &str| -> Option<Mapping> {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let executable = fields.next()?.contains('x');
        let number = |text| u64::from_str_radix(text, 16).ok();
        let offset = FileOffset(number(fields.next()?)?);
        let (start, end) = (ProcessAddress(number(start)?), ProcessAddress(number(end)?));
        line.ends_with(&exe).then_some(Mapping { start, end, offset, executable })
    };
    Ok(maps.lines().filter_map(parse).collect())
}
