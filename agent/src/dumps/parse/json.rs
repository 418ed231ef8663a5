//! Our own JSON. Fields that are not known are passed over.

use std::{borrow::Cow, fmt};

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{ParseError, kept::Kept};
use crate::model::dump::{Dump, Frame, Goroutine, Place};

/// Reads a dump.
pub(super) fn parse(bytes: &[u8]) -> Result<Dump, ParseError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let mut limit = None;
    let dump = DumpSeed { limit: &mut limit }.deserialize(&mut deserializer);
    if let Some(limit) = limit {
        return Err(limit);
    }
    let dump = dump?;
    deserializer.end()?;
    Ok(dump)
}

/// The whole; what is too many is told apart from what is wrong.
struct DumpSeed<'a> {
    limit: &'a mut Option<ParseError>,
}

impl<'de> DeserializeSeed<'de> for DumpSeed<'_> {
    type Value = Dump;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Dump, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DumpSeed<'_> {
    type Value = Dump;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a dump as `goroscope dump --format json` writes it")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Dump, A::Error> {
        let mut dump = Dump::default();
        let mut goroutines = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match &*key {
                "pid" => dump.pid = map.next_value::<Option<u32>>()?.unwrap_or_default(),
                "go_version" => {
                    dump.go_version = map.next_value::<Option<String>>()?.unwrap_or_default();
                }
                "unsampled" => dump.unsampled = map.next_value::<Option<String>>()?.map(Into::into),
                "taken_at" => dump.taken_at = time(map.next_value()?)?,
                "goroutines" if goroutines.is_some() => {
                    return Err(A::Error::duplicate_field("goroutines"));
                }
                "goroutines" => {
                    let limit = &mut *self.limit;
                    goroutines = Some(map.next_value_seed(Goroutines { limit })?);
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        dump.goroutines = goroutines.ok_or_else(|| A::Error::missing_field("goroutines"))?;
        Ok(dump)
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of this era fit into a double")]
fn time<E: serde::de::Error>(text: Option<String>) -> Result<Option<f64>, E> {
    let Some(text) = text else { return Ok(None) };
    let time: Timestamp = text.parse().map_err(E::custom)?;
    Ok(Some(time.as_millisecond() as f64 / 1e3))
}

/// The list, of which one goroutine at a time is in memory in this form.
struct Goroutines<'a> {
    limit: &'a mut Option<ParseError>,
}

impl<'de> DeserializeSeed<'de> for Goroutines<'_> {
    type Value = Vec<Goroutine>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Goroutines<'_> {
    type Value = Vec<Goroutine>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of goroutines")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut kept = Kept::default();
        while let Some(goroutine) = list.next_element::<GoroutineJson<'de>>()? {
            if let Err(error) = goroutine.keep(&mut kept) {
                *self.limit = Some(error);
                return Err(A::Error::custom("there is too much of it"));
            }
        }
        Ok(kept.into_goroutines())
    }
}

#[derive(Deserialize)]
struct GoroutineJson<'a> {
    goid: u64,
    parent_goid: Option<u64>,
    #[serde(borrow)]
    state: Option<Cow<'a, str>>,
    #[serde(borrow)]
    wait_reason: Option<Cow<'a, str>>,
    #[serde(default)]
    durable: bool,
    wait_seconds: Option<f64>,
    #[serde(default)]
    system: bool,
    #[serde(default)]
    torn: bool,
    #[serde(default)]
    locked_to_thread: bool,
    #[serde(default)]
    truncated: bool,
    thread: Option<u32>,
    #[serde(default)]
    sampled: bool,
    #[serde(borrow)]
    no_stack: Option<Cow<'a, str>>,
    #[serde(default = "one")]
    count: u64,
    #[serde(borrow)]
    created_by: Option<PlaceJson<'a>>,
    #[serde(borrow)]
    start: Option<PlaceJson<'a>>,
    #[serde(borrow)]
    stack: Vec<FrameJson<'a>>,
}

fn one() -> u64 {
    1
}

#[derive(Deserialize)]
struct PlaceJson<'a> {
    #[serde(borrow)]
    function: Cow<'a, str>,
    #[serde(borrow, default)]
    file: Cow<'a, str>,
    #[serde(default)]
    line: u32,
}

#[derive(Deserialize)]
struct FrameJson<'a> {
    #[serde(borrow)]
    function: Cow<'a, str>,
    #[serde(borrow, default)]
    file: Cow<'a, str>,
    #[serde(default)]
    line: u32,
    #[serde(default)]
    pc: u64,
    #[serde(default)]
    entry: u64,
    #[serde(default)]
    inlined: bool,
}

impl PlaceJson<'_> {
    fn keep(&self, kept: &mut Kept) -> Place {
        let (function, file) = (kept.name(&self.function), kept.name(&self.file));
        Place { function, file, line: self.line }
    }
}

impl GoroutineJson<'_> {
    fn keep(self, kept: &mut Kept) -> Result<(), ParseError> {
        let frames = self.stack.iter().map(|frame| {
            let (function, file) = (kept.name(&frame.function), kept.name(&frame.file));
            let FrameJson { line, pc, entry, inlined, .. } = *frame;
            Frame { place: Place { function, file, line }, pc, entry, inlined }
        });
        let frames = frames.collect();
        let goroutine = Goroutine {
            goid: self.goid,
            parent_goid: self.parent_goid,
            state: kept.name(&self.state.unwrap_or_default()),
            wait_reason: self.wait_reason.map(|reason| kept.name(&reason)),
            durable: self.durable,
            wait_seconds: self.wait_seconds,
            system: self.system,
            torn: self.torn,
            locked_to_thread: self.locked_to_thread,
            truncated: self.truncated,
            thread: self.thread,
            sampled: self.sampled,
            no_stack: self.no_stack.map(|why| kept.name(&why)),
            created_by: self.created_by.map(|place| place.keep(kept)),
            start: self.start.map(|place| place.keep(kept)),
            stack: kept.stack(frames)?,
            count: self.count,
        };
        kept.goroutine(goroutine)
    }
}
