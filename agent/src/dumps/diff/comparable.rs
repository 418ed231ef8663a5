//! Goroutines in a form in which those of different sources can be compared.
//!
//! Sources differ in what they show of the same stack: Go's dump leaves out the runtime's inner
//! functions, the middle of deep stacks, and what calls `main.main`; its profiles do not. So all
//! that one of them leaves out is left out of both.

use std::sync::Arc;

use crate::{
    dumps::{name, write::folded},
    model::dump::{Dump, Frame, Goroutine, Place, Stack},
};

/// Frames that Go's dump shows of each end of a deep stack.
/// <https://github.com/golang/go/blob/go1.26.0/src/runtime/traceback.go> (`tracebackInnerFrames`)
const SHOWN: usize = 50;

/// What both dumps tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Detail {
    /// Files and lines of calls.
    lines: bool,
    /// Creation sites.
    creators: bool,
}

impl Detail {
    /// Of two dumps.
    pub(super) fn of(before: &Dump, after: &Dump) -> Self {
        let both = |tells: fn(&Goroutine) -> bool| {
            [before, after]
                .iter()
                .all(|dump| dump.goroutines.is_empty() || dump.goroutines.iter().any(tells))
        };
        // The main goroutine was created by no statement; a dump of it alone has all there is.
        let alone = |dump: &Dump| matches!(&*dump.goroutines, [one] if one.goid == 1 && one.created_by.is_none());
        let creators = both(|one| one.created_by.is_some());
        Self {
            lines: both(|one| one.stack.iter().any(|frame| frame.place.line > 0)),
            creators: creators || alone(before) || alone(after),
        }
    }
}

/// A goroutine as it is compared.
#[derive(Debug)]
pub(super) struct Comparable<'a> {
    pub(super) goroutine: &'a Goroutine,
    pub(super) site: Place,
    pub(super) stack: Vec<Place>,
}

impl<'a> Comparable<'a> {
    /// Those of a dump, but for the runtime's own.
    pub(super) fn all(dump: &'a Dump, detail: Detail) -> Vec<Self> {
        let of_program = dump.goroutines.iter().filter(|goroutine| !goroutine.system);
        // Goroutines alike mostly share their stack.
        let mut last: Option<(&Stack, Vec<Place>)> = None;
        let comparable = of_program.map(|goroutine| {
            let stack = match &last {
                Some((frames, stack)) if Arc::ptr_eq(frames, &goroutine.stack) => stack.clone(),
                _ => stack(&goroutine.stack, detail.lines),
            };
            last = Some((&goroutine.stack, stack.clone()));
            let stack = if goroutine.stack.is_empty() { unknown(goroutine) } else { stack };
            Self { goroutine, site: site(goroutine, &stack, detail.creators), stack }
        });
        comparable.collect()
    }
}

/// What is shown of a stack.
fn stack(frames: &[Frame], lines: bool) -> Vec<Place> {
    let name = |frame: &Frame| Arc::clone(&frame.place.function);
    let mut shown: Vec<&Frame> = frames.iter().filter(|frame| is_shown(&name(frame))).collect();
    // Of a stack that is the runtime's alone Go's dump shows all.
    if shown.is_empty() {
        shown = frames.iter().filter(|frame| *name(frame) != *"runtime.goexit").collect();
    }
    let leaf = |frame: &&&Frame| frame.place.function.starts_with("internal/runtime/");
    let leaves = shown.iter().take_while(leaf).count();
    if leaves < shown.len() {
        shown.drain(..leaves);
    }
    let place = |frame: &&Frame| {
        let Place { function, file, line } = &frame.place;
        if lines {
            Place { function: Arc::clone(function), file: Arc::clone(file), line: *line }
        } else {
            Place { function: Arc::clone(function), ..Place::default() }
        }
    };
    let elided = shown.len().saturating_sub(2 * SHOWN);
    if elided == 0 || shown.iter().any(|frame| name::is_elided(&frame.place.function)) {
        return shown.iter().map(place).collect();
    }
    let gap: Arc<str> = format!("...{elided}{}", name::ELIDED).into();
    let inner = shown.iter().take(SHOWN).map(place);
    let outer = shown.iter().skip(SHOWN.saturating_add(elided)).map(place);
    inner.chain([Place { function: gap, ..Place::default() }]).chain(outer).collect()
}

/// Whether Go's dump shows a call of this function: `showfuncinfo`, in the same file.
fn is_shown(function: &str) -> bool {
    let Some(name) = function.strip_prefix("runtime.") else { return true };
    if matches!(name, "runFinalizers" | "runfinq" | "runCleanups" | "gopanic") {
        return true;
    }
    let (receiver, name) = name.rsplit_once('.').unwrap_or(("", name));
    let receiver =
        receiver.strip_prefix("(*").and_then(|name| name.strip_suffix(')')).unwrap_or(receiver);
    let exported = |name: &str| name.starts_with(|c: char| c.is_ascii_uppercase());
    exported(name) && (receiver.is_empty() || exported(receiver))
}

/// What stands for a stack that is not known.
fn unknown(goroutine: &Goroutine) -> Vec<Place> {
    vec![Place { function: folded::without_stack(goroutine).into(), ..Place::default() }]
}

fn site(goroutine: &Goroutine, stack: &[Place], creators: bool) -> Place {
    match &goroutine.created_by {
        Some(place) if creators => place.clone(),
        _ => {
            let function = stack.last().map(|place| Arc::clone(&place.function));
            Place { function: function.unwrap_or_default(), ..Place::default() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_shows() {
        for shown in [
            "main.main",
            "runtime.Gosched",
            "runtime.(*Func).Entry",
            "runtimes.x",
            "runtime/pprof.x",
        ] {
            assert!(is_shown(shown), "{shown}");
        }
        for hidden in [
            "runtime.gopark",
            "runtime.main",
            "runtime.goexit",
            "runtime.(*mutex).Lock",
            "runtime.x.Y",
        ] {
            assert!(!is_shown(hidden), "{hidden}");
        }
    }
}
