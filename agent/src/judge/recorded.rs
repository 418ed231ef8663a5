//! What real programs looked like, look by look, judged again: look-alikes for ten minutes, leaks of
//! five goroutines a second, and of one a minute. `cargo xtask record` has recorded them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    io::Read as _,
    path::Path,
    time::Duration,
};

use flate2::read::GzDecoder;
use serde::Deserialize;

use super::process::ProcessJudge;
use crate::{
    inspect::address::ProcessAddress,
    model::leak::Verdict,
    read::{Goroutine, Groups, State},
};

/// What the program does.
#[derive(Debug, Deserialize)]
struct Head {
    leak: Option<Place>,
    #[serde(default)]
    also: Vec<Place>,
}

#[derive(Debug, Deserialize)]
struct Place {
    created_by: String,
    file: String,
    line: u32,
    start: String,
}

/// A look; numbers of goroutines are differences to the one before.
#[derive(Debug, Deserialize)]
struct Line {
    at: f64,
    /// Function with the `go` statement, place, function started, state, wait reason.
    groups: Vec<[String; 5]>,
    born: BTreeMap<usize, Vec<u64>>,
    moved: BTreeMap<usize, Vec<u64>>,
    ran: Vec<u64>,
    gone: Vec<u64>,
}

/// A site by its names.
type Site = [String; 3];

/// What became of a recording.
struct Replayed {
    /// The sites that leak.
    places: BTreeSet<Site>,
    /// When the first goroutine was born there that never ended.
    began: Option<f64>,
    /// When it ended.
    end: f64,
    /// The most goroutines there were.
    most: usize,
    /// When each site was confirmed first.
    confirmed: Vec<(f64, Site)>,
}

/// Plays recordings.
#[derive(Default)]
struct Player {
    judge: ProcessJudge,
    groups: Groups,
    /// All groups ever: number of the site, state, number of the wait reason.
    kinds: Vec<(u64, State, u8)>,
    sites: Vec<Site>,
    words: Vec<String>,
    /// The group of each goroutine, how often it has run, and when it was seen first.
    alive: BTreeMap<u64, (usize, u8, f64)>,
    confirmed: Vec<(f64, Site)>,
}

fn goids(deltas: &[u64]) -> impl Iterator<Item = u64> {
    deltas.iter().scan(0, |last, delta| {
        *last += delta;
        Some(*last)
    })
}

fn number<T: PartialEq>(all: &mut Vec<T>, one: T) -> usize {
    all.iter().position(|known| *known == one).unwrap_or_else(|| {
        all.push(one);
        all.len() - 1
    })
}

impl Player {
    fn look(&mut self, line: Line) {
        for [created_by, location, start, state, word] in line.groups {
            let site = number(&mut self.sites, [created_by, location, start]);
            let word = number(&mut self.words, word);
            let state = State::ALL.into_iter().find(|known| known.as_str() == state).unwrap();
            self.kinds.push((u64::try_from(site).unwrap(), state, u8::try_from(word).unwrap()));
        }
        for goid in goids(&line.gone) {
            self.alive.remove(&goid).unwrap();
        }
        for (group, deltas) in &line.born {
            self.alive.extend(goids(deltas).map(|goid| (goid, (*group, 0, line.at))));
        }
        for (group, deltas) in &line.moved {
            for goid in goids(deltas) {
                self.alive.get_mut(&goid).unwrap().0 = *group;
            }
        }
        for goid in goids(&line.ran) {
            let (_, runs, _) = self.alive.get_mut(&goid).unwrap();
            *runs = runs.wrapping_add(1);
        }
        self.judge_now(line.at);
    }

    fn judge_now(&mut self, at: f64) {
        let Some(mut look) = self.judge.look(Duration::from_secs_f64(at)) else { return };
        self.groups.clear();
        for (goid, (group, runs, _)) in &self.alive {
            let (site, state, wait_reason) = self.kinds[*group];
            let goroutine = Goroutine {
                record: ProcessAddress(0),
                goid: *goid,
                parent_goid: None,
                state,
                wait_reason,
                wait_since: 0,
                created_at: ProcessAddress(site),
                start: ProcessAddress(site),
                stack_bytes: 2048,
                tracking_seq: *runs,
                pc: ProcessAddress(1),
                sp: ProcessAddress(1),
                system: false,
            };
            look.add(self.groups.place(&goroutine).unwrap(), &goroutine);
        }
        let word = |reason| self.words.get(usize::from(reason)).map(String::as_str);
        self.judge.take(look, self.groups.groups(), word);
        for leak in self.judge.leaks() {
            let site = &self.sites[usize::try_from(leak.site.0.0).unwrap()];
            let known = self.confirmed.iter().any(|(_, known)| known == site);
            if leak.verdict == Verdict::Confirmed && !known {
                self.confirmed.push((at, site.clone()));
            }
        }
    }
}

fn replay(path: &Path) -> Replayed {
    let mut text = String::new();
    GzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let mut lines = text.lines();
    let head: Head = serde_json::from_str(lines.next().unwrap()).unwrap();
    let (mut player, mut end, mut most) = (Player::default(), 0.0, 0);
    for line in lines {
        let line: Line = serde_json::from_str(line).unwrap();
        end = line.at;
        player.look(line);
        most = most.max(player.alive.len());
    }
    let site = |place: &Place| {
        let Place { created_by, file, line, start } = place;
        [created_by.clone(), format!("{file}:{line}"), start.clone()]
    };
    let places: BTreeSet<Site> = head.leak.iter().chain(&head.also).map(site).collect();
    let of_leak = |group: usize| {
        let (site, ..) = player.kinds[group];
        places.contains(&player.sites[usize::try_from(site).unwrap()])
    };
    let stayed = player.alive.values().filter(|(group, ..)| of_leak(*group));
    let began = stayed.map(|(.., born)| *born).min_by(f64::total_cmp);
    Replayed { places, began, end, most, confirmed: player.confirmed }
}

/// All recordings of a kind, by name.
fn recordings(kind: &str) -> HashMap<String, Replayed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/recordings");
    let mut all = HashMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Some(name) = name.strip_prefix(kind) {
            all.insert(name.to_owned(), replay(&path));
        }
    }
    all
}

/// Each was confirmed so many seconds after it began, and nothing else was.
fn are_confirmed_within(seconds: f64, kind: &str) {
    for (name, Replayed { places, began, confirmed, end, .. }) in recordings(kind) {
        let began = began.unwrap();
        let first = confirmed.iter().find(|(_, site)| places.contains(site)).map(|(at, _)| *at);
        let in_time = first.is_some_and(|at| at > began && at <= began + seconds);
        assert!(in_time, "{kind}{name}: from {began} s on, until {end} s: {confirmed:?}");
        assert!(confirmed.iter().all(|(_, site)| places.contains(site)), "{name}: {confirmed:?}");
    }
}

#[test]
fn look_alikes_are_never_confirmed_in_ten_minutes() {
    let all = recordings("innocent-");
    assert!(all.len() >= 6, "{} recordings", all.len());
    for (name, Replayed { end, most, confirmed, .. }) in all {
        assert_eq!(confirmed, [], "{name}");
        assert!(end >= 600.0 && most > 10, "{name}: {end} s, {most} goroutines");
    }
}

#[test]
fn leaks_are_confirmed_within_a_minute() {
    assert!(recordings("leak-").len() >= 3);
    are_confirmed_within(60.0, "leak-");
}

#[test]
fn one_a_minute_is_confirmed_within_ten() {
    assert!(recordings("slow-").len() >= 2);
    are_confirmed_within(600.0, "slow-");
}
