//! One Go process under watch: opened when it can be, looked at, judged when it has ended.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    kind::{Allowed, Kind},
    report::{Blocked, Outcome, ProcessReport},
    rules::{self, Asked, Still},
    standing::{Seen, Standing, Wait},
    tree::Member,
};
use crate::{
    discover::proc_fs::ProcFs,
    inspect::{
        Binary,
        address::{FileAddress, LoadBias, ProcessAddress},
    },
    judge::{process::SiteAddress, waiting},
    model::{leak::Verdict, site::SiteName},
    read::{Goroutine, Groups, ReadError, ScanBuffer, State},
    run::{
        opening::load_bias,
        reading::{Facts, Reading},
    },
};

/// Looks are at least so far apart.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// And so many times as far as the last one took.
const PAUSE_PER_LOOK: u32 = 20;
/// Waits for it have no end either, but some programs want that.
const FOR_EVER: &str = "select (no cases)";
/// How workers wait for more to do.
const TAKES_WORK: [&str; 3] = ["chan ", "select", "sync.Cond"];

/// A Go process under watch.
pub(super) struct Watched {
    pub(super) member: Member,
    exe: PathBuf,
    binary: Arc<Binary>,
    facts: Facts,
    bias: Option<LoadBias>,
    reading: Reading,
    standing: Standing,
    kinds: HashMap<SiteAddress, Kind>,
    /// The runtime's words for what goroutines wait for, by its numbers.
    words: HashMap<u8, String>,
    groups: Groups,
    buffer: ScanBuffer,
    began: Instant,
    last: Instant,
    again: Instant,
    goroutines: u64,
}

/// What is asked of all processes.
pub(super) struct Wanted<'a> {
    pub(super) settle: Duration,
    pub(super) strict: bool,
    pub(super) allowed: &'a Allowed,
}

impl Watched {
    /// A process that was `seen` first at that moment.
    pub(super) fn new(
        member: Member,
        exe: PathBuf,
        binary: Arc<Binary>,
        facts: Facts,
        seen: Instant,
    ) -> Self {
        let now = Instant::now();
        Self {
            member,
            exe,
            binary,
            facts,
            bias: None,
            reading: Reading::new(),
            standing: Standing::default(),
            kinds: HashMap::new(),
            words: HashMap::new(),
            groups: Groups::default(),
            buffer: ScanBuffer::default(),
            began: seen,
            last: now,
            again: now,
            goroutines: 0,
        }
    }

    /// How many goroutines of its own it had at the last look.
    pub(super) fn goroutines(&self) -> u64 {
        self.goroutines
    }

    /// Has it not been looked at yet?
    pub(super) fn is_unseen(&self) -> bool {
        self.standing.looks == 0
    }

    /// When something is to be done for it.
    pub(super) fn due(&self) -> Instant {
        if self.reading.is_open() { self.again } else { self.reading.due().unwrap_or(self.again) }
    }

    /// Does what is due: opens the runtime, or looks at all goroutines.
    pub(super) fn go_on(&mut self, procfs: &ProcFs, wanted: &Wanted<'_>) {
        let pid = self.member.id.pid;
        let now = Instant::now();
        self.last = now;
        if self.reading.is_due(now) {
            let bias = load_bias(procfs, pid, &self.binary);
            // Of a process that has ended meanwhile the names are still wanted.
            self.bias = bias.or(self.bias);
            self.reading.open(procfs, pid, &self.binary, self.facts.clone(), bias);
        }
        if self.reading.is_open() && self.again <= now {
            let looked = self.look(wanted);
            if let Some(Err(error)) = looked {
                self.reading.close(pid, error);
            }
            self.again = now + SHORTEST_PAUSE.max(now.elapsed() * PAUSE_PER_LOOK);
        } else if !self.reading.is_open() {
            self.again = now + SHORTEST_PAUSE;
        }
    }

    fn look(&mut self, wanted: &Wanted<'_>) -> Option<Result<(), ReadError>> {
        let Self { reading, binary, bias, kinds, words, groups, .. } = self;
        let at = self.began.elapsed();
        let mut judge = reading.judge.look(at);
        let reader = reading.reader()?;
        groups.clear();
        let mut goroutines = Vec::new();
        let report = reader.scan(&mut self.buffer, &mut |goroutine: &Goroutine| {
            if let (Some(group), Some(look)) = (groups.place(goroutine), judge.as_mut()) {
                look.add(group, goroutine);
            }
            if !goroutine.system {
                goroutines.push(*goroutine);
            }
        });
        let report = match report {
            Ok(report) => report,
            Err(error) => return Some(Err(error)),
        };
        // A process that ends takes its memory with it: half a table is none.
        if report.unreadable > report.live / 2 {
            return Some(Err(ReadError::Torn("the table of goroutines")));
        }
        let reasons = reader.wait_reasons().ok().cloned();
        let seen: Vec<Seen> = goroutines
            .iter()
            .map(|goroutine| {
                let word = reasons.as_ref().and_then(|all| all.name(goroutine.wait_reason));
                let word = word.filter(|_| goroutine.state == State::Waiting);
                if let Some(word) = word
                    && !words.contains_key(&goroutine.wait_reason)
                {
                    words.insert(goroutine.wait_reason, word.to_owned());
                }
                let site = (goroutine.created_at, goroutine.start);
                let kind = *kinds
                    .entry(site)
                    .or_insert_with(|| Kind::of(&name(binary, *bias, site), wanted.allowed));
                seen(goroutine, kind, word)
            })
            .collect();
        self.goroutines = u64::try_from(seen.len()).unwrap_or(u64::MAX);
        self.standing.take(at, wanted.settle, &seen);
        if let Some(look) = judge {
            let word = |reason| reasons.as_ref()?.name(reason);
            self.reading.judge.take(look, self.groups.groups(), word);
        }
        Some(Ok(()))
    }

