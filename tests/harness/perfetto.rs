//! A trace in the trace event format, read as Perfetto reads it.
//!
//! <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

/// A slice; times in nanoseconds since the begin of the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Its name.
    pub name: String,
    /// Its begin.
    pub start: u64,
    /// Its end.
    pub end: u64,
}

/// A track with its slices, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// Its name.
    pub name: String,
    /// Name of the group that it is in.
    pub group: String,
    /// Its slices.
    pub slices: Vec<Slice>,
}

impl Track {
    /// How long the slices of this name last.
    #[must_use]
    pub fn lasted(&self, name: &str) -> u64 {
        let named = self.slices.iter().filter(|slice| slice.name == name);
        named.map(|slice| slice.end - slice.start).sum()
    }
}

/// What kept all goroutines waiting, in nanoseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the document")]
pub struct Totals {
    pub go_queue: u64,
    pub thread_in_queue: u64,
    pub thread_while_running: u64,
    pub threads_waited: u64,
}

impl Totals {
    /// Their threads waited for a CPU.
    #[must_use]
    pub fn thread(&self) -> u64 {
        self.thread_in_queue + self.thread_while_running
    }
}

/// What became of one goroutine's time, in nanoseconds.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the document")]
pub struct Split {
    pub goid: u64,
    pub function: String,
    pub delay: u64,
    pub go_queue: u64,
    pub thread_in_queue: u64,
    pub thread_while_running: u64,
}

impl Split {
    /// Its thread waited for a CPU.
    #[must_use]
    pub fn thread(&self) -> u64 {
        self.thread_in_queue + self.thread_while_running
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    trace_events: Vec<Value>,
    display_time_unit: String,
    other_data: Other,
}

#[derive(Deserialize)]
struct Other {
    ended: String,
    duration: u64,
    lost: BTreeMap<String, u64>,
    gomaxprocs: u64,
    cpus: u64,
    advice: String,
    totals: Totals,
    goroutines: Vec<Split>,
}

/// A whole trace.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names are those of the document")]
pub struct Document {
    pub tracks: Vec<Track>,
    pub ended: String,
    pub duration: u64,
    pub gomaxprocs: u64,
    pub cpus: u64,
    pub advice: String,
    pub totals: Totals,
    lost: BTreeMap<String, u64>,
    splits: Vec<Split>,
}

impl Document {
    /// Reads one; every event must have what its kind has to have.
    ///
    /// # Errors
    /// Where it breaks the format.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let raw: Raw = serde_json::from_slice(&text).context("the trace is no such JSON")?;
        ensure!(raw.display_time_unit == "ns", "unit {}", raw.display_time_unit);
        let mut groups: BTreeMap<u64, String> = BTreeMap::new();
        let mut tracks: BTreeMap<(u64, u64), Track> = BTreeMap::new();
        for event in &raw.trace_events {
            read_event(event, &mut groups, &mut tracks).with_context(|| event.to_string())?;
        }
        let named = |((pid, _), track): ((u64, u64), Track)| {
            let group = groups.get(&pid).cloned().context("a group without a name")?;
            Ok(Track { group, ..track })
        };
        let tracks = tracks.into_iter().map(named).collect::<Result<_>>()?;
        let Other { ended, duration, lost, gomaxprocs, cpus, advice, totals, goroutines } =
            raw.other_data;
        let splits = goroutines;
        Ok(Self { tracks, ended, duration, gomaxprocs, cpus, advice, totals, lost, splits })
    }

    /// Events that were lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.values().sum()
    }

    /// Slices of a track follow one another, and a part lies within the slice before it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn is_valid(&self) -> Result<()> {
        let groups: HashSet<&str> =
            self.tracks.iter().map(|track| track.group.split(' ').next().unwrap_or("")).collect();
        for group in ["goroutines", "processors", "threads"] {
            ensure!(groups.contains(group), "no {group} in {groups:?}");
        }
        for track in &self.tracks {
            ensure!(!track.name.is_empty(), "a track without a name");
            ensure!(!track.slices.is_empty() || track.group == "threads", "{}: empty", track.name);
            let mut open: Vec<&Slice> = Vec::new();
            let mut last = 0;
            for slice in &track.slices {
                ensure!(last <= slice.start, "{}: {slice:?} begins before the last", track.name);
                last = slice.start;
                open.retain(|outer| outer.end > slice.start);
                ensure!(open.len() < 2, "{}: {slice:?} within {open:?}", track.name);
                if let Some(outer) = open.last() {
                    ensure!(slice.end <= outer.end, "{}: {slice:?} and {outer:?}", track.name);
                }
                ensure!(slice.end <= self.duration, "{}: {slice:?} ends too late", track.name);
                open.push(slice);
            }
        }
        Ok(())
    }

    /// The track of a goroutine.
    ///
    /// # Errors
    /// Where there is none, or more than one.
    pub fn goroutine(&self, goid: u64) -> Result<&Track> {
        let start = format!("goroutine {goid} ");
        let mut found = self.tracks.iter().filter(|track| {
            track.group.starts_with("goroutines") && track.name.starts_with(&start)
        });
        match (found.next(), found.next()) {
            (Some(track), None) => Ok(track),
            (found, _) => bail!("goroutine {goid}: {:?}", found.map(|track| &track.name)),
        }
    }

    /// How many goroutines were started with this function.
    #[must_use]
    pub fn goroutines_named(&self, function: &str) -> usize {
        let end = format!(" {function}");
        let of =
            |track: &&Track| track.group.starts_with("goroutines") && track.name.ends_with(&end);
        self.tracks.iter().filter(of).count()
    }

    /// What became of a goroutine's time.
    ///
    /// # Errors
    /// Where it was never kept waiting.
    pub fn split(&self, goid: u64) -> Result<&Split> {
        let split = self.splits.iter().find(|split| split.goid == goid);
        split.with_context(|| format!("no split of goroutine {goid}"))
    }
}

fn read_event(
    event: &Value,
    groups: &mut BTreeMap<u64, String>,
    tracks: &mut BTreeMap<(u64, u64), Track>,
) -> Result<()> {
    let argument = |key: &str| event.get("args").and_then(|args| args.get(key));
    let number = |key: &str| event[key].as_u64().with_context(|| format!("no number {key}"));
    let text =
        |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned).context("no name");
    let pid = number("pid")?;
    let name = text(event.get("name"))?;
    match (event["ph"].as_str(), name.as_str()) {
        (Some("M"), "process_name") => {
            let before = groups.insert(pid, text(argument("name"))?);
            ensure!(before.is_none(), "a group has two names");
        }
        (Some("M"), "thread_name") => {
            let name = text(argument("name"))?;
            let track = Track { name, ..Track::default() };
            let before = tracks.insert((pid, number("tid")?), track);
            ensure!(before.is_none(), "a track has two names");
        }
        (Some("M"), "process_sort_index" | "thread_sort_index") => {
            argument("sort_index").and_then(Value::as_u64).context("no index")?;
        }
        (Some("X"), _) => {
            let track = tracks.get_mut(&(pid, number("tid")?)).context("a track without a name")?;
            let (start, lasts) = (nanoseconds(&event["ts"])?, nanoseconds(&event["dur"])?);
            track.slices.push(Slice { name, start, end: start + lasts });
        }
        (phase, _) => bail!("phase {phase:?}"),
    }
    Ok(())
}

/// Microseconds with a fraction, in nanoseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
fn nanoseconds(value: &Value) -> Result<u64> {
    let micros = value.as_f64().filter(|micros| (0.0..1e12).contains(micros)).context("no time")?;
    Ok((micros * 1000.0).round() as u64)
}
