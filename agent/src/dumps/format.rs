//! The forms that a dump can be written in.

use std::{fmt, str::FromStr};

/// A form of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// As Go's own: `runtime.Stack`, and `/debug/pprof/goroutine?debug=2`.
    Text,
    /// For programs; has everything that is known.
    Json,
    /// For `go tool pprof`: a packed profile, like Go's own of goroutines.
    Pprof,
    /// A line for each stack with its number, for flame graphs.
    Folded,
    /// A flame graph.
    Svg,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Text, Self::Json, Self::Pprof, Self::Folded, Self::Svg];

    /// Its name on the command line and in a URL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Pprof => "pprof",
            Self::Folded => "folded",
            Self::Svg => "svg",
        }
    }

    /// What HTTP calls it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text | Self::Folded => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            // As Go's own server does.
            Self::Pprof => "application/octet-stream",
            Self::Svg => "image/svg+xml",
        }
    }

    /// Whether it marks the runtime's own goroutines, so that they need not be left out. The other
    /// forms are those of Go, and Go's own dumps leave them out.
    #[must_use]
    pub fn marks_system(self) -> bool {
        matches!(self, Self::Json)
    }

    /// Whether it may be shown on a terminal.
    #[must_use]
    pub fn is_for_people(self) -> bool {
        matches!(self, Self::Text | Self::Json | Self::Folded)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.as_str() == name).ok_or(UnknownFormat)
    }
}

/// No form has that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("one of {} is needed", Format::ALL.map(Format::as_str).join(", "))]
pub struct UnknownFormat;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        let error = "xml".parse::<Format>().unwrap_err().to_string();
        assert!(error.contains("text, json, pprof, folded, svg"), "{error}");
    }
}
