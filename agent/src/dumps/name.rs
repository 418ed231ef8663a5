//! Names of functions and files, made harmless for the forms that are lines of text.

use std::borrow::Cow;

use crate::model::escape::{escape, is_unsafe};

/// Longest name that is written, in characters. Names of generic code are long.
pub(super) const LONGEST: usize = 4096;

/// The stand-in for frames that the source left out of the middle of a stack, as Go writes it:
/// `...23 frames elided...`.
pub(super) const ELIDED: &str = " frames elided...";

/// Without control characters, and of bounded length.
pub(super) fn plain(name: &str) -> Cow<'_, str> {
    let short = name.len() <= LONGEST;
    if short && name.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(name);
    }
    if name.chars().any(is_unsafe) || name.chars().nth(LONGEST).is_some() {
        return Cow::Owned(escape(name, LONGEST));
    }
    Cow::Borrowed(name)
}

/// The same, and not to be mistaken for another line of Go's text.
pub(super) fn of_function(name: &str) -> Cow<'_, str> {
    /// How other lines, and files of another form, begin.
    const OTHERS: [&str; 9] =
        ["goroutine ", "goroutineleak ", "created by ", "exit status ", "#", "...", "[", "{", "<"];
    let plain = plain(name);
    if (OTHERS.iter().any(|other| plain.starts_with(other)) && !is_elided(&plain))
        || plain.starts_with(' ')
    {
        let mut characters = plain.chars();
        let first = characters.next().map(u32::from).unwrap_or_default();
        return Cow::Owned(format!("\\u{{{first:x}}}{}", characters.as_str()));
    }
    plain
}

/// What Go calls the state or the reason to wait, within the brackets of a header.
pub(super) fn of_state(word: &str) -> Cow<'_, str> {
    let plain = plain(word);
    if plain.contains(['[', ']', ',']) {
        return Cow::Owned(plain.replace('[', "(").replace(']', ")").replace(',', ";"));
    }
    plain
}

/// Whether the frame of that name stands for others.
pub(super) fn is_elided(name: &str) -> bool {
    let count = name.strip_prefix("...").and_then(|rest| rest.strip_suffix(ELIDED));
    count.is_some_and(|count| !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_stay() {
        for name in ["main.(*T[...]).run.func1", "go.(*struct { sync.Mutex }).Lock", "päck.f", ""]
        {
            assert_eq!(plain(name), name);
            assert_eq!(of_function(name), name);
        }
        assert_eq!(of_state("chan receive (nil chan)"), "chan receive (nil chan)");
        assert_eq!(of_function("...12 frames elided..."), "...12 frames elided...");
    }

    #[test]
    fn nothing_gets_out_of_its_line() {
        assert_eq!(plain("a\nb\x1b[2Jc\u{202e}"), r"a\u{a}b\u{1b}[2Jc\u{202e}");
        assert_eq!(plain(&"x".repeat(4000)).len(), 4000);
        assert_eq!(plain(&"x".repeat(1_000_000)).chars().count(), LONGEST + 1);
        assert_eq!(plain(&"ä".repeat(4000)).chars().count(), 4000);
        assert_eq!(of_state("a], b [c"), "a); b (c");
    }

    #[test]
    fn nothing_looks_like_another_line() {
        assert_eq!(of_function("goroutine 1 [x]:"), r"\u{67}oroutine 1 [x]:");
        assert_eq!(of_function("created by x"), r"\u{63}reated by x");
        assert_eq!(of_function("...x frames elided..."), r"\u{2e}..x frames elided...");
    }
}
