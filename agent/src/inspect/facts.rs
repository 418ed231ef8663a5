//! What a Go binary says about itself.

use std::fmt;

/// What is known of a Go binary without looking at its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The version of the toolchain as the binary has it: `go1.26.6`.
    pub go_version: String,
    /// That version taken apart; `None` where it is none of the form `go1.N`.
    pub version: Option<GoVersion>,
    /// Path of the main module, or of the main package where it was built without modules.
    pub module: Option<String>,
    /// The Go build id, from the note of the linker.
    pub build_id: Option<String>,
    /// The instruction set.
    pub arch: Arch,
    /// There is no symbol table.
    pub stripped: bool,
    /// It is position-independent: loaded at another address each time.
    pub pie: bool,
    /// There is DWARF.
    pub dwarf: bool,
    /// The build settings (`GOEXPERIMENT`, `CGO_ENABLED`, `-ldflags`, …), in the binary's order.
    pub settings: Vec<(String, String)>,
}

impl Facts {
    /// The value of a build setting.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// A release of Go 1: `go1.26.6` is minor 26, patch 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoVersion {
    /// The number behind `go1.`.
    pub minor: u16,
    /// The number behind that; 0 where there is none, as in `go1.21rc2`.
    pub patch: u16,
}

impl GoVersion {
    /// Reads `go1.26.6`, `go1.27rc1`, `go1.25.5 X:noswissmap`, `devel go1.28-3f1a7b2 Tue …`,
    /// `go1.24.3 (Red Hat 1.24.3-1)`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("devel ").unwrap_or(text).strip_prefix("go1.")?;
        let (minor, rest) = number(rest)?;
        let patch = rest.strip_prefix('.').and_then(number).map_or(0, |(patch, _)| patch);
        Some(Self { minor, patch })
    }
}

fn number(text: &str) -> Option<(u16, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

/// The instruction set of a binary.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Arch {
    /// x86-64.
    Amd64,
    /// AArch64.
    Arm64,
    /// Another one, by Go's name for it or its number in the ELF header.
    Other(String),
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Amd64 => f.write_str("amd64"),
            Self::Arm64 => f.write_str("arm64"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_taken_apart() {
        let version = |minor, patch| Some(GoVersion { minor, patch });
        for (text, expected) in [
            ("go1.26.6", version(26, 6)),
            ("go1.21", version(21, 0)),
            ("go1.27rc1", version(27, 0)),
            ("go1.24.1-custom", version(24, 1)),
            ("go1.25.5 X:noswissmap", version(25, 5)),
            ("go1.24.3 (Red Hat 1.24.3-1)", version(24, 3)),
            ("devel go1.28-3f1a7b2 Tue Jan 2", version(28, 0)),
            ("go1.", None),
            ("go2.1", None),
            ("go1.99999999", None),
            ("unknown", None),
            ("", None),
        ] {
            assert_eq!(GoVersion::parse(text), expected, "{text}");
        }
    }
}
