//! Dumps as folded stacks, for flame graphs: `main.main;main.run;main.wait 12`.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, Write},
};

use crate::{
    dumps::name,
    model::dump::{Dump, Frame, Goroutine},
};

/// Stands below a stack that goes on there.
pub(in crate::dumps) const TRUNCATED: &str = "[truncated]";

/// Writes a dump.
pub(super) fn write(dump: &Dump, out: &mut impl Write) -> io::Result<()> {
    for (stack, count) in lines(dump) {
        writeln!(out, "{stack} {count}")?;
    }
    Ok(())
}

/// The stacks with their numbers, sorted.
pub(super) fn lines(dump: &Dump) -> BTreeMap<String, u64> {
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    for goroutine in &dump.goroutines {
        let count = lines.entry(stack(goroutine)).or_default();
        *count = count.saturating_add(goroutine.count);
    }
    lines
}

/// The outermost call first. Where there is no stack, the state stands for it.
fn stack(goroutine: &Goroutine) -> String {
    if goroutine.stack.is_empty() {
        return without_stack(goroutine);
    }
    let functions = goroutine.stack.iter().rev().map(|Frame { place, .. }| &*place.function);
    joined(functions, goroutine.truncated)
}

/// What stands for a stack that is not known.
pub(in crate::dumps) fn without_stack(goroutine: &Goroutine) -> String {
    let word = goroutine.wait_reason.as_ref().unwrap_or(&goroutine.state);
    let word = if word.is_empty() { super::text::NO_STATE } else { word };
    format!("[{}]", harmless(&name::of_state(word)))
}

/// Names of functions, the outermost first, as one word of a line.
pub(in crate::dumps) fn joined<'a>(
    functions: impl Iterator<Item = &'a str>,
    truncated: bool,
) -> String {
    let mut line = String::new();
    let below = truncated.then_some(TRUNCATED);
    for function in below.into_iter().map(Cow::Borrowed).chain(functions.map(word)) {
        if !line.is_empty() {
            line.push(';');
        }
        line.push_str(&function);
    }
    line
}

fn word(function: &str) -> Cow<'_, str> {
    if function.is_empty() {
        return Cow::Borrowed(super::text::FOREIGN);
    }
    match name::of_function(function) {
        Cow::Borrowed(name) => harmless(name),
        Cow::Owned(name) => Cow::Owned(harmless(&name).into_owned()),
    }
}

/// Without what has a meaning in a line: semicolons, blanks at the ends or before a number (it
/// would be taken for a count).
fn harmless(name: &str) -> Cow<'_, str> {
    let last = name.rsplit(' ').next().unwrap_or_default();
    let counts = last.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let blank = |c: char| c != ' ' && c.is_whitespace();
    let ends = name.starts_with(' ') || (name.contains(' ') && counts);
    if !name.contains(';') && !ends && !name.contains(blank) {
        return Cow::Borrowed(name);
    }
    let mut written = String::with_capacity(name.len());
    let last_blank = name.rfind(' ').filter(|_| counts);
    for (at, c) in name.char_indices() {
        match c {
            ';' => written.push(':'),
            ' ' if at == 0 || Some(at) == last_blank => written.push('_'),
            c if blank(c) => {
                // Writing to a string does not fail.
                let _ = write!(written, "\\u{{{:x}}}", u32::from(c));
            }
            c => written.push(c),
        }
    }
    Cow::Owned(written)
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
    fn stacks_alike_are_one_line() {
        let mut dump = samples::small();
        dump.goroutines.push(dump.goroutines[1].clone());
        assert_eq!(
            text(&dump),
            "[running] 1\n[truncated];syscall.read;non-Go function 1\n\
             main.(*T[...]).run;main.wait 2\n"
        );
    }

    #[test]
    fn nothing_gets_out_of_its_place() {
        let written = text(&samples::hostile());
        let (stack, count) = written.trim_end().rsplit_once(' ').unwrap();
        assert_eq!((stack.split(';').count(), count, written.lines().count()), (12, "1", 1));
        assert!(stack.contains("semi:colon:names 12_34"), "{stack}");
        assert!(!written.trim_end().contains(char::is_control), "{written}");
        for (name, expected) in [
            ("a 12", "a_12"),
            ("a 12 3.5", "a 12_3.5"),
            (" a", r"\u{20}a"),
            ("a\u{3000}", r"a\u{3000}"),
            ("struct { x int }", "struct { x int }"),
        ] {
            assert_eq!(word(name), expected);
        }
    }
}
