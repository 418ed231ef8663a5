//! Profiles of goroutines: Go's own, and ours.

use std::{borrow::Cow, collections::HashMap};

use prost::Message;

use super::{
    ParseError,
    fields::{Field, Fields, Value},
    kept::{Kept, bound},
};
use crate::{
    dumps::{
        limits,
        proto::{Function, Location, Sample, ValueType, label, tag},
        write::text::FOREIGN,
    },
    inspect,
    model::dump::{Dump, Frame, Goroutine, Place},
};

/// What Go calls profiles of goroutines; the second are those that its collector found to leak.
const KINDS: [&str; 2] = ["goroutine", "goroutineleak"];

/// Reads a profile.
pub(super) fn parse(bytes: &[u8]) -> Result<Dump, ParseError> {
    let raw = Raw::read(bytes)?;
    let kind = raw.kind()?;
    if !KINDS.contains(&&*kind) {
        return Err(ParseError::OtherProfile { kind: kind.chars().take(64).collect() });
    }
    let mut kept = Kept::default();
    let functions = raw.functions(&mut kept)?;
    let locations = raw.locations(&functions)?;
    for (offset, bytes) in &raw.samples {
        let goroutine = raw.sample(*offset, bytes, &locations, &mut kept)?;
        kept.goroutine(goroutine)?;
    }
    let mut dump = Dump { taken_at: raw.taken_at(), ..Dump::default() };
    for comment in &raw.comments {
        let comment = raw.text(*comment);
        match comment.strip_prefix(label::PID).map(str::parse) {
            Some(Ok(pid)) => dump.pid = pid,
            _ if comment.starts_with("go") => dump.go_version = comment.into_owned(),
            _ => {}
        }
    }
    dump.goroutines = kept.into_goroutines();
    Ok(dump)
}

