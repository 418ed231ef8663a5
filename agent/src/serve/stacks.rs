//! A dump as the page wants it: goroutines with the same stack are one entry, names are told once.
//!
//! Bounded whatever the dump holds: stacks, frames, and the length of names.

use std::{cmp::Reverse, collections::HashMap};

use serde::Serialize;

use crate::model::{
    dump::{Dump, Frame, Goroutine, Place},
    json::rfc3339,
};

/// Stacks that are told apart; the others are counted.
const MAX_STACKS: usize = 2000;
/// Frames of a stack, from its root.
const MAX_DEPTH: usize = 256;
/// Characters of a name.
const MAX_NAME: usize = 4096;

/// A dump, by stack.
#[derive(Debug, Serialize)]
pub(super) struct StacksJson {
    pid: u32,
    go_version: String,
    taken_at: Option<String>,
    /// All goroutines of the dump.
    goroutines: u64,
    /// Those that ran while they were looked at: their stacks are left out.
    torn: u64,
    /// Those whose stacks are beyond what is told.
    beyond: u64,
    places: Vec<PlaceJson>,
    /// Most goroutines first.
    stacks: Vec<StackJson>,
}

#[derive(Debug, Serialize)]
struct PlaceJson {
    function: String,
    file: String,
    line: u32,
}

#[derive(Debug, Serialize)]
struct StackJson {
    goroutines: u64,
    state: String,
    wait_reason: Option<String>,
    longest_wait_seconds: Option<f64>,
    system: bool,
    torn: bool,
    /// Frames are missing at its root.
    truncated: bool,
    /// The following are places, by number.
    created_by: Option<usize>,
    start: Option<usize>,
    /// The innermost call first.
    frames: Vec<usize>,
}

/// What goroutines of one entry have in common.
#[derive(PartialEq, Eq, Hash)]
struct Key<'a> {
    state: &'a str,
    wait_reason: Option<&'a str>,
    system: bool,
    torn: bool,
    truncated: bool,
    created_by: Option<&'a Place>,
    start: Option<&'a Place>,
    frames: Vec<&'a Place>,
}

impl<'a> From<&'a Goroutine> for Key<'a> {
    fn from(goroutine: &'a Goroutine) -> Self {
        let frames = &goroutine.stack;
        Self {
            state: &goroutine.state,
            wait_reason: goroutine.wait_reason.as_deref(),
            system: goroutine.system,
            torn: goroutine.torn,
            truncated: goroutine.truncated || frames.len() > MAX_DEPTH,
            created_by: goroutine.created_by.as_ref(),
            start: goroutine.start.as_ref(),
            frames: frames.iter().take(MAX_DEPTH).map(|Frame { place, .. }| place).collect(),
        }
    }
}

impl From<&Dump> for StacksJson {
    fn from(dump: &Dump) -> Self {
        let mut groups: HashMap<Key<'_>, (u64, Option<f64>)> = HashMap::new();
        let (mut goroutines, mut torn) = (0_u64, 0_u64);
        for goroutine in &dump.goroutines {
            goroutines = goroutines.saturating_add(goroutine.count);
            torn = torn.saturating_add(if goroutine.torn { goroutine.count } else { 0 });
            let (count, wait) = groups.entry(Key::from(goroutine)).or_default();
            *count = count.saturating_add(goroutine.count);
            let waited = goroutine.wait_seconds;
            *wait = wait.zip(waited).map(|(a, b)| a.max(b)).or(*wait).or(waited);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by(|(a, (more, _)), (b, (less, _))| {
            (Reverse(more), &a.frames, a.state).cmp(&(Reverse(less), &b.frames, b.state))
        });
        let beyond = groups.iter().skip(MAX_STACKS).map(|(_, (count, _))| count).sum();
        groups.truncate(MAX_STACKS);
        let mut places = Places::default();
        let stacks = groups.into_iter().map(|(key, (goroutines, wait))| StackJson {
            goroutines,
            state: cut(key.state),
            wait_reason: key.wait_reason.map(cut),
            longest_wait_seconds: wait,
            system: key.system,
            torn: key.torn,
            truncated: key.truncated,
            created_by: key.created_by.map(|place| places.number(place)),
            start: key.start.map(|place| places.number(place)),
            frames: key.frames.into_iter().map(|place| places.number(place)).collect(),
        });
        let stacks = stacks.collect();
        Self {
            pid: dump.pid,
            go_version: cut(&dump.go_version),
            taken_at: dump.taken_at.and_then(rfc3339),
            goroutines,
            torn,
            beyond,
            places: places.all.into_iter().map(PlaceJson::from).collect(),
            stacks,
        }
    }
}

/// Places with numbers, in the order in which they were seen first.
#[derive(Default)]
struct Places<'a> {
    all: Vec<&'a Place>,
    numbers: HashMap<&'a Place, usize>,
}

impl<'a> Places<'a> {
    fn number(&mut self, place: &'a Place) -> usize {
        *self.numbers.entry(place).or_insert_with(|| {
            self.all.push(place);
            self.all.len() - 1
        })
    }
}

impl From<&Place> for PlaceJson {
    fn from(place: &Place) -> Self {
        Self { function: cut(&place.function), file: cut(&place.file), line: place.line }
    }
}

fn cut(name: &str) -> String {
    name.chars().take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;
    use crate::model::sample;

    #[test]
    fn equal_stacks_are_one_entry() {
        let json = to_value(StacksJson::from(&sample::dump(7))).unwrap();
        assert_eq!(json["goroutines"], 4);
        assert_eq!(json["torn"], 1);
        assert_eq!(
            json["stacks"][0],
            json!({
                "goroutines": 3, "state": "waiting", "wait_reason": "chan receive",
                "longest_wait_seconds": 90.0, "system": false, "torn": false, "truncated": false,
                "created_by": 0, "start": 1, "frames": [2, 1],
            })
        );
        assert_eq!(
            json["places"][2],
            json!({"function": "runtime.gopark", "file": "/go/proc.go", "line": 9})
        );
        assert_eq!(json["stacks"][1]["frames"], json!([]));
    }

    #[test]
    fn it_is_bounded() {
        let mut dump = sample::dump(7);
        let like = dump.goroutines[0].clone();
        let place = |line| Place { function: "f".repeat(9000).into(), line, ..Place::default() };
        let frame = |line| Frame { place: place(line), ..Frame::default() };
        let deep = Goroutine { stack: (0..300).map(frame).collect(), ..like.clone() };
        dump.goroutines = (0..3000)
            .map(|line| Goroutine { created_by: Some(place(line)), ..like.clone() })
            .chain([Goroutine { count: 5, ..deep }])
            .collect();
        let json = StacksJson::from(&dump);
        assert_eq!((json.goroutines, json.beyond, json.stacks.len()), (3005, 1001, MAX_STACKS));
        assert_eq!((json.stacks[0].frames.len(), json.stacks[0].truncated), (MAX_DEPTH, true));
        assert!(json.places.iter().all(|place| place.function.len() <= MAX_NAME));
    }
}
