//! As much of PromQL as is needed to check the expressions that we ship: which metrics they name,
//! and what they would give without their conditions.

use std::collections::BTreeSet;

/// A piece of an expression; all pieces together are the expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// A word or a number: `rate`, `by`, `goroscope_goroutines`, `0.5`.
    Word(&'a str),
    /// A comparison: `>`, `==`, …
    Comparison(&'a str),
    /// Label matchers, or a range: with their brackets.
    Bracketed(&'a str),
    /// Everything else.
    Other(&'a str),
}

impl<'a> Piece<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Word(text)
            | Self::Comparison(text)
            | Self::Bracketed(text)
            | Self::Other(text) => text,
        }
    }
}

/// Words that are followed by a list of labels.
const BEFORE_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Words between two expressions, or in front of one.
const OPERATORS: [&str; 6] = ["and", "or", "unless", "bool", "offset", "atan2"];

fn pieces(expression: &str) -> Vec<Piece<'_>> {
    let mut rest = expression;
    let mut pieces = Vec::new();
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_ascii_alphanumeric() || "_:.$".contains(c);
        let end = match first {
            '"' | '\'' | '`' => string(rest),
            '{' => closing(rest, '}'),
            '[' => closing(rest, ']'),
            '>' | '<' | '=' | '!' => 1 + usize::from(rest.as_bytes().get(1) == Some(&b'=')),
            _ if word(first) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (text, after) = rest.split_at(end);
        pieces.push(match first {
            '{' | '[' => Piece::Bracketed(text),
            '>' | '<' | '=' | '!' => Piece::Comparison(text),
            _ if word(first) => Piece::Word(text),
            _ => Piece::Other(text),
        });
        rest = after;
    }
    pieces
}

/// Where the string that `text` begins with ends.
fn string(text: &str) -> usize {
    let mut escaped = false;
    let quote = text.chars().next();
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != Some('`') => escaped = true,
            _ if Some(c) == quote => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// Where the bracket that `text` begins with is closed.
fn closing(text: &str, bracket: char) -> usize {
    let mut index = 1;
    while let Some(rest) = text.get(index..).filter(|rest| !rest.is_empty()) {
        let Some(c) = rest.chars().next() else { break };
        if c == bracket {
            return index + 1;
        }
        index += if "\"'`".contains(c) { string(rest) } else { c.len_utf8() };
    }
    text.len()
}

/// The names of the series that an expression selects.
#[must_use]
pub fn metrics(expression: &str) -> BTreeSet<String> {
    let pieces: Vec<Piece<'_>> =
        pieces(expression).into_iter().filter(|piece| !piece.text().trim().is_empty()).collect();
    let mut names = BTreeSet::new();
    let mut labels = false;
    for (index, piece) in pieces.iter().enumerate() {
        let next = pieces.get(index + 1).map_or("", |next| next.text());
        match piece {
            Piece::Word(word) if BEFORE_LABELS.contains(word) => labels = next == "(",
            Piece::Other(")") => labels = false,
            Piece::Word(word) => {
                let plain = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
                let called = ["(", "by", "without"].contains(&next);
                if plain && !labels && !called && !OPERATORS.contains(word) {
                    names.insert((*word).to_owned());
                }
            }
            Piece::Comparison(_) | Piece::Bracketed(_) | Piece::Other(_) => {}
        }
    }
    names
}

/// The expression with all its conditions made to give 0 or 1 instead of nothing, so that it has
/// data wherever the series that it is about have; `absent(x)` becomes `x`.
#[must_use]
pub fn without_conditions(expression: &str) -> String {
    let expression = expression.trim();
    let absent = expression.strip_prefix("absent(").and_then(|rest| rest.strip_suffix(')'));
    let mut text = String::new();
    for piece in pieces(absent.unwrap_or(expression)) {
        text.push_str(piece.text());
        if matches!(piece, Piece::Comparison(_)) {
            text.push_str(" bool ");
        }
    }
    text
}

/// The ranges that an expression looks back: what stands in square brackets.
#[must_use]
pub fn ranges(expression: &str) -> BTreeSet<&str> {
    pieces(expression)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Bracketed(text) => text.strip_prefix('[')?.strip_suffix(']'),
            Piece::Word(_) | Piece::Comparison(_) | Piece::Other(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(expression: &str) -> Vec<String> {
        metrics(expression).into_iter().collect()
    }

    #[test]
    fn metrics_are_told_from_functions_labels_and_strings() {
        let expression = r#"topk(10, 60 * sum by (le, exe) (rate(a_bucket{x=~"b|{c}",y!="d"}[5m])))
            / on (job, instance) group_left (version) e:f:g > bool 0.5 and up offset 5m"#;
        assert_eq!(names(expression), ["a_bucket", "e:f:g", "up"]);
        assert_eq!(names("sum(rate(a[$__rate_interval])) by (b)"), ["a"]);
        assert_eq!(names(r#"a{b="\"}",c='}'} == 1"#), ["a"]);
        assert_eq!(names("time() - a"), ["a"]);
    }

    #[test]
    fn conditions_give_numbers() {
        assert_eq!(without_conditions(r#"a{b!="c"} > 5"#), r#"a{b!="c"} > bool  5"#);
        assert_eq!(without_conditions("a >= 1 and b != 0"), "a >= bool  1 and b != bool  0");
        assert_eq!(without_conditions(r#"absent(up{job="x"})"#), r#"up{job="x"}"#);
        assert_eq!(without_conditions("rate(a[5m])"), "rate(a[5m])");
    }

    #[test]
    fn ranges_are_what_is_looked_back() {
        let found: Vec<_> =
            ranges(r#"rate(a{b="[x]"}[5m]) + delta(c[$__range])"#).into_iter().collect();
        assert_eq!(found, ["$__range", "5m"]);
    }
}
