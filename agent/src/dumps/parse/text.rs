//! Go's own dump: `runtime.Stack`, `/debug/pprof/goroutine?debug=2`, what a panic prints, and what
//! we write ourselves.
//!
//! What stands before, between and behind the goroutines (a log, the panic's message, registers) is
//! passed over. A dump whose end is cut off has a last stack that is not whole.

use std::{collections::HashSet, iter::Peekable, sync::Arc};

use super::{ParseError, kept::Kept};
use crate::{
    dumps::{
        name,
        write::text::{DURABLE, DURABLE_BY_NAME, FOREIGN, MORE, NO_STATE, UNAVAILABLE},
    },
    model::dump::{Dump, Frame, Goroutine, Place},
};

/// What Go calls the scheduler's states; any other word is what a goroutine waits for.
/// <https://github.com/golang/go/blob/go1.26.0/src/runtime/traceback.go> (`gStatusStrings`)
const STATES: [&str; 9] = [
    "idle",
    "runnable",
    "running",
    "syscall",
    "waiting",
    "dead",
    "copystack",
    "leaked",
    "preempted",
];

/// What places are indented with.
const INDENT: [char; 2] = ['\t', ' '];

/// Whether a line begins a goroutine.
pub(super) fn is_such(text: &str) -> bool {
    text.lines().any(|line| Header::read(line).is_some())
}

/// Reads a dump.
pub(super) fn parse(text: &str) -> Result<Dump, ParseError> {
    let mut lines = Lines { lines: text.lines().enumerate().peekable(), at: 0 };
    let mut kept = Kept::default();
    let mut seen = HashSet::new();
    while let Some(line) = lines.next() {
        let Some(header) = Header::read(line) else { continue };
        if header.goid != 0 && !seen.insert(header.goid) {
            return Err(lines.wrong("this goroutine was there before: is it one dump only?"));
        }
        let goroutine = goroutine(&header, &mut lines, &mut kept)?;
        kept.goroutine(goroutine)?;
    }
    Ok(Dump { goroutines: kept.into_goroutines(), ..Dump::default() })
}

/// Lines and the number of the last one, from 1 on.
struct Lines<'a, I: Iterator<Item = (usize, &'a str)>> {
    lines: Peekable<I>,
    at: usize,
}

impl<'a, I: Iterator<Item = (usize, &'a str)>> Lines<'a, I> {
    fn next(&mut self) -> Option<&'a str> {
        let (number, line) = self.lines.next()?;
        self.at = number.saturating_add(1);
        Some(line.trim_end())
    }

    fn peek(&mut self) -> Option<&'a str> {
        self.lines.peek().map(|(_, line)| line.trim_end())
    }

    /// The next line, where it is indented; without the indent.
    fn indented(&mut self) -> Option<&'a str> {
        let line = self.peek()?;
        let inner = line.trim_start_matches(INDENT);
        (inner.len() < line.len())
            .then(|| self.next().map(|line| line.trim_start_matches(INDENT)))
            .flatten()
    }

    fn wrong(&self, why: &'static str) -> ParseError {
        ParseError::Line { line: self.at, why }
    }
}

/// `goroutine 7 [chan receive, 3 minutes, locked to thread]:`
struct Header<'a> {
    goid: u64,
    state: &'a str,
    wait_reason: Option<&'a str>,
    durable: bool,
    minutes: Option<u32>,
    locked: bool,
}

impl<'a> Header<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let rest = line.trim_end().strip_prefix("goroutine ")?.strip_suffix(':')?;
        let (before, rest) = rest.split_once(" [")?;
        // Behind the bracket may be labels: `[running] {key: value}:`.
        let (inner, labels) = rest.split_once(']')?;
        let is_labels = labels.starts_with(" {") && labels.ends_with('}');
        if !labels.is_empty() && !is_labels {
            return None;
        }
        // Behind the number may be addresses: `goroutine 7 gp=0xc000 m=1 mp=0xc001 [running]:`.
        let mut words = before.split(' ');
        let goid = words.next()?.parse().ok()?;
        if words.any(|word| !word.contains('=')) {
            return None;
        }
        let mut parts = inner.split(", ");
        let word = parts.next()?;
        let (word, durable) = match word.strip_suffix(DURABLE) {
            Some(word) if !DURABLE_BY_NAME.contains(&word) => (word, true),
            _ => (word, false),
        };
        let word = word.strip_suffix(" (scan)").unwrap_or(word);
        let (word, leaked) = match word.strip_suffix(" (leaked)") {
            Some(word) => (word, true),
            None => (word, word == "leaked"),
        };
        let (state, wait_reason) = match word {
            NO_STATE => ("", None),
            _ if leaked => ("leaked", Some(word).filter(|word| *word != "leaked")),
            _ if STATES.contains(&word) => (word, None),
            _ => ("waiting", Some(word)),
        };
        let mut header = Self { goid, state, wait_reason, durable, minutes: None, locked: false };
        for part in parts {
            if part == "locked to thread" {
                header.locked = true;
            } else if let Some(minutes) = part.strip_suffix(" minutes") {
                header.minutes = Some(minutes.parse().ok()?);
            }
        }
        Some(header)
    }
}