    /// Judges it by what was seen; did it end of itself?
    pub(super) fn judge(&self, wanted: &Wanted<'_>, is_over: bool) -> ProcessReport {
        let lived = self.last.saturating_duration_since(self.began);
        let exe = self.exe.to_string_lossy().into_owned();
        let is_test = self.standing.has_tests || exe.ends_with(".test");
        let confirmed = self.reading.judge.leaks().into_iter();
        let confirmed = confirmed.filter(|leak| leak.verdict == Verdict::Confirmed).map(|leak| {
            let words = leak.evidence.first().map(|evidence| evidence.words.clone());
            (leak.site, words.unwrap_or_default())
        });
        let Wanted { settle, strict, .. } = *wanted;
        let asked = Asked { settle, strict, confirmed: &confirmed.collect(), is_test, is_over };
        let (leaks, blocked): (Vec<Still>, Vec<Still>) =
            rules::judge(&self.standing, asked).into_iter().partition(|s| s.rule.is_some());
        let observed = self.standing.observed();
        let outcome = if !leaks.is_empty() {
            Outcome::Leak
        } else if self.standing.looks == 0 && lived >= settle {
            Outcome::Unreadable(self.reading.watch().as_str().to_owned())
        } else if observed < settle {
            Outcome::TooShort(observed.as_secs_f64())
        } else {
            Outcome::Fine
        };
        let named = |still: Vec<Still>| still.into_iter().map(|still| self.named(still)).collect();
        ProcessReport {
            pid: self.member.id.pid.0,
            exe,
            go_version: self.binary.facts.go_version.clone(),
            is_test,
            outcome,
            seconds: observed.as_secs_f64(),
            looks: self.standing.looks,
            goroutines: self.goroutines,
            leaks: named(leaks),
            blocked: named(blocked),
        }
    }

    fn named(&self, still: Still) -> Blocked {
        let reason = self.words.get(&still.wait_reason).map_or("waiting", String::as_str);
        Blocked {
            site: name(&self.binary, self.bias, still.site),
            rule: still.rule.map(rules::Rule::as_str),
            evidence: still.evidence,
            wait_reason: reason.to_owned(),
            goroutines: still.goroutines,
            stack_bytes: still.stack_bytes,
            still_seconds: still.still_for.as_secs_f64(),
        }
    }
}

fn seen(goroutine: &Goroutine, kind: Kind, word: Option<&str>) -> Seen {
    let wait = match (goroutine.state, word) {
        (State::Leaked, _) => Wait::Never,
        (State::Waiting, Some(word)) if waiting::is_for_good(word) && word != FOR_EVER => {
            Wait::Never
        }
        (State::Waiting, Some(word)) if waiting::is_for_others(word) => Wait::Others,
        (State::Waiting, Some("IO wait")) => Wait::Io,
        _ => Wait::No,
    };
    Seen {
        goid: goroutine.goid,
        parent: goroutine.parent_goid,
        site: (goroutine.created_at, goroutine.start),
        kind,
        wait,
        wait_reason: goroutine.wait_reason,
        takes_work: wait == Wait::Others
            && word.is_some_and(|word| TAKES_WORK.iter().any(|start| word.starts_with(start))),
        stack_bytes: goroutine.stack_bytes,
        stand: (goroutine.tracking_seq, goroutine.pc.0, goroutine.sp.0),
    }
}

/// The names of a creation site; addresses where there are none.
fn name(binary: &Binary, bias: Option<LoadBias>, site: SiteAddress) -> SiteName {
    let in_file = |at: ProcessAddress| at.in_file(bias?);
    let unknown = |at: Option<FileAddress>| at.map_or_else(|| "?".to_owned(), |at| at.to_string());
    let (created_at, start) = (in_file(site.0), in_file(site.1));
    let place = created_at.and_then(|at| binary.symbols.created_by(at));
    SiteName {
        created_by: place.as_ref().map_or_else(|| unknown(created_at), |p| p.function.clone()),
        line: place.as_ref().map_or(0, |place| place.line),
        file: place.map(|place| place.file).unwrap_or_default(),
        start: start.and_then(|at| binary.symbols.function(at)).unwrap_or_else(|| unknown(start)),
    }
}
