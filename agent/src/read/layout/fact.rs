//! What is asked of a source of layouts: sizes, offsets and lengths, by name.

use std::fmt;

/// A number that a layout consists of. Records are named as in package `runtime`, fields by
/// their path: `g`, `stack.lo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fact {
    /// Size of a record in bytes.
    Size {
        /// Name of the record.
        record: &'static str,
    },
    /// Offset of a field in bytes.
    Offset {
        /// Name of the record.
        record: &'static str,
        /// Path of the field.
        path: &'static str,
        /// Size of the field in bytes; a field of another size is not the field that is meant.
        width: Option<u8>,
    },
    /// Number of elements of an array: of a field, or of a variable of the package.
    Count {
        /// Name of the record, or of the variable.
        record: &'static str,
        /// Path of the field; empty for a variable.
        path: &'static str,
    },
}

impl fmt::Display for Fact {
    /// The name under which the table has it: `g`, `g.goid:8`, `timeHistogram.counts[]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { record } => f.write_str(record),
            Self::Offset { record, path, width: None } => write!(f, "{record}.{path}"),
            Self::Offset { record, path, width: Some(width) } => {
                write!(f, "{record}.{path}:{width}")
            }
            Self::Count { record, path: "" } => write!(f, "{record}[]"),
            Self::Count { record, path } => write!(f, "{record}.{path}[]"),
        }
    }
}

/// Why there is no layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The table has nothing for this release, architecture and set of experiments.
    #[error("the layout of the runtime of {0} is not known")]
    Unknown(String),
    /// A field that this stage cannot do without does not exist, or not with the size expected.
    #[error("the runtime has no field {0} as expected")]
    Missing(String),
    /// The debug information cannot be read.
    #[error("the debug information cannot be read: {0}")]
    Dwarf(String),
    /// The debug information is larger than what is read of it.
    #[error("the debug information of package runtime is too large ({0} bytes)")]
    TooLarge(u64),
    /// The table that is part of the agent is broken; a test holds that it is not.
    #[error("line {0} of the table of layouts is not understood")]
    Table(usize),
}

/// Answers questions about a layout.
pub trait Source {
    /// The number, or `None` where the record has no such field, or not of that width.
    ///
    /// # Errors
    /// Where the source itself cannot be read.
    fn get(&self, fact: Fact) -> Result<Option<u32>, LayoutError>;

    /// The number of a fact that must exist.
    ///
    /// # Errors
    /// [`LayoutError::Missing`], and as [`Source::get`].
    fn need(&self, fact: Fact) -> Result<u32, LayoutError> {
        self.get(fact)?.ok_or_else(|| LayoutError::Missing(fact.to_string()))
    }
}

/// One record of a source: shortens the definitions in [`super::records`].
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) name: &'static str,
}

impl Record<'_> {
    pub(super) fn size(self) -> Result<u32, LayoutError> {
        self.source.need(Fact::Size { record: self.name })
    }

    /// Offset of a field of the width given, which must exist.
    pub(super) fn at(self, path: &'static str, width: u8) -> Result<u32, LayoutError> {
        self.source.need(Fact::Offset { record: self.name, path, width: Some(width) })
    }

    /// Offset of a field that some releases do not have.
    pub(super) fn maybe(self, path: &'static str, width: u8) -> Result<Option<u32>, LayoutError> {
        self.source.get(Fact::Offset { record: self.name, path, width: Some(width) })
    }

    /// Offset of a field that is itself a record or an array, and must exist.
    pub(super) fn part(self, path: &'static str) -> Result<u32, LayoutError> {
        self.source.need(Fact::Offset { record: self.name, path, width: None })
    }

    /// Likewise, where some releases do not have it.
    pub(super) fn maybe_part(self, path: &'static str) -> Result<Option<u32>, LayoutError> {
        self.source.get(Fact::Offset { record: self.name, path, width: None })
    }

    pub(super) fn count(self, path: &'static str) -> Result<u32, LayoutError> {
        self.source.need(Fact::Count { record: self.name, path })
    }
}
