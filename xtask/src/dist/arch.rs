//! The architectures that are shipped for, and what each world calls them.

use clap::ValueEnum;

/// An architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Arch {
    Amd64,
    Arm64,
}

impl Arch {
    pub(super) const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// This machine's.
    pub(super) fn host() -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.kernel() == std::env::consts::ARCH)
    }

    /// In the words of Debian, of Go and of container images.
    pub(super) const fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// In the words of the kernel, of Rust and of RPM.
    pub(super) const fn kernel(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// Rust's name of the target.
    pub(super) fn triple(self) -> String {
        format!("{}-unknown-linux-musl", self.kernel())
    }

    /// `e_machine` of its ELF files.
    pub(super) const fn machine(self) -> u16 {
        match self {
            Self::Amd64 => 62,
            Self::Arm64 => 183,
        }
    }
}
