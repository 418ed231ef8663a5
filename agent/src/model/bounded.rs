//! What a target calls itself, made harmless: for labels and for what people read.

use std::sync::Arc;

/// Longest label value, in characters.
pub const LONGEST: usize = 200;

/// A value that comes from a target: at most [`LONGEST`] characters, the middle cut out where it
/// is longer (the ends of a function's name tell more), and nothing in it that moves a terminal's
/// cursor or turns the direction of writing.
pub fn bounded(value: &str) -> Arc<str> {
    const HEAD: usize = (LONGEST - 1) / 2;
    const TAIL: usize = LONGEST - 1 - HEAD;
    let length = value.chars().count();
    let shown = |c: char| if is_deceptive(c) { char::REPLACEMENT_CHARACTER } else { c };
    if length <= LONGEST {
        return value.chars().map(shown).collect::<String>().into();
    }
    let head = value.chars().take(HEAD);
    let tail = value.chars().skip(length - TAIL);
    head.chain(['…']).chain(tail).map(shown).collect::<String>().into()
}

fn is_deceptive(c: char) -> bool {
    // The directional controls of UAX #9 can make one name look like another.
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_stay_as_they_are() {
        for value in ["", "main.(*T[go.shape.int]).run-fm", "ünï \"quoted\" \\ back", "a\u{301}"]
        {
            assert_eq!(&*bounded(value), value);
        }
        let longest = "ä".repeat(LONGEST);
        assert_eq!(*bounded(&longest), *longest);
    }

    #[test]
    fn long_values_lose_their_middle() {
        let value = bounded(&format!("start{}end", "ö".repeat(4000)));
        assert_eq!(value.chars().count(), LONGEST);
        assert!(value.starts_with("startö") && value.ends_with("öend"));
        assert_eq!(value.matches('…').count(), 1);
    }

    #[test]
    fn nothing_moves_a_terminal() {
        assert_eq!(&*bounded("a\x1b[2Jb\nc\0d\u{9b}e\u{202e}f"), "a�[2Jb�c�d�e�f");
    }
}
