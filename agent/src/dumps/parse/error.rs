//! Why something is no dump.

use std::io;

/// Why something is no dump.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// It is larger than what is read.
    #[error("it is larger than {mib} MiB, more than is read")]
    TooLarge {
        /// What is read at most.
        mib: usize,
    },
    /// It has more of something than is read.
    #[error("it has more than {limit} {what}, more than is read")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// What is read at most.
        limit: u64,
    },
    /// It is a flame graph.
    #[error("it is a picture, which cannot be read back")]
    Picture,
    /// It is nothing that is known.
    #[error("it is in no form of a goroutine dump that is known")]
    Unknown,
    /// A profile of something else.
    #[error("it is a profile of {kind:?}, not of goroutines")]
    OtherProfile {
        /// Of what it is.
        kind: String,
    },
    /// A line of a text.
    #[error("line {line}: {why}")]
    Line {
        /// Its number, from 1 on.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Something in a binary file.
    #[error("byte {offset} of the unpacked profile: {why}")]
    Byte {
        /// Where.
        offset: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// JSON, with line and column.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// What is packed.
    #[error("it cannot be unpacked: {0}")]
    Packed(io::Error),
    /// The file.
    #[error("{0}")]
    Io(#[from] io::Error),
}
