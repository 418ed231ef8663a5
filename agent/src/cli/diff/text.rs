//! What differs, for people.

use std::fmt::Write as _;

use crate::{
    cli::value::By,
    dumps::diff::{Change, Diff, Key, Moved},
    model::dump::{Dump, Place},
    show::{
        escape::{NAME_LIMIT, PATH_LIMIT, escape},
        plural::{plural, were},
        table::{Align, Table},
    },
};

/// Calls of a stack that are shown.
const CALLS: usize = 24;

/// The two dumps.
pub(super) struct Sides {
    /// What they are called.
    pub(super) names: [String; 2],
    pub(super) before: Dump,
    pub(super) after: Dump,
}

/// The whole output.
pub(super) fn text(
    sides: &Sides,
    diff: &Diff,
    by: By,
    limit: usize,
    width: Option<usize>,
) -> String {
    let mut text = summary(sides, diff);
    let (changes, none) = match by {
        By::Site => (&diff.sites, "no creation site has more or fewer goroutines"),
        By::Stack => (&diff.stacks, "no stack has more or fewer goroutines"),
    };
    if diff.is_empty() {
        return text;
    }
    text.push('\n');
    let shown = changes.get(..limit).unwrap_or(changes);
    match by {
        _ if changes.is_empty() => {
            text.push_str(none);
            text.push_str(if by == By::Site { "; --by stack shows more\n" } else { "\n" });
        }
        By::Site => text.push_str(&sites(shown).render(width)),
        By::Stack => {
            for (number, change) in shown.iter().enumerate() {
                if number > 0 {
                    text.push('\n');
                }
                stack(change, &mut text);
            }
        }
    }
    let more = changes.len().saturating_sub(shown.len());
    if more > 0 {
        // Writing to a string does not fail.
        let _ = writeln!(text, "\nand {more} more; --limit shows them");
    }
    text
}

/// A line for both dumps, and one for what became of their goroutines.
pub(super) fn summary(sides: &Sides, diff: &Diff) -> String {
    let mut text = String::new();
    let [before, after] = sides.names.each_ref().map(|name| escape(name, PATH_LIMIT));
    if diff.is_empty() {
        let Diff { after: count, distinct_stacks, .. } = diff;
        let _ = writeln!(
            text,
            "no difference: {} with {} in both {before} and {after}",
            plural(*count, "goroutine"),
            plural(*distinct_stacks as u64, "different stack"),
        );
        return text;
    }
    let delta = diff.after.cast_signed().saturating_sub(diff.before.cast_signed());
    let _ = writeln!(
        text,
        "{} in {before}, {} in {after}: {}",
        plural(diff.before, "goroutine"),
        diff.after,
        signed(delta)
    );
    if let Some(Moved { born, gone, stayed, in_place }) = diff.moved {
        let _ = writeln!(
            text,
            "{} born, {gone} ended, {stayed} stayed, {in_place} of them where {}",
            were(born),
            if in_place == 1 { "it was" } else { "they were" }
        );
    }
    text
}

/// `+7`, `-7`; nothing for none.
fn signed(delta: i64) -> String {
    if delta == 0 { "as many".to_owned() } else { format!("{delta:+}") }
}

fn sites(changes: &[Change]) -> Table {
    let moves = changes.iter().any(|change| change.moved.is_some());
    let mut columns =
        vec![("GROWTH", Align::Right), ("BEFORE", Align::Right), ("AFTER", Align::Right)];
    if moves {
        let counts = [("BORN", Align::Right), ("ENDED", Align::Right), ("IN PLACE", Align::Right)];
        columns.extend(counts);
    }
    columns.extend([("CREATED BY", Align::Left), ("LOCATION", Align::Left)]);
    let mut table = Table::new(&columns);
    for change in changes {
        let Key::Site(place) = &change.key else { continue };
        let mut row =
            vec![signed(change.delta()), change.before.to_string(), change.after.to_string()];
        if moves {
            let Moved { born, gone, in_place, .. } = change.moved.unwrap_or_default();
            row.extend([born, gone, in_place].map(|count| count.to_string()));
        }
        row.extend([function(place), escape(&place.location(), NAME_LIMIT)]);
        table.row(row);
    }
    table
}

