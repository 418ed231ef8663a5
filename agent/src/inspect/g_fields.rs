//! The two fields of `runtime.g` that the probes read: who created a goroutine, and what it runs.

use super::{dwarf::Dwarf, error::InspectError, facts::Facts};

/// Offsets in `runtime.g`, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GFields {
    /// The address behind the `go` statement's call.
    pub gopc: u16,
    /// The entry of the function started.
    pub startpc: u16,
}

/// By the minor number of the release; the same on amd64 and arm64, and none of the fields before
/// them depends on a GOEXPERIMENT. Checked against the DWARF of each release by a test.
///
/// <https://github.com/golang/go/blob/go1.19/src/runtime/runtime2.go> and the same file of
/// go1.21.0, go1.22.0, go1.23.0, go1.24.0, go1.25.0, go1.26.0, go1.27rc1.
const BY_RELEASE: [(u16, GFields); 8] = [
    (19, GFields { gopc: 296, startpc: 312 }),
    (21, GFields { gopc: 280, startpc: 296 }),
    (22, GFields { gopc: 280, startpc: 296 }),
    (23, GFields { gopc: 288, startpc: 304 }),
    (24, GFields { gopc: 288, startpc: 304 }),
    (25, GFields { gopc: 280, startpc: 296 }),
    (26, GFields { gopc: 288, startpc: 304 }),
    (27, GFields { gopc: 288, startpc: 304 }),
];

impl GFields {
    /// What the binary itself says; `None` where its DWARF does not tell.
    pub(super) fn from_dwarf(dwarf: &Dwarf) -> Option<Self> {
        let [gopc, startpc] = dwarf.fields("runtime.g", ["gopc", "startpc"])?;
        Some(Self { gopc: u16::try_from(gopc).ok()?, startpc: u16::try_from(startpc).ok()? })
    }

    /// What is known of a release, for binaries without DWARF.
    pub(super) fn of_release(facts: &Facts) -> Result<Self, InspectError> {
        let minor = facts.version.map(|version| version.minor);
        let known = BY_RELEASE.iter().find(|(release, _)| Some(*release) == minor);
        known
            .map(|&(_, fields)| fields)
            .ok_or_else(|| InspectError::UnknownLayout { version: facts.go_version.clone() })
    }
}
