//! The release of Go that a program was built with, and what the runtime's records mean in it.
//!
//! Offsets are [`super::layout`]'s business. Here is what no layout tells: which formula a release
//! uses, and what it calls its states.

use std::fmt;

/// A minor release of Go: 26 is Go 1.26. Only those that this stage was checked against exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Minor(u8);

/// The minor releases whose runtime this stage knows.
pub const KNOWN: [Minor; 8] =
    [Minor(19), Minor(21), Minor(22), Minor(23), Minor(24), Minor(25), Minor(26), Minor(27)];

impl Minor {
    /// The known minor release of this number.
    #[must_use]
    pub fn known(number: u8) -> Option<Self> {
        KNOWN.into_iter().find(|known| known.0 == number)
    }

    /// Histograms of the runtime have 45 × 16 buckets and no overflow, instead of 40 × 4.
    /// <https://github.com/golang/go/blob/go1.19/src/runtime/histogram.go#L65>
    #[must_use]
    pub fn has_fine_histograms(self) -> bool {
        self.0 < 20
    }

    /// Go's own dumps show exported methods of the runtime's exported types.
    /// <https://github.com/golang/go/blob/go1.23.0/src/runtime/traceback.go> (`isExportedRuntime`)
    #[must_use]
    pub fn shows_exported_methods(self) -> bool {
        self.0 >= 23
    }

    /// The heap goal under a memory limit keeps 3 % of headroom, at least 1 MiB, instead of 1 MiB.
    /// <https://github.com/golang/go/blob/go1.21.0/src/runtime/mgcpacer.go#L68>
    #[must_use]
    pub fn has_relative_headroom(self) -> bool {
        self.0 >= 21
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "go1.{}", self.0)
    }
}

/// A release: the minor release, and the experiments the toolchain was told to switch on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The minor release.
    pub minor: Minor,
    /// Names of the experiments that differ from the release's default, sorted; one that is
    /// switched off has the prefix `no`.
    pub experiments: Vec<String>,
}

/// Why a version is not one whose runtime can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the runtime of {version} is not known to this version of goroscope")]
pub struct UnknownRelease {
    /// The version as the binary has it.
    pub version: String,
}

impl Release {
    /// Reads a version as the build information has it: `go1.26.6`, `go1.24.11 X:boringcrypto`,
    /// `go1.27rc1`.
    ///
    /// # Errors
    /// [`UnknownRelease`] for a development version and for releases not in [`KNOWN`].
    pub fn parse(version: &str) -> Result<Self, UnknownRelease> {
        let unknown = || UnknownRelease { version: version.chars().take(64).collect() };
        let number = version.strip_prefix("go1.").ok_or_else(unknown)?;
        let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
        let minor = number
            .get(..digits)
            .and_then(|digits| digits.parse().ok())
            .and_then(Minor::known)
            .ok_or_else(unknown)?;
        // The list stands behind a space, from 1.26 behind a hyphen where there is none before.
        // <https://github.com/golang/go/blob/go1.26.0/src/cmd/link/internal/ld/main.go#L189>
        let list = number
            .split_once(" X:")
            .or_else(|| number.split_once("-X:"))
            .map_or("", |(_, list)| list);
        let list = list.split_ascii_whitespace().next().unwrap_or_default();
        let mut experiments: Vec<_> =
            list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        experiments.sort_unstable();
        Ok(Self { minor, experiments })
    }
}

/// Architectures whose layouts and instructions are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arch {
    /// x86-64
    Amd64,
    /// AArch64
    Arm64,
}

impl Arch {
    /// Go's name for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_build_information_has_them() {
        let plain = Release::parse("go1.26.6").unwrap();
        assert_eq!((plain.minor, plain.experiments.len()), (Minor(26), 0));
        let with = Release::parse("go1.24.11 X:synctest,boringcrypto").unwrap();
        assert_eq!(
            (with.minor, with.experiments),
            (Minor(24), vec!["boringcrypto".to_owned(), "synctest".to_owned()])
        );
        let hyphen = Release::parse("go1.26.6-X:nogreenteagc").unwrap();
        assert_eq!(hyphen.experiments, ["nogreenteagc"]);
        assert_eq!(Release::parse("go1.27rc1").unwrap().minor, Minor(27));
        assert_eq!(Release::parse("go1.19").unwrap().minor, Minor(19));
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for version in ["devel go1.27-abc", "go1.18.10", "go1.20", "go1.280.1", "go2.1", "go", ""] {
            assert!(Release::parse(version).is_err(), "{version}");
        }
    }
}
