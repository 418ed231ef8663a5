//! Uprobes on binaries.

use std::{num::NonZeroU32, path::Path};

use aya::{
    Ebpf,
    programs::{
        UProbe,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLink, UProbeScope},
    },
};
use goroscope_ebpf_probes::process::Cookie;

use super::{ProbeError, error::chain, gdestroy, newproc};
use crate::inspect::address::FileOffset;

/// Whose hits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Every process that runs the file, those still to come included.
    File,
    /// One process (a live thread of it is named); others of the same file pay nothing.
    Process(NonZeroU32),
}

/// Where in a file to attach, and what a hit carries.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Number of the binary, and the fields of its `runtime.g`.
    pub cookie: Cookie,
    /// Where goroutines are born.
    pub birth: FileOffset,
    /// Where they end.
    pub death: FileOffset,
}

/// Attached uprobes. Dropping them detaches, and waits for the kernel, 0.1 s and more.
#[derive(Debug)]
pub struct Attachment {
    links: Vec<UProbeLink>,
}

impl Attachment {
    /// Number of uprobes of a binary.
    pub const PROBES: u64 = 2;

    /// Its uprobes one by one, so that they can be detached side by side.
    pub fn split(self) -> impl Iterator<Item = Self> {
        self.links.into_iter().map(|link| Self { links: vec![link] })
    }
}

/// Names of the uprobe programs that were loaded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Programs {
    pub(super) birth: &'static str,
    pub(super) death: &'static str,
}

/// Attaches both, deaths first: a goroutine that is born in between is counted whole.
pub(super) fn attach(
    ebpf: &mut Ebpf,
    programs: Programs,
    path: &Path,
    target: &Target,
    scope: Scope,
) -> Result<Attachment, ProbeError> {
    let mut one = |program, function, offset| {
        one(ebpf, program, function, path, offset, Some(target.cookie), scope)
    };
    let death = one(programs.death, gdestroy::FUNCTION, target.death)?;
    let birth = one(programs.birth, newproc::FUNCTION, target.birth)?;
    Ok(Attachment { links: vec![birth, death] })
}

/// Attaches that of births only.
pub(super) fn attach_birth(
    ebpf: &mut Ebpf,
    programs: Programs,
    path: &Path,
    target: &Target,
    scope: Scope,
) -> Result<Attachment, ProbeError> {
    let (program, function) = (programs.birth, newproc::FUNCTION);
    attach_one(ebpf, program, function, path, target.birth, Some(target.cookie), scope)
}

/// Attaches one program.
pub(super) fn attach_one(
    ebpf: &mut Ebpf,
    program: &'static str,
    function: &'static str,
    path: &Path,
    offset: FileOffset,
    cookie: Option<Cookie>,
    scope: Scope,
) -> Result<Attachment, ProbeError> {
    one(ebpf, program, function, path, offset, cookie, scope)
        .map(|link| Attachment { links: vec![link] })
}

fn one(
    ebpf: &mut Ebpf,
    program: &'static str,
    function: &'static str,
    path: &Path,
    offset: FileOffset,
    cookie: Option<Cookie>,
    scope: Scope,
) -> Result<UProbeLink, ProbeError> {
    let refused = |error: &dyn std::error::Error| ProbeError::Attach {
        function,
        path: path.to_owned(),
        reason: chain(error),
    };
    let program: &mut UProbe = ebpf
        .program_mut(program)
        .and_then(|program| program.try_into().ok())
        .ok_or(ProbeError::Missing(program))?;
    let point = UProbeAttachPoint {
        location: UProbeAttachLocation::AbsoluteOffset(offset.0),
        cookie: cookie.map(Cookie::pack),
    };
    let scope = match scope {
        Scope::File => UProbeScope::AllProcesses,
        Scope::Process(pid) => UProbeScope::OneProcess(pid),
    };
    let id = program.attach(point, path, scope).map_err(|error| refused(&error))?;
    program.take_link(id).map_err(|error| refused(&error))
}
