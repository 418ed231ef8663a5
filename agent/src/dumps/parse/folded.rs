//! Folded stacks: `main.main;main.run;main.wait 12`.

use super::{ParseError, kept::Kept};
use crate::{
    dumps::write::{folded::TRUNCATED, text::FOREIGN},
    model::dump::{Dump, Frame, Goroutine, Place},
};

/// Whether its first line is one.
pub(super) fn is_such(text: &str) -> bool {
    lines(text).next().is_some_and(|(_, line)| read(line).is_some())
}

/// Reads a dump.
pub(super) fn parse(text: &str) -> Result<Dump, ParseError> {
    let mut kept = Kept::default();
    for (line, text) in lines(text) {
        let why = "a stack and a number are needed here, as main.main;main.run 12";
        let (stack, count) = read(text).ok_or(ParseError::Line { line, why })?;
        let goroutine = goroutine(stack, count, &mut kept)?;
        kept.goroutine(goroutine)?;
    }
    Ok(Dump { goroutines: kept.into_goroutines(), ..Dump::default() })
}

/// With their numbers; without empty ones and comments.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with("# "))
}

fn read(line: &str) -> Option<(&str, u64)> {
    let (stack, count) = line.rsplit_once(' ')?;
    Some((stack.trim_end(), count.parse().ok()?)).filter(|(stack, _)| !stack.is_empty())
}

fn goroutine(stack: &str, count: u64, kept: &mut Kept) -> Result<Goroutine, ParseError> {
    let mut goroutine = Goroutine { count, ..Goroutine::default() };
    // A state stands for a stack that is not known.
    if let Some(state) = stack.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
        && !stack.contains(';')
    {
        goroutine.state = kept.name(state);
        return Ok(goroutine);
    }
    let (below, stack) = stack.split_once(';').unwrap_or(("", stack));
    goroutine.truncated = below == TRUNCATED;
    let below = Some(below).filter(|below| !below.is_empty() && *below != TRUNCATED);
    let functions = stack.rsplit(';').chain(below);
    let frames = functions.map(|function| {
        let function = if function == FOREIGN { "" } else { function };
        let place = Place { function: kept.name(function), ..Place::default() };
        Frame { place, ..Frame::default() }
    });
    let frames = frames.collect();
    goroutine.stack = kept.stack(frames)?;
    Ok(goroutine)
}
