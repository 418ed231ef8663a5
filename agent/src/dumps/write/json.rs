//! Dumps as JSON: everything that is known, a goroutine to a line.
//!
//! Names are escaped in JSON's own notation, so that they can be shown and still mean the same.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::ser::Formatter;

use crate::model::{
    dump::{Dump, Frame, Goroutine, Place},
    escape::is_unsafe,
};

/// Writes a dump.
pub(super) fn write(dump: &Dump, out: &mut impl Write) -> io::Result<()> {
    let Dump { pid, go_version, taken_at, unsampled, goroutines } = dump;
    write!(out, "{{\"pid\":")?;
    value(&Some(*pid).filter(|pid| *pid != 0), out)?;
    write!(out, ",\"go_version\":")?;
    value(&Some(go_version).filter(|version| !version.is_empty()), out)?;
    write!(out, ",\"taken_at\":")?;
    value(&taken_at.and_then(rfc3339), out)?;
    if let Some(why) = unsampled {
        write!(out, ",\"unsampled\":")?;
        value(&why.as_ref(), out)?;
    }
    write!(out, ",\"goroutines\":[")?;
    for (number, goroutine) in goroutines.iter().enumerate() {
        out.write_all(if number > 0 { b",\n" } else { b"\n" })?;
        value(&GoroutineJson::from(goroutine), out)?;
    }
    writeln!(out, "\n]}}")
}

/// Seconds since the Unix epoch as RFC 3339 to the millisecond.
#[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
fn rfc3339(seconds: f64) -> Option<String> {
    let milliseconds = (seconds * 1e3).round() as i64;
    Some(format!("{:.3}", Timestamp::from_millisecond(milliseconds).ok()?))
}

fn value(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(out, Harmless);
    Ok(value.serialize(&mut serializer)?)
}

/// JSON without blanks, and without characters that a terminal would act on.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if fragment.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return out.write_all(fragment.as_bytes());
        }
        for c in fragment.chars() {
            if is_unsafe(c) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            } else {
                out.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?;
            }
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct GoroutineJson<'a> {
    goid: u64,
    parent_goid: Option<u64>,
    state: Option<&'a str>,
    wait_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "is_false")]
    durable: bool,
    wait_seconds: Option<f64>,
    system: bool,
    torn: bool,
    locked_to_thread: bool,
    truncated: bool,
    thread: Option<u32>,
    #[serde(skip_serializing_if = "is_false")]
    sampled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_stack: Option<&'a str>,
    #[serde(skip_serializing_if = "is_one")]
    count: u64,
    created_by: Option<PlaceJson<'a>>,
    start: Option<PlaceJson<'a>>,
    #[serde(serialize_with = "stack")]
    stack: &'a [Frame],
}

#[derive(Serialize)]
struct PlaceJson<'a> {
    function: &'a str,
    file: &'a str,
    line: u32,
}

#[derive(Serialize)]
struct FrameJson<'a> {
    function: &'a str,
    file: &'a str,
    line: u32,
    pc: u64,
    entry: u64,
    inlined: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_one(count: &u64) -> bool {
    *count == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

fn stack<S: serde::Serializer>(stack: &[Frame], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(stack.iter().map(|frame| FrameJson {
        function: &frame.place.function,
        file: &frame.place.file,
        line: frame.place.line,
        pc: frame.pc,
        entry: frame.entry,
        inlined: frame.inlined,
    }))
}

impl<'a> From<&'a Place> for PlaceJson<'a> {
    fn from(Place { function, file, line }: &'a Place) -> Self {
        Self { function, file, line: *line }
    }
}

impl<'a> From<&'a Goroutine> for GoroutineJson<'a> {
    fn from(goroutine: &'a Goroutine) -> Self {
        Self {
            goid: goroutine.goid,
            parent_goid: goroutine.parent_goid,
            state: Some(&*goroutine.state).filter(|state| !state.is_empty()),
            wait_reason: goroutine.wait_reason.as_deref(),
            durable: goroutine.durable,
            wait_seconds: goroutine.wait_seconds,
            system: goroutine.system,
            torn: goroutine.torn,
            locked_to_thread: goroutine.locked_to_thread,
            truncated: goroutine.truncated,
            thread: goroutine.thread,
            sampled: goroutine.sampled,
            no_stack: goroutine.no_stack.as_deref(),
            count: goroutine.count,
            created_by: goroutine.created_by.as_ref().map(PlaceJson::from),
            start: goroutine.start.as_ref().map(PlaceJson::from),
            stack: &goroutine.stack,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dumps::samples;

    fn text(dump: &Dump) -> String {
        let mut out = Vec::new();
        write(dump, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_fields_of_the_contract() {
        let value: Value = serde_json::from_str(&text(&samples::small())).unwrap();
        assert_eq!((&value["pid"], &value["go_version"]), (&json!(42), &json!("go1.26.6")));
        assert_eq!(value["taken_at"], "2026-01-01T00:00:00.250Z");
        assert_eq!(
            value["goroutines"][1],
            json!({
                "goid": 7, "parent_goid": 1, "state": "waiting", "wait_reason": "chan receive",
                "wait_seconds": 180.0, "system": false, "torn": false, "locked_to_thread": true,
                "truncated": false, "thread": null,
                "created_by": {"function": "main.main", "file": "/src/main.go", "line": 7},
                "start": {"function": "main.(*T[...]).run", "file": "/src/main.go", "line": 19},
                "stack": [
                    {"function": "main.wait", "file": "/src/main.go", "line": 12,
                     "pc": 0x40_102c, "entry": 0x40_1000, "inlined": true},
                    {"function": "main.(*T[...]).run", "file": "/src/main.go", "line": 20,
                     "pc": 0x40_102c, "entry": 0x40_1000, "inlined": false},
                ],
            })
        );
        assert_eq!(value["goroutines"][0]["torn"], true);
        let empty: Value = serde_json::from_str(&text(&Dump::default())).unwrap();
        assert_eq!(
            empty,
            json!({"pid": null, "go_version": null, "taken_at": null, "goroutines": []})
        );
    }

    #[test]
    fn a_goroutine_to_a_line_and_nothing_that_a_terminal_acts_on() {
        assert_eq!(text(&samples::small()).lines().count(), 5);
        let hostile = samples::hostile();
        let written = text(&hostile);
        assert!(written.chars().all(|c| c == '\n' || !is_unsafe(c)), "{written}");
        let value: Value = serde_json::from_str(&written).unwrap();
        for (number, frame) in hostile.goroutines[0].stack.iter().enumerate() {
            assert_eq!(value["goroutines"][0]["stack"][number]["function"], *frame.place.function);
        }
    }
}
