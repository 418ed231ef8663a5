//! Dumps as profiles, like Go's own goroutine profile: for `go tool pprof`.
//!
//! Goroutines alike are one sample. What Go's profile does not tell goes into labels: state, wait
//! reason, creation site.

use std::{
    collections::HashMap,
    io::{self, Write},
};

use flate2::{Compression, write::GzEncoder};
use prost::Message as _;

use crate::{
    dumps::{
        limits, name,
        proto::{Function, Label, Line, Location, Mapping, Profile, Sample, ValueType, label},
    },
    model::dump::{Dump, Frame, Goroutine, Place, Stack},
};

/// The one mapping: the program.
const PROGRAM: u64 = 1;
const PAGE: u64 = 4096;

/// Writes a dump.
pub(super) fn write(dump: &Dump, out: &mut impl Write) -> io::Result<()> {
    let profile = profile(dump).encode_to_vec();
    let mut packed = GzEncoder::new(out, Compression::fast());
    packed.write_all(&profile)?;
    packed.finish()?;
    Ok(())
}

fn profile(dump: &Dump) -> Profile {
    let mut made = Builder::default();
    made.text("");
    let goroutines = ValueType { kind: made.text("goroutine"), unit: made.text("count") };
    for (kind, count) in kinds(dump) {
        made.sample(&kind, count);
    }
    let version = Some(&dump.go_version).filter(|version| !version.is_empty());
    let pid = Some(dump.pid).filter(|pid| *pid != 0).map(|pid| format!("{}{pid}", label::PID));
    let comment = [version.cloned(), pid];
    let comment = comment.into_iter().flatten().map(|text| made.text(&text)).collect();
    let Builder { samples, locations, functions, texts, lowest, highest, .. } = made;
    // Without one, `go tool pprof` would look for the program to name the addresses by.
    let mapping = Mapping {
        id: PROGRAM,
        memory_start: lowest.unwrap_or_default() / PAGE * PAGE,
        memory_limit: (highest / PAGE).saturating_add(1).saturating_mul(PAGE),
        has_functions: true,
        has_filenames: true,
        has_line_numbers: true,
        has_inline_frames: true,
    };
    Profile {
        sample_type: vec![goroutines],
        sample: samples,
        mapping: vec![mapping],
        location: locations,
        function: functions,
        string_table: texts,
        time_nanos: dump.taken_at.map_or(0, nanoseconds),
        period_type: Some(goroutines),
        period: 1,
        comment,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
fn nanoseconds(seconds: f64) -> i64 {
    // By way of milliseconds, which a double holds exactly.
    ((seconds * 1e3).round() as i64).saturating_mul(1_000_000)
}

/// What goroutines of one sample have in common.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind<'a> {
    stack: &'a Stack,
    state: &'a str,
    wait_reason: Option<&'a str>,
    created_by: Option<&'a Place>,
    truncated: bool,
    system: bool,
}

impl<'a> From<&'a Goroutine> for Kind<'a> {
    fn from(goroutine: &'a Goroutine) -> Self {
        Self {
            stack: &goroutine.stack,
            state: &goroutine.state,
            wait_reason: goroutine.wait_reason.as_deref(),
            created_by: goroutine.created_by.as_ref(),
            truncated: goroutine.truncated,
            system: goroutine.system,
        }
    }
}

/// The kinds with their numbers, the most frequent first, else in the order they come.
fn kinds(dump: &Dump) -> Vec<(Kind<'_>, u64)> {
    let mut places = HashMap::new();
    let mut kinds: Vec<(Kind<'_>, u64)> = Vec::new();
    for goroutine in &dump.goroutines {
        let kind = Kind::from(goroutine);
        let place = *places.entry(kind.clone()).or_insert(kinds.len());
        match kinds.get_mut(place) {
            Some((_, count)) => *count = count.saturating_add(goroutine.count),
            None => kinds.push((kind, goroutine.count)),
        }
    }
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    kinds
}

#[derive(Default)]
struct Builder<'a> {
    samples: Vec<Sample>,
    locations: Vec<Location>,
    functions: Vec<Function>,
    texts: Vec<String>,
    text_numbers: HashMap<String, i64>,
    function_numbers: HashMap<(&'a str, &'a str), u64>,
    location_numbers: HashMap<&'a [Frame], u64>,
    lowest: Option<u64>,
    highest: u64,
}

impl<'a> Builder<'a> {
    fn text(&mut self, text: &str) -> i64 {
        if let Some(number) = self.text_numbers.get(text) {
            return *number;
        }
        let number = i64::try_from(self.texts.len()).unwrap_or(i64::MAX);
        self.texts.push(text.to_owned());
        self.text_numbers.insert(text.to_owned(), number);
        number
    }

    fn sample(&mut self, kind: &Kind<'a>, count: u64) {
        // A location is a function with those that were inlined into it.
        let locations = kind.stack.chunk_by(|frame, _| frame.inlined);
        let location_id = locations.map(|frames| self.location(frames)).collect();
        let created_by = kind.created_by.map(|Place { function, file, line }| {
            format!("{} {}:{line}", name::plain(function), name::plain(file))
        });
        let labels = [
            (label::STATE, Some(kind.state).filter(|state| !state.is_empty())),
            (label::WAIT_REASON, kind.wait_reason),
            (label::CREATED_BY, created_by.as_deref()),
            (label::TRUNCATED, kind.truncated.then_some("yes")),
            (label::SYSTEM, kind.system.then_some("yes")),
        ];
        let labels = labels.into_iter().filter_map(|(key, value)| {
            let value = name::plain(value?);
            Some(Label { key: self.text(key), str: self.text(&value) })
        });
        let label = labels.collect();
        let count = i64::try_from(count.min(limits::COUNT)).unwrap_or(i64::MAX);
        self.samples.push(Sample { location_id, value: vec![count], label });
    }

    fn location(&mut self, frames: &'a [Frame]) -> u64 {
        if let Some(id) = self.location_numbers.get(frames) {
            return *id;
        }
        let line = frames.iter().map(|frame| self.line(&frame.place)).collect();
        let id = number_of(self.locations.len());
        // The call, not where it goes on; as Go's own profile.
        let address = frames.last().map_or(0, |frame| frame.pc.saturating_sub(1));
        if address > 0 {
            self.lowest = Some(self.lowest.unwrap_or(u64::MAX).min(address));
            self.highest = self.highest.max(address);
        }
        self.locations.push(Location { id, mapping_id: PROGRAM, address, line });
        self.location_numbers.insert(frames, id);
        id
    }

    fn line(&mut self, place: &'a Place) -> Line {
        let key = (&*place.function, &*place.file);
        let known = self.function_numbers.get(&key).copied();
        let function_id = known.unwrap_or_else(|| {
            let name = if place.function.is_empty() {
                super::text::FOREIGN.into()
            } else {
                name::plain(&place.function)
            };
            let name = self.text(&name);
            let filename = self.text(&name::plain(&place.file));
            let id = number_of(self.functions.len());
            self.functions.push(Function { id, name, system_name: name, filename });
            self.function_numbers.insert(key, id);
            id
        });
        Line { function_id, line: i64::from(place.line) }
    }
}

/// Numbers of records begin with 1.
fn number_of(place: usize) -> u64 {
    u64::try_from(place).unwrap_or(u64::MAX).saturating_add(1)
}
