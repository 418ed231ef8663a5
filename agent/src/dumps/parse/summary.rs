//! Go's own goroutine profile as text: `/debug/pprof/goroutine?debug=1`.
//!
//! See `printCountProfile` and `printStackRecord` in
//! <https://github.com/golang/go/blob/go1.26.0/src/runtime/pprof/pprof.go>.

use super::{ParseError, kept::Kept};
use crate::model::dump::{Dump, Frame, Goroutine, Place};

/// Whether it begins as one does.
pub(super) fn is_such(text: &str) -> bool {
    let first = text.trim_start().lines().next().unwrap_or_default();
    ["goroutine", "goroutineleak"].iter().any(|kind| {
        first.strip_prefix(kind).is_some_and(|rest| rest.starts_with(" profile: total "))
    })
}

/// Reads a profile.
pub(super) fn parse(text: &str) -> Result<Dump, ParseError> {
    let mut kept = Kept::default();
    // A number and the frames so far.
    let mut open: Option<(u64, Vec<Frame>)> = None;
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim_end()));
    for (line, text) in lines.skip_while(|(_, line)| line.is_empty()).skip(1) {
        let wrong = |why| ParseError::Line { line, why };
        if text.is_empty() {
            if let Some((count, frames)) = open.take() {
                close(count, frames, &mut kept)?;
            }
        } else if let Some(comment) = text.strip_prefix('#') {
            let Some((_, frames)) = &mut open else {
                return Err(wrong("a frame without the line that says how many there are"));
            };
            if comment.starts_with('\t') {
                frames.push(frame(comment, &mut kept).ok_or_else(|| wrong("it is no frame"))?);
            }
        } else {
            let count = text.split_once(" @").and_then(|(count, _)| count.parse().ok());
            let count = count.ok_or_else(|| wrong("a number and addresses are needed here"))?;
            if let Some((count, frames)) = open.replace((count, Vec::new())) {
                close(count, frames, &mut kept)?;
            }
        }
    }
    if let Some((count, frames)) = open {
        close(count, frames, &mut kept)?;
    }
    Ok(Dump { goroutines: kept.into_goroutines(), ..Dump::default() })
}

/// Address, `main.main.func1+0x1b` and `/src/main.go:12`, with tabs between.
fn frame(text: &str, kept: &mut Kept) -> Option<Frame> {
    let mut columns = text.split('\t').filter(|column| !column.is_empty());
    let hexadecimal = |text: &str| u64::from_str_radix(text, 16).ok();
    let address = hexadecimal(columns.next()?.strip_prefix("0x")?)?;
    // Go shows the call; it goes on behind it.
    let pc = address.saturating_add(1);
    let Some(function) = columns.next() else { return Some(Frame { pc, ..Frame::default() }) };
    let (function, offset) = function.rsplit_once("+0x")?;
    let (file, line) = columns.next()?.rsplit_once(':')?;
    let place =
        Place { function: kept.name(function), file: kept.name(file), line: line.parse().ok()? };
    let entry = address.saturating_sub(hexadecimal(offset)?);
    Some(Frame { place, pc, entry, inlined: false })
}

fn close(count: u64, mut frames: Vec<Frame>, kept: &mut Kept) -> Result<(), ParseError> {
    // Of inlined calls Go tells the function that they were put into by its address only.
    let outer: Vec<Frame> = frames.iter().skip(1).cloned().collect();
    for (frame, outer) in frames.iter_mut().zip(outer) {
        frame.inlined = frame.entry > 0
            && frame.entry == outer.entry
            && frame.place.function != outer.place.function;
    }
    let stack = kept.stack(frames)?;
    kept.goroutine(Goroutine { stack, count, ..Goroutine::default() })
}
