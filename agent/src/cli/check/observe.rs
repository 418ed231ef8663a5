//! Watches processes while they run: looks at those that run Go, lets the others be.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    process::{Wanted, Watched},
    report::{ProcessReport, Watch},
    tree::Member,
};
use crate::{
    discover::{error::DiscoverError, identity::Pid, proc_fs::ProcFs},
    inspect::{
        Binary, InspectError,
        cache::{Cache, FileKey},
    },
    read::RuntimeFacts,
    run::reading::Facts,
};

/// Nothing that is due waits longer.
const TICK: Duration = Duration::from_millis(5);
/// How many processes that are not watched are remembered, and reasons are kept.
const MAX_OTHERS: usize = 65_536;
const MAX_REFUSED: usize = 16;

/// Watches processes.
pub(super) struct Observer<'a> {
    pub(super) procfs: &'a ProcFs,
    wanted: Wanted<'a>,
    binaries: Binaries,
    watched: HashMap<Member, Watched>,
    /// Processes that run no Go, or a program of the toolchain, or cannot be looked at.
    others: HashSet<Member>,
    ended: Vec<ProcessReport>,
    refused: Vec<String>,
    toolchain: bool,
}

impl<'a> Observer<'a> {
    pub(super) fn new(procfs: &'a ProcFs, wanted: Wanted<'a>) -> Self {
        Self {
            procfs,
            wanted,
            binaries: Binaries::default(),
            watched: HashMap::new(),
            others: HashSet::new(),
            ended: Vec::new(),
            refused: Vec::new(),
            toolchain: false,
        }
    }

    /// These are all there are: the new ones are taken on, those that are gone are judged.
    pub(super) fn take(&mut self, members: &[Member]) {
        for member in members {
            if !self.watched.contains_key(member) && !self.others.contains(member) {
                self.consider(*member);
            }
        }
        let gone: Vec<Member> =
            self.watched.keys().filter(|member| !members.contains(member)).copied().collect();
        for member in gone {
            if let Some(watched) = self.watched.remove(&member) {
                self.ended.push(watched.judge(&self.wanted));
            }
        }
        if self.others.len() > MAX_OTHERS {
            self.others.retain(|member| members.contains(member));
        }
    }

    fn consider(&mut self, member: Member) {
        match self.open(member) {
            Ok(Some(watched)) => {
                self.watched.insert(member, watched);
            }
            Ok(None) => {
                self.others.insert(member);
            }
            Err(error) if error.is_gone() => {}
            Err(error) => {
                self.others.insert(member);
                if self.refused.len() < MAX_REFUSED {
                    self.refused.push(error.to_string());
                }
            }
        }
    }

    /// Looks into the program of a process; `None` where it is not to be judged.
    fn open(&mut self, member: Member) -> Result<Option<Watched>, DiscoverError> {
        let pid = member.id.pid;
        let exe = self.procfs.exe_link(pid)?;
        let file = self.procfs.open_exe(pid)?;
        // It may run another program since it was listed.
        if Member::of(pid, &self.procfs.stat(pid)?) != member {
            return Err(DiscoverError::Gone { pid, path: exe.path });
        }
        match self.binaries.inspect(file) {
            Ok((binary, _)) if is_toolchain(&binary) => {
                self.toolchain = true;
                Ok(None)
            }
            Ok((binary, facts)) => Ok(Some(Watched::new(member, exe.path, binary, facts))),
            Err(error) if error.is_about_go() => {
                let path = exe.path.display();
                self.refused.push(format!("process {pid} ({path}): {error}"));
                Ok(None)
            }
            Err(_) => Ok(None),
        }
    }

    /// Does what is due; gives when there is something again.
    pub(super) fn go_on(&mut self) -> Instant {
        let now = Instant::now();
        let mut next = now + TICK;
        for watched in self.watched.values_mut() {
            if watched.due() <= now {
                watched.go_on(self.procfs, &self.wanted);
            }
            next = next.min(watched.due());
        }
        next.max(now + TICK / 5)
    }

    /// How many goroutines the watched processes have.
    pub(super) fn goroutines(&self) -> u64 {
        self.watched.values().map(Watched::goroutines).sum()
    }

    /// Judges all by what was seen.
    pub(super) fn finish(self) -> Watch {
        let mut processes = self.ended;
        processes.extend(self.watched.values().map(|watched| watched.judge(&self.wanted)));
        processes.sort_by_key(|process| process.pid);
        Watch { processes, refused: self.refused, toolchain: self.toolchain, ended: None }
    }

    /// Why a process is not watched, as far as that is known.
    pub(super) fn why_not(&self, pid: Pid) -> Option<&str> {
        let watched = self.watched.keys().any(|member| member.id.pid == pid);
        (!watched).then(|| self.refused.first().map_or("it is no Go program", String::as_str))
    }
}

/// Is it a program of the Go toolchain itself (`go`, `compile`, `link`, …)?
fn is_toolchain(binary: &Binary) -> bool {
    let module = binary.facts.module.as_deref();
    module.is_some_and(|module| module == "cmd" || module.starts_with("cmd/"))
}

/// Binaries that were looked into, and what is known of the runtime in each.
#[derive(Default)]
struct Binaries {
    cache: Cache,
    runtimes: HashMap<FileKey, Facts>,
}

impl Binaries {
    fn inspect(&mut self, file: File) -> Result<(Arc<Binary>, Facts), InspectError> {
        let key = file.metadata().ok().map(|metadata| FileKey::of(&metadata));
        let binary = self.cache.inspect(file)?;
        let facts = || RuntimeFacts::of(&binary).map(Arc::new);
        let facts = match key {
            Some(key) => self.runtimes.entry(key).or_insert_with(facts).clone(),
            None => facts(),
        };
        Ok((binary, facts))
    }
}
