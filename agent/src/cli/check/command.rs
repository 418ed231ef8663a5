//! Runs the command, and watches what descends from it until it ends.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _, Write as _},
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use rustix::process::{Pid as RawPid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use super::{super::failure::Failure, observe::Observer, tree};
use crate::{
    discover::identity::{Pid, ProcessId},
    show::escape::{PATH_LIMIT, escape},
};

/// Looks at all processes are at least so far apart, and so many times as far as one took.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const PAUSE_PER_LOOK: u32 = 20;
/// How often the progress is shown.
const PROGRESS: Duration = Duration::from_secs(1);

/// Runs the command to its end; gives how it ended.
pub(super) async fn run(
    line: &[OsString],
    observer: &mut Observer<'_>,
) -> anyhow::Result<ExitStatus> {
    let Some((program, arguments)) = line.split_first() else {
        return Err(Failure::usage("no command is given").hint("put it behind --").into());
    };
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tree::keep_orphans();
    let mut child = Command::new(program).args(arguments).spawn().map_err(|error| {
        Failure::usage(format!("cannot start {}: {error}", program.to_string_lossy()))
            .hint("give a program's path or a name on the PATH, and its arguments, behind --")
    })?;
    let own = Pid(std::process::id());
    let mut list_again = Instant::now();
    loop {
        let ended = child.try_wait()?;
        let now = Instant::now();
        if list_again <= now || ended.is_some() {
            observer.take(&tree::descendants(observer.procfs, own)?);
            list_again = now + SHORTEST_PAUSE.max(now.elapsed() * PAUSE_PER_LOOK);
        }
        let next = observer.go_on().min(list_again);
        if let Some(status) = ended {
            return Ok(status);
        }
        tokio::select! {
            () = tokio::time::sleep_until(next.into()) => {}
            _ = interrupt.recv() => {
                observer.tell_to_end();
                // On a terminal the command has got it as well.
                if !io::stdin().is_terminal() {
                    pass_on(&child, Signal::INT);
                }
            }
            _ = terminate.recv() => {
                observer.tell_to_end();
                pass_on(&child, Signal::TERM);
            }
        }
    }
}

/// Watches a process that runs already, for so long or until it ends or the user has seen enough.
pub(super) async fn watch(
    id: ProcessId,
    lasting: Duration,
    observer: &mut Observer<'_>,
) -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let began = Instant::now();
    let mut list_again = began;
    let mut progress = Progress::new();
    while began.elapsed() < lasting {
        let now = Instant::now();
        if list_again <= now {
            let stat = observer.procfs.stat(id.pid).ok();
            let alive = stat.filter(|stat| stat.start == id.start && !observer.procfs.is_gone(id));
            let member = alive.map(|stat| tree::Member::of(id.pid, &stat));
            observer.take(member.as_slice());
            if member.is_none() {
                break;
            }
            if let Some(why) = observer.why_not(id.pid) {
                let failure = Failure::usage(format!("process {} cannot be judged: {why}", id.pid));
                return Err(failure.hint("`goroscope ps` lists the Go processes in sight").into());
            }
            list_again = now + SHORTEST_PAUSE * 10;
        }
        let next = observer.go_on().min(list_again);
        progress.show(began.elapsed(), lasting, observer.goroutines());
        tokio::select! {
            () = tokio::time::sleep_until(next.into()) => {}
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    progress.clear();
    Ok(())
}

fn pass_on(child: &Child, which: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(RawPid::from_raw);
    // It has not been waited for, so the id is still its own; it may have ended all the same.
    if let Some(Err(error)) = pid.map(|pid| kill_process(pid, which)) {
        tracing::debug!(%error, "the command did not get the signal");
    }
}

/// A line on the terminal that says how far it is.
struct Progress {
    on: bool,
    again: Instant,
    shown: bool,
}

impl Progress {
    fn new() -> Self {
        Self { on: io::stderr().is_terminal(), again: Instant::now() + PROGRESS, shown: false }
    }

    fn show(&mut self, elapsed: Duration, lasting: Duration, goroutines: u64) {
        if !self.on || self.again > Instant::now() {
            return;
        }
        self.again = Instant::now() + PROGRESS;
        self.shown = true;
        let (elapsed, lasting) = (elapsed.as_secs(), lasting.as_secs());
        let line = format!("watching: {elapsed} of {lasting} s, {goroutines} goroutines");
        // Where there is no stderr there is nobody to tell.
        let _ = write!(io::stderr().lock(), "\r{}\x1b[K", escape(&line, PATH_LIMIT));
    }

    fn clear(&mut self) {
        if self.shown {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}
