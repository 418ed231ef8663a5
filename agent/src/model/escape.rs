//! Names and paths of targets, made safe to show: a program may call itself anything.

use std::fmt::Write as _;

/// Most characters of one name that are shown.
pub const NAME_LIMIT: usize = 256;
/// Most characters of one path, or of one message, that are shown.
pub const PATH_LIMIT: usize = 4096;

/// Control characters, escape codes, and characters that change the order or are not seen, as
/// `\u{1b}`; at most `limit` characters of the text, with `…` behind if it was longer.
#[must_use]
pub fn escape(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit));
    for (number, c) in text.chars().enumerate() {
        if number == limit {
            shown.push('…');
            break;
        }
        if is_unsafe(c) {
            // Writing to a string does not fail.
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// JSON text with the same characters in JSON's own notation, so that it can be shown and still
/// means the same. (Below U+0020 JSON has no others.)
#[must_use]
pub fn escape_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        // Line ends and blanks stand between values; inside of strings they are escaped already.
        if is_unsafe(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Whether a terminal, or a reader, could be deceived by it.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Marks and overrides of direction, line and paragraph ends, and what has no width:
            // <https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>.
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays() {
        for text in ["", "/usr/bin/app", "naïve ✓ 日本語", r"back\slash", "a b"] {
            assert_eq!(escape(text, 100), text);
        }
    }

    #[test]
    fn what_a_terminal_would_act_on_does_not_reach_it() {
        assert_eq!(escape("\x1b[31mred\x07", 100), r"\u{1b}[31mred\u{7}");
        assert_eq!(escape("a\nb\tc\r\x7f\u{9b}2J", 100), r"a\u{a}b\u{9}c\u{d}\u{7f}\u{9b}2J");
        assert_eq!(escape("x\u{202e}gpj.exe\u{2066}", 100), r"x\u{202e}gpj.exe\u{2066}");
        assert_eq!(
            escape("\u{200b}\u{feff}\u{2028}\u{e0041}", 100),
            r"\u{200b}\u{feff}\u{2028}\u{e0041}"
        );
    }

    #[test]
    fn bounded() {
        assert_eq!(escape("abcdef", 6), "abcdef");
        assert_eq!(escape("abcdefg", 6), "abcdef…");
        assert_eq!(escape("äöü", 2), "äö…");
        assert!(escape(&"\x1b".repeat(1_000_000), NAME_LIMIT).len() < 8 * NAME_LIMIT);
    }

    #[test]
    fn json_means_the_same() {
        let name = "\x1b[1m\n\u{202e}\u{9b}\u{e0041}\u{7f}\"é";
        let json = serde_json::to_string_pretty(&[name]).unwrap();
        let shown = escape_json(&json);
        assert!(shown.chars().all(|c| c == '\n' || !is_unsafe(c)), "{shown:?}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [name]);
    }
}