/// The records, not decoded yet: what they refer to may come last.
#[derive(Default)]
struct Raw<'a> {
    types: Vec<(usize, &'a [u8])>,
    samples: Vec<(usize, &'a [u8])>,
    locations: Vec<(usize, &'a [u8])>,
    functions: Vec<(usize, &'a [u8])>,
    texts: Vec<&'a [u8]>,
    comments: Vec<i64>,
    time_nanos: i64,
}

impl<'a> Raw<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let mut raw = Self::default();
        for field in Fields::new(bytes) {
            let Field { offset, tag, value } = field?;
            let list = match tag {
                tag::SAMPLE_TYPE => &mut raw.types,
                tag::SAMPLE => &mut raw.samples,
                tag::LOCATION => &mut raw.locations,
                tag::FUNCTION => &mut raw.functions,
                _ => {
                    raw.other(tag, value)?;
                    continue;
                }
            };
            let Value::Bytes(record) = value else {
                return Err(ParseError::Byte { offset, why: "it should be a record" });
            };
            bound("bytes in one record", record.len(), limits::RECORD)?;
            bound("records of one kind", list.len().saturating_add(1), limits::GOROUTINES)?;
            list.push((offset, record));
        }
        Ok(raw)
    }

    fn other(&mut self, tag: u64, value: Value<'a>) -> Result<(), ParseError> {
        match (tag, value) {
            (tag::STRING_TABLE, Value::Bytes(text)) => {
                bound("texts", self.texts.len().saturating_add(1), limits::GOROUTINES)?;
                self.texts.push(text);
            }
            (tag::TIME_NANOS, Value::Number(time)) => self.time_nanos = time.cast_signed(),
            (tag::COMMENT, Value::Number(text)) => self.comments.push(text.cast_signed()),
            // A list of them, as we write it.
            (tag::COMMENT, Value::Bytes(list)) => {
                let mut list = Fields::new(list);
                while let Some(text) = list.number() {
                    self.comments.push(text.cast_signed());
                }
            }
            _ => {}
        }
        bound("comments", self.comments.len(), limits::COMMENTS)
    }

    /// Of what it is a profile.
    fn kind(&self) -> Result<Cow<'a, str>, ParseError> {
        let Some((offset, record)) = self.types.first() else {
            return Err(ParseError::Unknown);
        };
        Ok(self.text(decoded::<ValueType>(*offset, record)?.kind))
    }

    fn text(&self, number: i64) -> Cow<'a, str> {
        let text = usize::try_from(number).ok().and_then(|number| self.texts.get(number));
        String::from_utf8_lossy(text.copied().unwrap_or_default())
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this era fit into a double")]
    fn taken_at(&self) -> Option<f64> {
        let milliseconds = self.time_nanos / 1_000_000;
        (milliseconds > 0).then_some(milliseconds as f64 / 1e3)
    }

    fn functions(&self, kept: &mut Kept) -> Result<HashMap<u64, Place>, ParseError> {
        let mut functions = HashMap::new();
        for (offset, record) in &self.functions {
            let function: Function = decoded(*offset, record)?;
            let name = self.text(function.name);
            let name = if name == FOREIGN { "".into() } else { name };
            // Go's profile has the types that a generic function was compiled for, its dump not.
            let name = inspect::printed_name(&name);
            let file = kept.name(&self.text(function.filename));
            functions.insert(function.id, Place { function: kept.name(&name), file, line: 0 });
        }
        Ok(functions)
    }

    fn locations(
        &self,
        functions: &HashMap<u64, Place>,
    ) -> Result<HashMap<u64, Vec<Frame>>, ParseError> {
        let mut locations = HashMap::new();
        let mut total = 0_usize;
        for (offset, record) in &self.locations {
            let Location { id, address, line: lines, .. } = decoded(*offset, record)?;
            // The call is what is noted; it goes on behind it.
            let pc = if address > 0 { address.saturating_add(1) } else { 0 };
            let place = |function, line: i64| -> Option<Place> {
                let place = functions.get(function)?;
                Some(Place { line: u32::try_from(line).unwrap_or_default(), ..place.clone() })
            };
            let last = lines.len().saturating_sub(1);
            let frames = lines.iter().enumerate().map(|(number, line)| {
                let place = place(&line.function_id, line.line).ok_or(ParseError::Byte {
                    offset: *offset,
                    why: "this location is in a function that is not there",
                })?;
                Ok(Frame { place, pc, entry: 0, inlined: number < last })
            });
            let mut frames: Vec<Frame> = frames.collect::<Result<_, ParseError>>()?;
            if frames.is_empty() {
                frames.push(Frame { pc, ..Frame::default() });
            }
            total = total.saturating_add(frames.len());
            bound("places", total, limits::FRAMES_KEPT)?;
            locations.insert(id, frames);
        }
        Ok(locations)
    }

    fn sample(
        &self,
        offset: usize,
        record: &[u8],
        locations: &HashMap<u64, Vec<Frame>>,
        kept: &mut Kept,
    ) -> Result<Goroutine, ParseError> {
        let wrong = |why| ParseError::Byte { offset, why };
        let sample: Sample = decoded(offset, record)?;
        let count = sample.value.first().ok_or_else(|| wrong("this sample has no number"))?;
        let count = u64::try_from(*count).map_err(|_| {
            wrong("this sample has a negative number: the difference of profiles is no dump")
        })?;
        let mut frames = Vec::new();
        for id in &sample.location_id {
            let location = locations.get(id);
            let location =
                location.ok_or_else(|| wrong("this sample has a place that is not there"))?;
            bound("frames in one stack", frames.len() + location.len(), limits::FRAMES)?;
            frames.extend_from_slice(location);
        }
        let stack = kept.stack(frames)?;
        let mut goroutine = Goroutine { count, stack, ..Goroutine::default() };
        for label in &sample.label {
            let value = self.text(label.str);
            match &*self.text(label.key) {
                label::STATE => goroutine.state = kept.name(&value),
                label::WAIT_REASON => goroutine.wait_reason = Some(kept.name(&value)),
                label::CREATED_BY => goroutine.created_by = creator(&value, kept),
                label::TRUNCATED => goroutine.truncated = true,
                label::SYSTEM => goroutine.system = true,
                _ => {}
            }
        }
        Ok(goroutine)
    }
}

fn decoded<T: Message + Default>(offset: usize, record: &[u8]) -> Result<T, ParseError> {
    T::decode(record).map_err(|_| ParseError::Byte { offset, why: "this record is damaged" })
}

/// `main.start /src/main.go:12`; the file's path may have blanks, and begins behind the first that
/// is followed by a slash.
fn creator(value: &str, kept: &mut Kept) -> Option<Place> {
    let (place, line) = value.rsplit_once(':')?;
    let line = line.parse().ok()?;
    let parts = place.find(" /").and_then(|at| place.split_at_checked(at));
    let (function, file) = parts.or_else(|| place.rsplit_once(' '))?;
    Some(Place { function: kept.name(function), file: kept.name(file.trim_start()), line })
}
