//! Looks names up, on a thread of its own: nobody waits for it.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{
    cri::{self, Outcome, Reply},
    places::Places,
    schedule::Pending,
    settings::NamesSettings,
    tally::Tally,
    wanted::{Names, Wanted},
};
use crate::{
    discover::{identity::Pid, proc_fs::ProcFs},
    model::naming::LookupFailures,
};

/// Looked up in one go; who is to be named later waits for it.
const ROUND: usize = 256;
/// Most that are looked for at once; the others when they are asked for again.
const PENDING_LIMIT: usize = 16_384;
/// Where nobody is to be named.
const IDLE: Duration = Duration::from_secs(3600);

/// What became of a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who was to be named.
    pub wanted: Wanted,
    /// Names that are known by now.
    pub names: Names,
    /// Everybody was asked once, or there is nothing more to be known.
    pub settled: bool,
}

/// Who is asked for names; ends when it is dropped.
#[derive(Debug)]
pub struct Finder {
    orders: UnboundedSender<Order>,
    tally: Tally,
}

enum Order {
    Ask(Wanted, Pid),
    Keep(HashMap<Wanted, Pid>),
}

impl Finder {
    /// Starts the thread. `tell` is called on it, more than once for one that is named bit by bit.
    ///
    /// # Errors
    /// Where the host is short of threads or files.
    pub fn start(
        settings: &NamesSettings,
        procfs: ProcFs,
        tell: impl Fn(Answer) + Send + 'static,
    ) -> io::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let tally = Tally::default();
        let (orders, taken) = unbounded_channel();
        let places = Places::new(settings.host_root.clone(), procfs, tally.clone());
        let (settings, of_runtimes) = (settings.clone(), tally.clone());
        thread::Builder::new().name("names".to_owned()).spawn(move || {
            runtime.block_on(async {
                let (replies, heard) = unbounded_channel();
                let runtimes = cri::start(&settings, of_runtimes, replies.clone());
                let desk = Desk { places, pending: HashMap::new(), runtimes, tell };
                desk.work(taken, heard).await;
                // Until here, so that there is always somebody who may still reply.
                drop(replies);
            });
        })?;
        Ok(Self { orders, tally })
    }

    /// Asks for the names of who this process is in. It is looked up until it has a name.
    pub fn ask(&self, wanted: Wanted, pid: Pid) {
        // The thread ends by a panic only.
        let _unheard = self.orders.send(Order::Ask(wanted, pid));
    }

    /// These are still to be named, and no others.
    pub fn keep(&self, wanted: HashMap<Wanted, Pid>) {
        let _unheard = self.orders.send(Order::Keep(wanted));
    }

    /// Look-ups that failed.
    #[must_use]
    pub fn failures(&self) -> LookupFailures {
        self.tally.failures()
    }
}

/// The names of all these, as far as they are known within the time.
///
/// # Errors
/// Where the host is short of threads or files.
pub fn find_all(
    settings: &NamesSettings,
    procfs: ProcFs,
    wanted: HashMap<Wanted, Pid>,
    time: Duration,
) -> io::Result<Found> {
    let (sender, answers) = mpsc::channel();
    let mut found = Found { names: HashMap::new(), unsettled: wanted.len() };
    if wanted.is_empty() {
        return Ok(found);
    }
    let finder = Finder::start(settings, procfs, move |answer| {
        // Who asked has had enough.
        let _unheard = sender.send(answer);
    })?;
    let mut open: HashSet<Wanted> = wanted.keys().cloned().collect();
    for (wanted, pid) in wanted {
        finder.ask(wanted, pid);
    }
    let deadline = Instant::now() + time;
    while !open.is_empty()
        && let Ok(answer) = answers.recv_timeout(deadline.saturating_duration_since(Instant::now()))
    {
        if answer.settled {
            open.remove(&answer.wanted);
        }
        found.names.insert(answer.wanted, answer.names);
    }
    found.unsettled = open.len();
    Ok(found)
}

/// What was found in time.
#[derive(Debug)]
pub struct Found {
    /// Names.
    pub names: HashMap<Wanted, Names>,
    /// How many there are of which not everybody has told what he knows.
    pub unsettled: usize,
}

/// The thread's own.
struct Desk<T> {
    places: Places,
    pending: HashMap<Wanted, Pending>,
    /// Who asks the runtimes; `None` where there are none to ask.
    runtimes: Option<UnboundedSender<Wanted>>,
    tell: T,
}

impl<T: Fn(Answer)> Desk<T> {
    async fn work(
        mut self,
        mut orders: UnboundedReceiver<Order>,
        mut replies: UnboundedReceiver<Reply>,
    ) {
        loop {
            let due = self.pending.values().map(|pending| pending.due).min();
            let due = due.unwrap_or_else(|| Instant::now() + IDLE);
            tokio::select! {
                order = orders.recv() => {
                    let Some(order) = order else { return };
                    self.take(order);
                    while let Ok(order) = orders.try_recv() {
                        self.take(order);
                    }
                }
                Some(reply) = replies.recv() => self.heard(reply),
                () = tokio::time::sleep_until(due.into()) => {}
            }
            self.look();
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Ask(wanted, pid) => self.add(wanted, pid),
            Order::Keep(wanted) => {
                self.pending.retain(|of, _| wanted.contains_key(of));
                wanted.into_iter().for_each(|(wanted, pid)| self.add(wanted, pid));
            }
        }
    }

    fn add(&mut self, wanted: Wanted, pid: Pid) {
        if self.pending.len() < PENDING_LIMIT {
            let pending = self.pending.entry(wanted);
            pending.or_insert_with(|| Pending::new(pid, Instant::now()));
        }
    }

    /// Reads what is on this node for those whose time it is, and asks the runtimes.
    fn look(&mut self) {
        let now = Instant::now();
        let due = self.pending.iter().filter(|(_, pending)| pending.due <= now).take(ROUND);
        let due: Vec<_> = due.map(|(wanted, pending)| (wanted.clone(), pending.pid)).collect();
        if due.is_empty() {
            return;
        }
        for (names, (wanted, _)) in self.places.look(&due).into_iter().zip(due) {
            let Some(pending) = self.pending.get_mut(&wanted) else { continue };
            let names = names.or(pending.names.clone());
            let settled = names.are_whole(&wanted) || self.runtimes.is_none();
            let is_new = names != pending.names;
            pending.names.clone_from(&names);
            pending.looked_up(now);
            if names.are_whole(&wanted) {
                self.pending.remove(&wanted);
            } else if let Some(runtimes) = self.runtimes.as_ref().filter(|_| !pending.at_runtime) {
                pending.at_runtime = runtimes.send(wanted.clone()).is_ok();
            }
            if settled || is_new {
                (self.tell)(Answer { wanted, names, settled });
            }
        }
    }

    /// A runtime told what it knows.
    fn heard(&mut self, reply: Reply) {
        let Reply { wanted, outcome } = reply;
        let Some(pending) = self.pending.get_mut(&wanted) else { return };
        pending.at_runtime = false;
        let mut names = pending.names.clone();
        match outcome {
            Outcome::Known(known) => {
                names = known.or(names);
                self.pending.remove(&wanted);
            }
            Outcome::Unknown => {}
            Outcome::Failed => pending.failed(Instant::now()),
        }
        (self.tell)(Answer { wanted, names, settled: true });
    }
}
