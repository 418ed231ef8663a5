//! The summary of a dump: goroutines with the same stack together, the most first.

use std::{collections::HashMap, fmt::Write as _};

use crate::{
    model::dump::{Dump, Frame, Goroutine, Place},
    show::{
        escape::{NAME_LIMIT, escape},
        plural::plural,
    },
};

/// Groups that are shown.
const GROUPS: usize = 20;
/// Calls of a stack that are shown.
const FRAMES: usize = 6;

/// Goroutines that do the same at the same place.
struct Group<'a> {
    first: &'a Goroutine,
    goroutines: u64,
    /// The longest wait that is known, in seconds.
    longest: Option<f64>,
}

/// The summary, for people, of a process that also has so many goroutines of the runtime itself.
pub(super) fn summary(dump: &Dump, system: usize) -> String {
    let mut groups: HashMap<_, Group<'_>> = HashMap::new();
    for goroutine in dump.goroutines.iter().filter(|goroutine| !goroutine.system) {
        let key = (&goroutine.stack, &goroutine.state, &goroutine.wait_reason);
        let created = goroutine.created_by.as_ref();
        let group = groups.entry((key, created, goroutine.torn)).or_insert(Group {
            first: goroutine,
            goroutines: 0,
            longest: None,
        });
        group.goroutines = group.goroutines.saturating_add(goroutine.count);
        group.longest =
            [group.longest, goroutine.wait_seconds].into_iter().flatten().reduce(f64::max);
    }
    let mut groups: Vec<Group<'_>> = groups.into_values().collect();
    groups.sort_by_key(|group| (std::cmp::Reverse(group.goroutines), group.first.goid));
    let torn = dump.goroutines.iter().filter(|goroutine| goroutine.torn).count();
    let user: u64 = groups.iter().map(|group| group.goroutines).sum();
    let mut text = format!(
        "process {} ({}): {} with {}, {system} of the runtime\n",
        dump.pid,
        escape(&dump.go_version, NAME_LIMIT),
        plural(user, "goroutine"),
        plural(groups.len() as u64, "different stack"),
    );
    if torn > 0 {
        let _ = match torn {
            1 => writeln!(text, "1 ran each time it was looked at: its stack is left out"),
            _ => writeln!(
                text,
                "{torn} ran each time they were looked at: their stacks are left out"
            ),
        };
    }
    for group in groups.iter().take(GROUPS) {
        group.write(&mut text);
    }
    if let Some(more) = groups.get(GROUPS..).filter(|more| !more.is_empty()) {
        let goroutines: u64 = more.iter().map(|group| group.goroutines).sum();
        let stacks = plural(more.len() as u64, "other stack");
        let _ = writeln!(text, "\n{goroutines} more with {stacks}");
    }
    text
}

impl Group<'_> {
    fn write(&self, text: &mut String) {
        let Goroutine { state, wait_reason, stack, created_by, torn, truncated, no_stack, .. } =
            self.first;
        let does = wait_reason.as_ref().unwrap_or(state);
        let _ = write!(text, "\n{:>7}  {}", self.goroutines, escape(does, NAME_LIMIT));
        if let Some(longest) = self.longest {
            let _ = write!(text, ", up to {longest:.0} s");
        }
        text.push('\n');
        let calls = stack.get(..FRAMES).unwrap_or(stack);
        for Frame { place, .. } in calls {
            line(text, "", place);
        }
        if stack.len() > calls.len() {
            let _ = writeln!(text, "         … {} more", stack.len() - calls.len());
        } else if *truncated {
            text.push_str("         … and more that could not be followed\n");
        } else if *torn {
            text.push_str("         (it ran meanwhile)\n");
        } else if let Some(why) = no_stack {
            let _ = writeln!(text, "         (no stack: {})", escape(why, NAME_LIMIT));
        }
        if let Some(place) = created_by {
            line(text, "created by ", place);
        }
    }
}

fn line(text: &mut String, before: &str, place: &Place) {
    let function = escape(&place.function, NAME_LIMIT);
    let location = escape(&place.location(), NAME_LIMIT);
    let _ = writeln!(text, "         {before}{function}  {location}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dump::Stack;

    fn goroutine(goid: u64, stack: &Stack) -> Goroutine {
        Goroutine {
            goid,
            state: "waiting".into(),
            wait_reason: Some("chan receive".into()),
            stack: stack.clone(),
            count: 1,
            ..Goroutine::default()
        }
    }

    #[test]
    fn the_same_stack_is_shown_once() {
        let frame = |function: &str| Frame {
            place: Place { function: function.into(), file: "/a/b.go".into(), line: 7 },
            ..Frame::default()
        };
        let (one, other): (Stack, Stack) =
            ([frame("main.a"), frame("main.\x1b[1m")].into(), vec![frame("main.b"); 9].into());
        let mut dump = Dump {
            pid: 42,
            go_version: "go1.26.6".to_owned(),
            goroutines: vec![goroutine(7, &other), goroutine(1, &one), goroutine(2, &one)],
            ..Dump::default()
        };
        dump.goroutines[2].wait_seconds = Some(61.2);
        dump.goroutines.push(Goroutine { system: true, ..goroutine(3, &one) });
        assert_eq!(
            summary(&dump, 1),
            "process 42 (go1.26.6): 3 goroutines with 2 different stacks, 1 of the runtime\n\
             \n      2  chan receive, up to 61 s\n         main.a  b.go:7\n         \
             main.\\u{1b}[1m  b.go:7\n\
             \n      1  chan receive\n         main.b  b.go:7\n         main.b  b.go:7\n         \
             main.b  b.go:7\n         main.b  b.go:7\n         main.b  b.go:7\n         \
             main.b  b.go:7\n         … 3 more\n"
        );
    }
}