/// What follows a header.
fn goroutine<'a, I: Iterator<Item = (usize, &'a str)>>(
    header: &Header<'_>,
    lines: &mut Lines<'a, I>,
    kept: &mut Kept,
) -> Result<Goroutine, ParseError> {
    let mut goroutine = Goroutine {
        goid: header.goid,
        state: kept.name(header.state),
        wait_reason: header.wait_reason.map(|reason| kept.name(reason)),
        durable: header.durable,
        wait_seconds: header.minutes.map(|minutes| f64::from(minutes) * 60.0),
        locked_to_thread: header.locked,
        count: 1,
        ..Goroutine::default()
    };
    let mut frames = Vec::new();
    while let Some(line) = lines.peek() {
        if line.is_empty() || Header::read(line).is_some() {
            break;
        }
        lines.next();
        if line.trim_start() == UNAVAILABLE {
            continue;
        }
        if line.starts_with(INDENT) {
            return Err(lines.wrong("a place without the function that it belongs to"));
        }
        if line == MORE {
            goroutine.truncated = true;
        } else if name::is_elided(line) {
            let place = Place { function: kept.name(line), ..Place::default() };
            frames.push(Frame { place, ..Frame::default() });
        } else if let Some(pc) = line.strip_prefix("non-Go function at pc=") {
            frames.push(Frame { pc: hexadecimal(pc).unwrap_or_default(), ..Frame::default() });
        } else if let Some(creator) = line.strip_prefix("created by ") {
            let (function, parent) = creator_and_parent(creator);
            goroutine.parent_goid = parent;
            let function = kept.name(function);
            let place = match lines.indented() {
                Some(place) => Position::read(place).ok_or_else(|| no_place(lines))?,
                None => Position::default(),
            };
            let (file, line) = (kept.name(place.file), place.line);
            goroutine.created_by = Some(Place { function, file, line });
            break;
        } else if let Some(place) = lines.indented() {
            match Position::read(place) {
                Some(place) => frames.push(frame(line, &place, kept)),
                // The file ends in the middle of the line.
                None if lines.peek().is_none() => goroutine.truncated = true,
                None => return Err(no_place(lines)),
            }
        } else if lines.peek().is_none() {
            goroutine.truncated = true;
        } else if line.ends_with(')') {
            return Err(lines.wrong("a function without its place behind it"));
        } else {
            // Of another: `exit status 2`, `FAIL	example.org/shop	0.01s`.
            break;
        }
    }
    goroutine.system = is_system(&goroutine, &frames);
    goroutine.stack = kept.stack(frames)?;
    Ok(goroutine)
}

fn no_place<'a, I: Iterator<Item = (usize, &'a str)>>(lines: &Lines<'a, I>) -> ParseError {
    lines.wrong("a place is needed here, as /src/main.go:12 +0x1d")
}

/// `main.main in goroutine 1`
fn creator_and_parent(creator: &str) -> (&str, Option<u64>) {
    let parts = creator.rsplit_once(" in goroutine ");
    match parts.map(|(function, parent)| (function, parent.parse())) {
        Some((function, Ok(parent))) => (function, Some(parent)),
        _ => (creator, None),
    }
}

/// `/src/main.go:12 +0x1d fp=0xc0 sp=0xc1 pc=0x40`, or of what is not Go's `pc=0x40`.
#[derive(Default)]
struct Position<'a> {
    file: &'a str,
    line: u32,
    offset: Option<u64>,
    pc: Option<u64>,
}

impl<'a> Position<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut position = Self::default();
        let mut rest = text;
        loop {
            let (before, word) = rest.rsplit_once(' ').unwrap_or(("", rest));
            if let Some(offset) = word.strip_prefix('+').and_then(hexadecimal) {
                position.offset = Some(offset);
            } else if let Some(pc) = word.strip_prefix("pc=").and_then(hexadecimal) {
                position.pc = Some(pc);
            } else if !["fp=0x", "sp=0x", "m="].iter().any(|prefix| word.starts_with(prefix)) {
                break;
            }
            rest = before;
        }
        if rest.is_empty() {
            return position.pc.map(|_| position);
        }
        let (file, line) = rest.rsplit_once(':')?;
        position.line = line.parse().ok()?;
        // Go's word for a file that it does not know.
        position.file = if file == "?" { "" } else { file };
        Some(position)
    }
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// `main.(*T).run(0xc000, {0x1, ...})` and its place. (Arguments have no parentheses.)
fn frame(line: &str, place: &Position<'_>, kept: &mut Kept) -> Frame {
    let (function, arguments) = match line.strip_suffix(')').and_then(|line| line.rsplit_once('('))
    {
        Some((function, arguments)) => (function, Some(arguments)),
        None => (line, None),
    };
    let function = if arguments.is_none() && function == FOREIGN { "" } else { function };
    let function = kept.name(function);
    let pc = place.pc.unwrap_or_default();
    let entry = match place.offset {
        Some(offset) if pc > 0 => pc.saturating_sub(offset),
        _ => 0,
    };
    let inlined = arguments == Some("...") && place.offset.is_none();
    let place = Place { function, file: kept.name(place.file), line: place.line };
    Frame { place, pc, entry, inlined }
}

/// Whether it is one of the runtime's own. A dump has them only where GODEBUG or a crash asks for
/// them; then with all their frames, which are the runtime's.
fn is_system(goroutine: &Goroutine, frames: &[Frame]) -> bool {
    let runtime = |function: &Arc<str>| function.starts_with("runtime.");
    let created = goroutine.created_by.as_ref().is_none_or(|place| runtime(&place.function));
    let started = |function: &Arc<str>| &**function == "runtime.main";
    goroutine.goid == 0
        || (created
            && !frames.is_empty()
            && frames.iter().all(|frame| runtime(&frame.place.function))
            && !frames.iter().any(|frame| started(&frame.place.function)))
}
