//! Colour, where it is wanted.

use std::{env, ffi::OsStr, io::IsTerminal};

/// A colour of the terminal's own palette.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// All is well.
    Green,
    /// Look here.
    Yellow,
    /// Not well.
    Red,
}

/// Paints, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paint(bool);

impl Paint {
    /// Only on a terminal that knows colours, and not where `NO_COLOR` is set
    /// (<https://no-color.org>).
    #[must_use]
    pub fn on(stream: &impl IsTerminal) -> Self {
        let (no_color, term) = (env::var_os("NO_COLOR"), env::var_os("TERM"));
        Self::decide(stream.is_terminal(), no_color.as_deref(), term.as_deref())
    }

    fn decide(is_terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> Self {
        let unwanted = no_color.is_some_and(|value| !value.is_empty());
        Self(is_terminal && !unwanted && term != Some(OsStr::new("dumb")))
    }

    /// Whether it paints.
    #[must_use]
    pub fn is_on(self) -> bool {
        self.0
    }

    /// The text in a colour.
    #[must_use]
    pub fn paint(self, colour: Colour, text: &str) -> String {
        if !self.0 {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Red => 31,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_it_is_wanted() {
        let some = |text: &'static str| Some(OsStr::new(text));
        assert!(Paint::decide(true, None, some("xterm")).is_on());
        assert!(Paint::decide(true, some(""), None).is_on());
        assert!(!Paint::decide(true, some("1"), None).is_on());
        assert!(!Paint::decide(true, None, some("dumb")).is_on());
        assert!(!Paint::decide(false, None, some("xterm")).is_on());
    }

    #[test]
    fn codes() {
        assert_eq!(Paint(true).paint(Colour::Red, "x"), "\x1b[31mx\x1b[0m");
        assert_eq!(Paint(false).paint(Colour::Red, "x"), "x");
    }
}
