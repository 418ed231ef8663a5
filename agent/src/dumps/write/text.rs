//! The form of Go's own dump.
//!
//! See `goroutineheader`, `traceback2` and `printcreatedby1` in
//! <https://github.com/golang/go/blob/go1.26.0/src/runtime/traceback.go>. What is not known is
//! left out as Go leaves it out: arguments are `...`, as of inlined calls, which have no offset.

use std::io::{self, Write};

use crate::{
    dumps::{limits, name},
    model::dump::{Dump, Frame, Goroutine, Place},
};

/// Go's words where it has no stack of a goroutine.
pub(in crate::dumps) const UNAVAILABLE: &str =
    "goroutine running on other thread; stack unavailable";
/// Where a stack is not shown to its end.
pub(in crate::dumps) const MORE: &str = "...additional frames elided...";
/// A function without a name.
pub(in crate::dumps) const FOREIGN: &str = "non-Go function";
/// Behind the reason of a wait that only others of the same bubble of package synctest can end.
pub(in crate::dumps) const DURABLE: &str = " (durable)";
/// Reasons whose name has that already.
pub(in crate::dumps) const DURABLE_BY_NAME: [&str; 4] =
    ["chan receive", "chan send", "select", "sync.WaitGroup.Wait"];
/// A state without a name.
pub(in crate::dumps) const NO_STATE: &str = "???";

/// Writes a dump.
pub(super) fn write(dump: &Dump, out: &mut impl Write) -> io::Result<()> {
    let one_by_one = dump.goroutines.iter().flat_map(|goroutine| {
        let count = usize::try_from(goroutine.count).unwrap_or(usize::MAX);
        std::iter::repeat_n(goroutine, count)
    });
    for (number, goroutine) in one_by_one.take(limits::GOROUTINES).enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        header(goroutine, out)?;
        for frame in &*goroutine.stack {
            self::frame(frame, out)?;
        }
        if goroutine.stack.is_empty() {
            writeln!(out, "\t{UNAVAILABLE}")?;
        } else if goroutine.truncated {
            writeln!(out, "{MORE}")?;
        }
        if let Some(place) = &goroutine.created_by {
            write!(out, "created by {}", name::plain(&place.function))?;
            if let Some(parent) = goroutine.parent_goid {
                write!(out, " in goroutine {parent}")?;
            }
            writeln!(out)?;
            position(place, out)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

/// `goroutine 7 [chan receive, 3 minutes, locked to thread]:`
fn header(goroutine: &Goroutine, out: &mut impl Write) -> io::Result<()> {
    let state = if goroutine.state.is_empty() { NO_STATE } else { &goroutine.state };
    let word = match &goroutine.wait_reason {
        Some(reason) if !reason.is_empty() => reason,
        _ => state,
    };
    write!(out, "goroutine {} [{}", goroutine.goid, name::of_state(word))?;
    if state == "leaked" && word != state {
        write!(out, " (leaked)")?;
    }
    if goroutine.durable {
        write!(out, "{DURABLE}")?;
    }
    let minutes = goroutine.wait_seconds.map_or(0.0, |seconds| (seconds / 60.0).floor());
    if minutes >= 1.0 {
        write!(out, ", {minutes:.0} minutes")?;
    }
    if goroutine.locked_to_thread {
        write!(out, ", locked to thread")?;
    }
    writeln!(out, "]:")
}

fn frame(frame: &Frame, out: &mut impl Write) -> io::Result<()> {
    let Frame { place, pc, entry, inlined } = frame;
    if name::is_elided(&place.function) {
        return writeln!(out, "{}", place.function);
    }
    if place.function.is_empty() {
        return writeln!(out, "{FOREIGN}\n\tpc={pc:#x}");
    }
    let function = name::of_function(&place.function);
    let offset = pc.checked_sub(*entry).filter(|offset| *offset > 0 && *entry > 0 && !inlined);
    let arguments = if *inlined || offset.is_some() { "..." } else { "" };
    writeln!(out, "{function}({arguments})")?;
    position(place, out)?;
    if let Some(offset) = offset {
        write!(out, " +{offset:#x}")?;
    }
    writeln!(out)
}

/// `/src/main.go:12`, indented; Go writes `?:0` where it does not know.
fn position(place: &Place, out: &mut impl Write) -> io::Result<()> {
    let file = if place.file.is_empty() { "?".into() } else { name::plain(&place.file) };
    write!(out, "\t{file}:{}", place.line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dumps::samples;

    fn text(dump: &Dump) -> String {
        let mut out = Vec::new();
        write(dump, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn as_go_writes_it() {
        assert_eq!(
            text(&samples::small()),
            "goroutine 1 [running]:\n\tgoroutine running on other thread; stack unavailable\n\n\
             goroutine 7 [chan receive, 3 minutes, locked to thread]:\n\
             main.wait(...)\n\t/src/main.go:12\n\
             main.(*T[...]).run(...)\n\t/src/main.go:20 +0x2c\n\
             created by main.main in goroutine 1\n\t/src/main.go:7\n\n\
             goroutine 8 [syscall]:\n\
             non-Go function\n\tpc=0x7f0000001000\n\
             syscall.read()\n\t?:0\n\
             ...additional frames elided...\n\
             created by main.start\n\t/src/main.go:9\n"
        );
    }

    #[test]
    fn hostile_names_stay_in_their_lines() {
        let written = text(&samples::hostile());
        assert!(written.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()), "{written}");
        assert_eq!(written.lines().filter(|line| line.starts_with("goroutine ")).count(), 1);
        assert_eq!(written.lines().filter(|line| line.starts_with("created by ")).count(), 1);
    }

    #[test]
    fn waits_within_a_bubble() {
        let mut dump = samples::small();
        dump.goroutines.truncate(2);
        dump.goroutines[1].wait_reason = Some("sleep".into());
        dump.goroutines[1].durable = true;
        assert!(text(&dump).contains("[sleep (durable), 3 minutes, locked to thread]:\n"));
    }

    #[test]
    fn leaks_that_the_runtime_found() {
        let mut dump = samples::small();
        dump.goroutines.truncate(2);
        dump.goroutines[1].state = "leaked".into();
        assert!(text(&dump).contains("[chan receive (leaked), 3 minutes, locked to thread]:\n"));
    }
}
