//! What can be wrong with an executable file.

use std::io;

use thiserror::Error;

/// Why a file, or a part of it, could not be understood.
///
/// The path is known to the caller, who opened the file; offsets are those in the file.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InspectError {
    /// A directory, FIFO, socket or device.
    #[error("not a regular file")]
    NotRegular,
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// Another format: a script, for one.
    #[error("not an ELF file")]
    NotElf,
    /// An ELF file of a kind that is not understood.
    #[error("{kind}: only 64-bit little-endian ELF executables are understood")]
    UnsupportedElf {
        /// What it is, with its article.
        kind: &'static str,
    },
    /// The file ends too early.
    #[error("truncated: {what} ({size} bytes at offset {offset:#x}) ends beyond the file")]
    Truncated {
        /// What should have been there.
        what: &'static str,
        /// Offset of its first byte in the file.
        offset: u64,
        /// Its size in bytes.
        size: u64,
    },
    /// Reading failed.
    #[error("reading at offset {offset:#x} failed: {message}")]
    Read {
        /// Where it was read.
        offset: u64,
        /// The kind of the I/O error.
        kind: io::ErrorKind,
        /// Its text.
        message: String,
    },
    /// An ELF file without the marks of the Go linker.
    #[error("not a Go program")]
    NotGo,
    /// The contents contradict themselves.
    #[error("corrupt {what} at offset {offset:#x}: {why}")]
    Corrupt {
        /// Which structure.
        what: &'static str,
        /// Where it is.
        offset: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A structure that every Go program has was not found.
    #[error("no {what} found in this Go program")]
    Missing {
        /// Which structure.
        what: &'static str,
    },
    /// A release whose tables have another form.
    #[error("the function table of {version} is not understood (Go 1.18 or later is)")]
    UnsupportedGo {
        /// The version as the binary has it.
        version: String,
    },
    /// No probe can be placed on this architecture.
    #[error("probes are not supported on {arch}")]
    UnsupportedArch {
        /// Name of the architecture.
        arch: String,
    },
    /// A function that is needed is not in the function table.
    #[error("function {name} is not in the function table")]
    NoFunction {
        /// Its full name.
        name: &'static str,
    },
    /// A function does not begin as Go's compilers make functions begin.
    #[error("function {name} has an unexpected prologue: {bytes}")]
    Prologue {
        /// Its full name.
        name: &'static str,
        /// Its first bytes, in hexadecimal.
        bytes: String,
    },
    /// The layout of `runtime.g` is not known for this release, and there is no DWARF.
    #[error("the layout of runtime.g in {version} is not known, and the binary has no DWARF")]
    UnknownLayout {
        /// The version as the binary has it.
        version: String,
    },
}

impl InspectError {
    /// Whether looking again at the same bytes could end otherwise.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Read { .. })
    }
}
