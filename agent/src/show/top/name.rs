//! Names of targets, made harmless and brought to a width; the end of a name tells most.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::{model::site::SiteName, show::escape::escape};

/// Characters of a longer name that are kept of each of its ends.
const END: usize = 150;

/// A name without anything that a terminal would act on, of a bounded length.
#[must_use]
pub fn harmless(name: &str) -> String {
    let length = name.chars().count();
    if length <= 2 * END {
        return escape(name, 2 * END);
    }
    let head: String = name.chars().take(END).collect();
    let tail: String = name.chars().skip(length.saturating_sub(END)).collect();
    format!("{}…{}", escape(&head, END), escape(&tail, END))
}

/// The text, in at most so many columns; a longer one loses part of its middle, and keeps more of
/// its end than of its beginning.
#[must_use]
pub fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let Some(room) = width.checked_sub(1) else { return String::new() };
    let head = room / 3;
    let kept = fitting(text.chars(), head);
    let end: Vec<char> = fitting(text.chars().rev(), room.saturating_sub(head));
    kept.into_iter().chain(['…']).chain(end.into_iter().rev()).collect()
}

fn fitting(text: impl Iterator<Item = char>, mut room: usize) -> Vec<char> {
    let mut kept = Vec::new();
    for c in text {
        match room.checked_sub(c.width().unwrap_or(0)) {
            Some(left) => room = left,
            None => break,
        }
        kept.push(c);
    }
    kept
}

/// A creation site in so many columns: the function with the `go` statement, where that is, and
/// what it starts, if there is room.
#[must_use]
pub fn site(name: &SiteName, width: usize) -> String {
    /// With less of the function started nobody can do anything.
    const LEAST: usize = 16;
    if name.is_main() {
        return shorten("the main goroutine", width);
    }
    let (creator, start) = (harmless(&name.created_by), harmless(&name.start));
    let place = shorten(&harmless(&name.location()), width.saturating_mul(2) / 3);
    let gap = usize::from(!place.is_empty());
    let room = width.saturating_sub(place.width()).saturating_sub(gap);
    let arrow = " → ";
    let whole = creator.width() + arrow.width() + start.width();
    if whole <= room {
        return joined(&creator, &place, &format!("{arrow}{start}"));
    }
    let for_start = room.saturating_sub(creator.width()).saturating_sub(arrow.width());
    if for_start >= LEAST {
        return joined(&creator, &place, &format!("{arrow}{}", shorten(&start, for_start)));
    }
    joined(&shorten(&creator, room), &place, "")
}

fn joined(creator: &str, place: &str, start: &str) -> String {
    let gap = if place.is_empty() { "" } else { " " };
    format!("{creator}{gap}{place}{start}")
}

/// Lines of at most so many columns.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let word = shorten(word, width);
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(&word),
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal() {
        assert_eq!(harmless("a\x1b[2Jb"), r"a\u{1b}[2Jb");
        let long = format!("start{}end\x07", "x".repeat(4000));
        let shown = harmless(&long);
        assert!(shown.starts_with("startx") && shown.ends_with(r"xend\u{7}"), "{shown}");
        assert!(shown.chars().count() < 8 * 2 * END);
    }

    #[test]
    fn the_end_is_kept() {
        assert_eq!(shorten("main.main", 9), "main.main");
        let name = "github.com/acme/shop/internal/cart.(*Store).Watch.func1";
        assert_eq!(shorten(name, 30), "github.co…(*Store).Watch.func1");
        for width in 0..60 {
            assert!(shorten(name, width).width() <= width);
            assert!(shorten("日本語日本語日本語", width).width() <= width);
        }
        assert_eq!(shorten(name, 0), "");
        assert_eq!(shorten(name, 1), "…");
    }

    #[test]
    fn sites() {
        let name = SiteName {
            created_by: "main.lookup".to_owned(),
            file: "/src/main.go".to_owned(),
            line: 52,
            start: "main.lookup.func1".to_owned(),
        };
        assert_eq!(site(&name, 80), "main.lookup main.go:52 → main.lookup.func1");
        assert_eq!(site(&name, 41), "main.lookup main.go:52 → main.…okup.func1");
        assert_eq!(site(&name, 30), "main.lookup main.go:52");
        assert_eq!(site(&name, 18), "ma…okup main.go:52");
        for width in 0..100 {
            assert!(site(&name, width).width() <= width, "{width}");
        }
        let unknown = SiteName { created_by: "f".to_owned(), ..SiteName::default() };
        assert_eq!(site(&unknown, 20), "f → ");
        // Assembly has created it, of which there is no line.
        let main = SiteName {
            created_by: "runtime.newproc".to_owned(),
            file: "<autogenerated>".to_owned(),
            line: 1,
            start: "runtime.main".to_owned(),
        };
        assert_eq!(site(&main, 40), "the main goroutine");
    }

    #[test]
    fn lines_fit() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("", 7), [""]);
        assert_eq!(wrapped("abcdefghij", 7), ["ab…ghij"]);
    }
}
