//! The binaries that watched processes run, and the probes on them.

use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    num::NonZeroU32,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use goroscope_ebpf_probes::process::Cookie;

use super::{detacher::Leaving, naming::Names, reading::Facts};
use crate::{
    discover::identity::Pid,
    inspect::{Binary, cache::FileKey},
    probe::{Attachment, Probes, Scope, Target, lease::Lease},
    read::RuntimeFacts,
};

/// How long the probes of a binary that nobody runs any more stay, under a lease: a program that
/// is started again and again is counted from its first goroutine.
const LINGER: Duration = Duration::from_secs(300);
/// Binaries whose probes linger at once.
const MAX_LINGERING: usize = 64;
/// Cookies have 24 bits for the number of a binary.
const MAX_NUMBER: u32 = 1 << 24;

/// Number of a binary within this run of the agent; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Number(pub(super) u32);

impl Number {
    /// That of no binary.
    pub(super) const NONE: Self = Self(0);
}

/// The probes of a binary.
#[derive(Debug)]
enum Probing {
    /// Not attached for all of its processes.
    Not,
    /// Attached for all of its processes.
    Attached(Attachment),
    /// Each of its processes that is probed has probes of its own.
    Shared,
    /// The kernel, or the binary, does not let us.
    Failed(String),
}

/// One binary.
pub(super) struct Known {
    key: FileKey,
    /// What is in it.
    pub(super) binary: Arc<Binary>,
    /// Names of its creation sites.
    pub(super) names: Names,
    /// What is known of the runtime in it; looked for when first asked for.
    runtime: Option<Facts>,
    probing: Probing,
    lease: Option<Lease>,
    users: BTreeSet<Pid>,
    idle_since: Option<Instant>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Binaries {
    known: HashMap<Number, Known>,
    by_key: HashMap<FileKey, Number>,
    last: u32,
}

impl Binaries {
    /// The number of a binary that a process runs; the process is one of its users from now on.
    pub(super) fn used_by(&mut self, pid: Pid, key: FileKey, binary: Arc<Binary>) -> Number {
        let number = match self.by_key.get(&key) {
            Some(number) => *number,
            None => {
                let number = self.fresh_number();
                self.by_key.insert(key, number);
                number
            }
        };
        let known = self.known.entry(number).or_insert_with(|| Known {
            key,
            binary,
            names: Names::default(),
            runtime: None,
            probing: Probing::Not,
            lease: None,
            users: BTreeSet::new(),
            idle_since: None,
        });
        known.users.insert(pid);
        known.idle_since = None;
        number
    }

    /// A number that no binary has, for probes of one process.
    pub(super) fn fresh_number(&mut self) -> Number {
        self.last = (self.last + 1) % MAX_NUMBER;
        self.last = self.last.max(1);
        Number(self.last)
    }

    /// One of them.
    pub(super) fn get(&mut self, number: Number) -> Option<&mut Known> {
        self.known.get_mut(&number)
    }

    /// Is this file one of them?
    pub(super) fn knows(&self, key: &FileKey) -> bool {
        self.by_key.contains_key(key)
    }

    /// A process does not run the binary any more. Probes that may not linger come back.
    pub(super) fn left_by(&mut self, pid: Pid, number: Number, now: Instant) -> Option<Leaving> {
        let known = self.known.get_mut(&number)?;
        known.users.remove(&pid);
        if !known.users.is_empty() {
            return None;
        }
        known.idle_since = Some(now);
        let lingers = known.lease.is_some() && matches!(known.probing, Probing::Attached(_));
        if lingers { None } else { self.drop_binary(number) }
    }

    /// Probes that have lingered long enough, are too many, or whose file is deleted or wanted by
    /// somebody who writes.
    pub(super) fn expired(&mut self, now: Instant) -> Vec<Leaving> {
        let mut idle: Vec<(Instant, Number)> = self
            .known
            .iter()
            .filter_map(|(&number, known)| known.idle_since.map(|since| (since, number)))
            .collect();
        idle.sort();
        let surplus = idle.len().saturating_sub(MAX_LINGERING);
        let mut leaving = Vec::new();
        for (index, (since, number)) in idle.into_iter().enumerate() {
            let wanted = self.known.get(&number).is_some_and(Known::is_wanted);
            if index < surplus || wanted || now.duration_since(since) > LINGER {
                leaving.extend(self.drop_binary(number));
            }
        }
        leaving
    }

