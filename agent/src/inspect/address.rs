//! The three address spaces of a binary; never mixed, converted only where a map is at hand.

use std::fmt;

/// An offset into an executable file, in bytes: what a uprobe is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileOffset(pub u64);

/// An address as the executable file has it (ELF virtual address): what symbols, pclntab and DWARF
/// speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileAddress(pub u64);

/// An address in a running process: that of the file plus the [`LoadBias`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessAddress(pub u64);

/// What the loader added to the addresses of the file; zero unless the binary is
/// position-independent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LoadBias(pub u64);

impl ProcessAddress {
    /// The address in the file, or `None` where it lies below the bias.
    #[must_use]
    pub fn in_file(self, bias: LoadBias) -> Option<FileAddress> {
        self.0.checked_sub(bias.0).map(FileAddress)
    }
}

impl FileAddress {
    /// The address in a process with this bias, or `None` where it would wrap around.
    #[must_use]
    pub fn in_process(self, bias: LoadBias) -> Option<ProcessAddress> {
        self.0.checked_add(bias.0).map(ProcessAddress)
    }
}

macro_rules! hex {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    )+};
}
hex!(FileOffset, FileAddress, ProcessAddress, LoadBias);
