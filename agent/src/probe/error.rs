//! What can go wrong with the kernel programs.

use std::path::PathBuf;

use thiserror::Error;

/// What can go wrong with the kernel programs.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// The object was not taken by the kernel: no permission, no BPF, a map too large.
    #[error("the kernel does not take goroscope's eBPF maps: {0}")]
    Load(#[source] Box<aya::EbpfError>),
    /// A program was refused.
    #[error("the kernel does not take the eBPF program {program}: {reason}")]
    Program {
        /// Its name.
        program: &'static str,
        /// The whole chain of reasons, the verifier's last words included.
        reason: String,
    },
    /// A map or program is not in the object, or is of another kind.
    #[error("goroscope's eBPF object has no usable {0}")]
    Missing(&'static str),
    /// A map could not be read or written.
    #[error("eBPF map {map}: {source}")]
    Map {
        /// Its name.
        map: &'static str,
        /// Why.
        source: Box<aya::maps::MapError>,
    },
    /// A uprobe could not be attached.
    #[error("cannot attach a uprobe to {function} in {path}: {reason}")]
    Attach {
        /// The function.
        function: &'static str,
        /// The file, as it was opened.
        path: PathBuf,
        /// The whole chain of reasons.
        reason: String,
    },
    /// All slots are in use.
    #[error("no room for another process: {0} are watched already (--max-processes)")]
    Full(u32),
    /// A process of the agent's pid namespace is unknown to the kernel: it is gone.
    #[error("process {0} is gone")]
    Unseen(u32),
    /// The kernel's BTF cannot be read by aya.
    #[error("the kernel's BTF is of no use: {0}")]
    NoTypes(String),
    /// The kernel's BTF is of no use.
    #[error(transparent)]
    Btf(#[from] super::kernel_btf::KernelBtfError),
}

impl ProbeError {
    /// For a failed map operation.
    pub(super) fn map(map: &'static str) -> impl Fn(aya::maps::MapError) -> Self {
        move |source| Self::Map { map, source: Box::new(source) }
    }
}

/// An error with all its sources, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        // Many errors repeat their source in their own text.
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}
