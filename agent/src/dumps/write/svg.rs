//! Dumps as flame graphs: a picture that needs nothing else, and can be searched and zoomed.

use std::io::{self, Write};

use inferno::flamegraph::{Options, TextTruncateDirection, from_lines};

use super::folded;
use crate::{
    dumps::{limits, name},
    model::dump::Dump,
};

/// Writes a dump.
pub(super) fn write(dump: &Dump, out: &mut impl Write) -> io::Result<()> {
    let mut options = options();
    options.title = match dump.pid {
        0 => "Goroutines".to_owned(),
        pid => format!("Goroutines of process {pid}"),
    };
    options.subtitle = Some(dump.go_version.as_str())
        .filter(|version| !version.is_empty())
        .map(|version| name::plain(version).into_owned());
    let lines = folded::lines(dump)
        .into_iter()
        .map(|(stack, count)| format!("{} {}", shortened(&stack), count.min(limits::COUNT)));
    flames(&mut options, &lines.collect::<Vec<_>>(), out)
}

/// What all flame graphs have in common.
pub(in crate::dumps) fn options() -> Options<'static> {
    let mut options = Options::default();
    options.count_name = "goroutines".to_owned();
    options.name_type = "Function:".to_owned();
    // The end of a name tells more than its package's path.
    options.text_truncate_direction = TextTruncateDirection::Left;
    // The same picture of the same dump.
    options.deterministic = true;
    options
}

/// Draws lines of stacks with a count, or two.
pub(in crate::dumps) fn flames(
    options: &mut Options<'_>,
    lines: &[String],
    out: &mut impl Write,
) -> io::Result<()> {
    // Profiles can have stacks that nobody is at: of them alone there is nothing to draw.
    let has_width = |line: &String| line.rsplit_once(' ').is_some_and(|(_, count)| count != "0");
    if !lines.iter().any(has_width) {
        return from_lines(options, ["(no goroutines) 1"], out);
    }
    from_lines(options, lines.iter().map(String::as_str), out)
}

/// A stack without its middle, where that is too deep for a picture.
pub(in crate::dumps) fn shortened(stack: &str) -> std::borrow::Cow<'_, str> {
    let frames: Vec<&str> = stack.split(';').collect();
    let half = limits::FLAMES / 2;
    let middle = frames.len().saturating_sub(2 * half);
    let (Some(outer), Some(inner)) =
        (frames.get(..half), frames.get(frames.len().saturating_sub(half)..))
    else {
        return stack.into();
    };
    if middle == 0 {
        return stack.into();
    }
    [outer.join(";"), format!("...{middle}{}", name::ELIDED), inner.join(";")].join(";").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dumps::samples;

    fn svg(dump: &Dump) -> String {
        let mut out = Vec::new();
        write(dump, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_picture_that_needs_nothing_else() {
        let svg = svg(&samples::small());
        assert!(svg.contains("<title>main.wait (1 goroutines, 33.33%)</title>"), "{svg}");
        assert!(svg.contains("Goroutines of process 42"));
        // Names of namespaces are no links.
        for link in ["href=\"http", "src=", "url(http", "@import"] {
            assert!(!svg.contains(link), "{link}");
        }
    }

    #[test]
    fn hostile_names_are_text() {
        let svg = svg(&samples::hostile());
        assert!(!svg.contains("<script>alert") && !svg.contains("<b>"));
        assert!(svg.contains("&lt;script&gt;alert(1)"));
        assert!(svg.chars().all(|c| matches!(c, '\n' | '\t' | '\r') || !c.is_control()));
        let svg = self::svg(&Dump::default());
        assert!(svg.contains("(no goroutines)"));
    }

    #[test]
    fn stacks_that_nobody_is_at_are_no_error() {
        let mut dump = samples::small();
        dump.goroutines.iter_mut().for_each(|goroutine| goroutine.count = 0);
        assert!(svg(&dump).contains("(no goroutines)"));
    }

    #[test]
    fn deep_stacks_lose_their_middle() {
        let mut dump = samples::small();
        dump.goroutines.truncate(2);
        dump.goroutines[1].stack =
            (0..5000).map(|line| samples::frame(&format!("main.f{line}"), line, 1)).collect();
        let svg = svg(&dump);
        assert!(svg.contains("...4744 frames elided..."));
        assert!(svg.contains("main.f0 (1") && svg.contains("main.f4999 (1"));
        assert!(!svg.contains("main.f2500 ("));
    }
}