    fn drop_binary(&mut self, number: Number) -> Option<Leaving> {
        let known = self.known.remove(&number)?;
        self.by_key.remove(&known.key);
        known.into_leaving()
    }

    /// Forgets all of them, for a new start; numbers are not given twice.
    pub(super) fn clear(&mut self) -> Vec<Leaving> {
        let last = self.last;
        std::mem::replace(self, Self { last, ..Self::default() }).into_leaving()
    }

    /// All probes: the agent ends.
    pub(super) fn into_leaving(self) -> Vec<Leaving> {
        self.known.into_values().filter_map(Known::into_leaving).collect()
    }
}

impl Known {
    /// Its file.
    pub(super) fn key(&self) -> FileKey {
        self.key
    }

    /// What is known of the runtime in it.
    pub(super) fn runtime(&mut self) -> Facts {
        let facts = || RuntimeFacts::of(&self.binary).map(Arc::new);
        self.runtime.get_or_insert_with(facts).clone()
    }

    fn is_wanted(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.is_wanted() || lease.is_deleted())
    }

    fn into_leaving(self) -> Option<Leaving> {
        match self.probing {
            Probing::Attached(attachment) => Some(Leaving { attachment, lease: self.lease }),
            Probing::Not | Probing::Shared | Probing::Failed(_) => None,
        }
    }

    /// The processes that run it.
    pub(super) fn users(&self) -> Vec<Pid> {
        self.users.iter().copied().collect()
    }

    /// Has each of its processes probes of its own?
    pub(super) fn is_shared_out(&self) -> bool {
        matches!(self.probing, Probing::Shared)
    }

    /// Each of its processes has probes of its own from now on: gives the common ones back.
    pub(super) fn share_out(&mut self) -> Option<Leaving> {
        match std::mem::replace(&mut self.probing, Probing::Shared) {
            Probing::Attached(attachment) => Some(Leaving { attachment, lease: self.lease.take() }),
            Probing::Not | Probing::Shared => None,
            Probing::Failed(reason) => {
                self.probing = Probing::Failed(reason);
                None
            }
        }
    }

    /// Number of uprobes that are attached for all of its processes.
    pub(super) fn attached(&self) -> u64 {
        if matches!(self.probing, Probing::Attached(_)) { Attachment::PROBES } else { 0 }
    }

    fn target(&self, number: Number) -> Result<Target, String> {
        let points = self.binary.probe_points.as_ref().map_err(ToString::to_string)?;
        // Without the fields deaths are counted for the process, but for no site.
        let fields = self.binary.g_fields.as_ref().ok();
        Ok(Target {
            cookie: Cookie {
                binary: number.0,
                gopc: fields.map_or(0, |fields| fields.gopc),
                startpc: fields.map_or(0, |fields| fields.startpc),
            },
            birth: points.birth.offset,
            death: points.death.offset,
        })
    }

    /// Attaches the probes for all processes that run the binary, unless they are; `exe` leads to
    /// the file, `file` is it.
    pub(super) fn attach(
        &mut self,
        number: Number,
        probes: &mut Probes,
        exe: &Path,
        file: File,
    ) -> Result<(), String> {
        if let Probing::Not | Probing::Shared = self.probing {
            let target = self.target(number);
            self.probing = match target.and_then(|target| {
                probes.attach(exe, &target, Scope::File).map_err(|error| error.to_string())
            }) {
                Ok(attachment) => Probing::Attached(attachment),
                Err(reason) => Probing::Failed(reason),
            };
            if matches!(self.probing, Probing::Attached(_)) {
                self.lease = Lease::take(file)
                    .inspect_err(
                        |error| tracing::debug!(%error, "no lease: probes will not linger"),
                    )
                    .ok();
            }
        }
        match &self.probing {
            Probing::Failed(reason) => Err(reason.clone()),
            Probing::Not | Probing::Shared | Probing::Attached(_) => Ok(()),
        }
    }

    /// Attaches probes for one process only, whose hits carry this number.
    pub(super) fn attach_one(
        &self,
        number: Number,
        probes: &mut Probes,
        exe: &Path,
        thread: NonZeroU32,
    ) -> Result<Attachment, String> {
        let target = self.target(number)?;
        probes.attach(exe, &target, Scope::Process(thread)).map_err(|error| error.to_string())
    }
}
