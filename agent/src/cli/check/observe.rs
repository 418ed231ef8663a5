//! Watches processes while they run: looks at those that run Go, lets the others be.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    process::{Wanted, Watched},
    report::{ProcessReport, Watch},
    tree::Member,
};
use crate::{
    discover::{identity::Pid, proc_fs::ProcFs},
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
    binaries: Arc<Binaries>,
    /// Processes whose programs are being looked into, and the way back from there.
    pending: HashSet<Member>,
    found: (Sender<Answer>, Receiver<Answer>),
    watched: HashMap<Member, Watched>,
    /// Processes that run no Go, or a program of the toolchain, or cannot be looked at.
    others: HashSet<Member>,
    ended: Vec<ProcessReport>,
    /// Processes were told to end.
    told: bool,
    refused: Vec<String>,
    toolchain: bool,
}

impl<'a> Observer<'a> {
    pub(super) fn new(procfs: &'a ProcFs, wanted: Wanted<'a>) -> Self {
        Self {
            procfs,
            wanted,
            binaries: Arc::default(),
            pending: HashSet::new(),
            found: mpsc::channel(),
            watched: HashMap::new(),
            others: HashSet::new(),
            ended: Vec::new(),
            told: false,
            refused: Vec::new(),
            toolchain: false,
        }
    }

    /// These are all there are: the new ones are taken on, those that are gone are judged.
    pub(super) fn take(&mut self, members: &[Member]) {
        while let Ok((member, found)) = self.found.1.try_recv() {
            self.found(member, found);
        }
        for member in members {
            let known = [&self.pending, &self.others].iter().any(|known| known.contains(member));
            if !known && !self.watched.contains_key(member) {
                self.consider(*member);
            }
        }
        let gone: Vec<Member> =
            self.watched.keys().filter(|member| !members.contains(member)).copied().collect();
        for member in gone {
            let Some(watched) = self.watched.remove(&member) else { continue };
            // Listed in the middle of an exec it looked like another.
            let same = watched.is_unseen() && members.iter().any(|other| other.id == member.id);
            if !same {
                self.ended.push(watched.judge(&self.wanted, !self.told));
            }
        }
        if self.others.len() > MAX_OTHERS {
            self.others.retain(|member| members.contains(member));
        }
    }

    /// Looks into the program of a process, on a thread: that of a large one takes its time, in
    /// which others come and go.
    fn consider(&mut self, member: Member) {
        let (procfs, binaries) = (self.procfs.clone(), Arc::clone(&self.binaries));
        let (found, seen) = (self.found.0.clone(), Instant::now());
        self.pending.insert(member);
        thread::spawn(move || {
            // Nobody wants it where the observer is gone.
            let _ = found.send((member, open(&procfs, &binaries, member, seen)));
        });
    }

    /// Takes what was found of a process.
    fn found(&mut self, member: Member, found: Found) {
        self.pending.remove(&member);
        match found {
            Found::Go(watched) => {
                self.watched.insert(member, *watched);
            }
            Found::Gone => {}
            Found::Other => {
                self.others.insert(member);
            }
            Found::Toolchain => {
                self.toolchain = true;
                self.others.insert(member);
            }
            Found::Refused(reason) => {
                self.others.insert(member);
                if self.refused.len() < MAX_REFUSED {
                    self.refused.push(reason);
                }
            }
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

    /// From now on processes end because they were told to.
    pub(super) fn tell_to_end(&mut self) {
        self.told = true;
    }

    /// How many goroutines the watched processes have.
    pub(super) fn goroutines(&self) -> u64 {
        self.watched.values().map(Watched::goroutines).sum()
    }

    /// Judges all by what was seen.
    pub(super) fn finish(mut self) -> Watch {
        while !self.pending.is_empty()
            && let Ok((member, found)) = self.found.1.recv()
        {
            self.found(member, found);
        }
        let mut processes = self.ended;
        processes.extend(self.watched.values().map(|watched| watched.judge(&self.wanted, false)));
        processes.sort_by_key(|process| process.pid);
        Watch { processes, refused: self.refused, toolchain: self.toolchain, ended: None }
    }

    /// Why a process is not watched, as far as that is known.
    pub(super) fn why_not(&self, pid: Pid) -> Option<&str> {
        let of = |member: &Member| member.id.pid == pid;
        let watched = self.watched.keys().any(of) || self.pending.iter().any(of);
        (!watched).then(|| self.refused.first().map_or("it is no Go program", String::as_str))
    }
}

/// Is it a program of the Go toolchain itself (`go`, `compile`, `link`, …)?
fn is_toolchain(binary: &Binary) -> bool {
    let module = binary.facts.module.as_deref();
    module.is_some_and(|module| module == "cmd" || module.starts_with("cmd/"))
}

/// What was found of a process.
enum Found {
    Go(Box<Watched>),
    /// A program of the toolchain, which is not judged.
    Toolchain,
    /// No Go.
    Other,
    /// It ended, or runs another program by now.
    Gone,
    /// It cannot be looked at, for this reason.
    Refused(String),
}

type Answer = (Member, Found);

fn open(procfs: &ProcFs, binaries: &Binaries, member: Member, seen: Instant) -> Found {
    let pid = member.id.pid;
    let opened = procfs.exe_link(pid).and_then(|exe| Ok((exe, procfs.open_exe(pid)?)));
    let (exe, file) = match opened {
        Ok(opened) => opened,
        Err(error) if error.is_gone() => return Found::Gone,
        Err(error) => return Found::Refused(error.to_string()),
    };
    // It may run another program since it was listed.
    if procfs.stat(pid).is_ok_and(|stat| Member::of(pid, &stat) != member) {
        return Found::Gone;
    }
    match binaries.inspect(file) {
        Ok(None) => Found::Toolchain,
        Ok(Some((binary, facts))) => {
            tracing::debug!(pid = pid.0, exe = %exe.path.display(), "watching");
            Found::Go(Box::new(Watched::new(member, exe.path, binary, facts, seen)))
        }
        Err(error) if error.is_about_go() => {
            Found::Refused(format!("process {pid} ({}): {error}", exe.path.display()))
        }
        Err(_) => Found::Other,
    }
}

/// Binaries that were looked into, and what is known of the runtime in each.
#[derive(Default)]
struct Binaries {
    cache: Cache,
    runtimes: Mutex<HashMap<FileKey, Facts>>,
}

impl Binaries {
    /// `None` for a program of the toolchain.
    fn inspect(&self, file: File) -> Result<Option<(Arc<Binary>, Facts)>, InspectError> {
        let key = file.metadata().ok().map(|metadata| FileKey::of(&metadata));
        let binary = self.cache.inspect(file)?;
        if is_toolchain(&binary) {
            return Ok(None);
        }
        let known = || self.runtimes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(facts) = key.and_then(|key| known().get(&key).cloned()) {
            return Ok(Some((binary, facts)));
        }
        let facts: Facts = RuntimeFacts::of(&binary).map(Arc::new);
        if let Some(key) = key {
            known().insert(key, facts.clone());
        }
        Ok(Some((binary, facts)))
    }
}