fn stack(change: &Change, text: &mut String) {
    let Key::Stack(calls) = &change.key else { return };
    let _ = write!(
        text,
        "{}: {} before, {} after",
        signed(change.delta()),
        change.before,
        change.after
    );
    if let Some(moved) = change.moved {
        let _ = write!(text, ", {} in place", moved.in_place);
    }
    text.push('\n');
    for place in calls.iter().take(CALLS) {
        let file = escape(&place.file, PATH_LIMIT);
        let _ = write!(text, "    {}", function(place));
        if !file.is_empty() {
            let _ = write!(text, "\n        {file}:{}", place.line);
        }
        text.push('\n');
    }
    let more = calls.len().saturating_sub(CALLS);
    if more > 0 {
        let _ = writeln!(text, "    ... and {more} more calls");
    }
}

fn function(place: &Place) -> String {
    if place.function.is_empty() {
        return "(unknown)".to_owned();
    }
    escape(&place.function, NAME_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dump::{Frame, Goroutine};

    fn goroutine(goid: u64, function: &str) -> Goroutine {
        let place = |line| Place { function: function.into(), file: "/src/main.go".into(), line };
        Goroutine {
            goid,
            created_by: Some(place(7)),
            stack: [Frame { place: place(12), ..Frame::default() }].into(),
            count: 1,
            ..Goroutine::default()
        }
    }

    fn shown(before: &[(u64, &str)], after: &[(u64, &str)], by: By, limit: usize) -> String {
        let dump = |list: &[(u64, &str)]| Dump {
            goroutines: list.iter().map(|(goid, function)| goroutine(*goid, function)).collect(),
            ..Dump::default()
        };
        let names = ["a".to_owned(), "b".to_owned()];
        let sides = Sides { names, before: dump(before), after: dump(after) };
        let diff = Diff::new(&sides.before, &sides.after);
        text(&sides, &diff, by, limit, None)
    }

    const BEFORE: &[(u64, &str)] = &[(1, "main.a"), (2, "main.b")];
    const AFTER: &[(u64, &str)] = &[(1, "main.a"), (3, "main.a"), (4, "main.a"), (5, "x\x1b[2J")];

    #[test]
    fn by_site() {
        assert_eq!(
            shown(BEFORE, AFTER, By::Site, 20),
            "2 goroutines in a, 4 in b: +2\n\
             3 were born, 1 ended, 1 stayed, 1 of them where it was\n\n\
             GROWTH  BEFORE  AFTER  BORN  ENDED  IN PLACE  CREATED BY  LOCATION\n    \
             +2       1      3     2      0         1  main.a      main.go:7\n    \
             +1       0      1     1      0         0  x\\u{1b}[2J  main.go:7\n    \
             -1       1      0     0      1         0  main.b      main.go:7\n"
        );
    }

    #[test]
    fn by_stack_and_not_all() {
        assert_eq!(
            shown(BEFORE, AFTER, By::Stack, 1),
            "2 goroutines in a, 4 in b: +2\n\
             3 were born, 1 ended, 1 stayed, 1 of them where it was\n\n\
             +2: 1 before, 3 after, 1 in place\n    main.a\n        /src/main.go:12\n\n\
             and 2 more; --limit shows them\n"
        );
    }

    #[test]
    fn nothing() {
        assert_eq!(
            shown(BEFORE, BEFORE, By::Site, 20),
            "no difference: 2 goroutines with 2 different stacks in both a and b\n"
        );
        let text = shown(&[(1, "main.a")], &[(2, "main.a")], By::Site, 20);
        assert!(text.contains(": as many\n1 was born, 1 ended"), "{text}");
    }
}
