//! The loop of the live view: hears keys, snapshots, dumps and signals, and draws.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use ratatui::crossterm::event::{self, Event};

use super::{Ended, TakeDump, TopSettings, terminal};
use crate::{
    discover::identity::ProcessId,
    model::{dump::Dump, snapshot::Snapshot},
    run::watching::{Asker, Watching},
    show::top::{
        keys::{self, Action},
        state::{State, Wish},
        view,
    },
};

/// What the loop hears.
enum Message {
    Input(Event),
    Snapshot(Arc<Snapshot>),
    Dump(ProcessId, Result<Dump, String>),
    /// The engine has ended by itself.
    Over,
    /// A signal, or the terminal is gone.
    End,
}

/// After an end was asked for, the thread that hears keys is through with this.
const LISTEN: Duration = Duration::from_millis(50);
/// Keys that come together are drawn once.
const MOST_AT_ONCE: usize = 64;

/// Runs until the user or a signal ends it.
pub(super) fn run(
    settings: &TopSettings,
    warnings: Vec<String>,
    take_dump: TakeDump,
) -> Result<(), Ended> {
    let (sender, messages) = mpsc::channel();
    let of_signals = sender.clone();
    // The loop is gone when nobody hears it, in this and all that follows.
    let ending = move || drop(of_signals.send(Message::End));
    let theme = terminal::theme();
    let mut screen = terminal::Screen::take().context("cannot take the terminal")?;
    let watching = Watching::start(&settings.agent, ending)?;
    let pace = Arc::new(Pace::default());
    let asker = watching.asker();
    start("snapshots", {
        let (sender, pace, interval) = (sender.clone(), Arc::clone(&pace), settings.interval);
        move || ask(&asker, &pace, interval, &sender)
    })?;
    let ended = Arc::new(AtomicBool::new(false));
    start("keys", {
        let (sender, ended) = (sender.clone(), Arc::clone(&ended));
        move || listen(&ended, &sender)
    })?;
    let wishes = dumper(take_dump, sender)?;

    let mut state = State::default();
    let over = loop {
        let limits = warnings.iter().chain(watching.asker().limits()).cloned().collect();
        state.limits = limits;
        let mut hits = None;
        screen.terminal().draw(|frame| hits = Some(view::draw(frame, &state, &theme)))?;
        if let Some(hits) = hits {
            state.drawn(hits);
        }
        let Ok(first) = messages.recv() else { break false };
        if !screen.is_ours() {
            return Err(
                anyhow::anyhow!("a part of it broke off; this is a bug in goroscope").into()
            );
        }
        let mut end = None;
        for message in std::iter::once(first).chain(messages.try_iter().take(MOST_AT_ONCE)) {
            match message {
                Message::Input(event) => {
                    let action = keys::action(&event, state.typing);
                    if action == Some(Action::Redraw) && !matches!(event, Event::Resize(..)) {
                        screen.terminal().clear()?;
                    }
                    match action.and_then(|action| state.act(action)) {
                        Some(Wish::Quit) => end = Some(false),
                        Some(Wish::Dump(id)) => drop(wishes.send(id)),
                        None => {}
                    }
                }
                Message::Snapshot(snapshot) => state.feed(snapshot),
                Message::Dump(id, dump) => state.dumped(id, dump),
                Message::Over => end = Some(true),
                Message::End => end = end.or(Some(false)),
            }
        }
        if let Some(over) = end {
            break over;
        }
    };
    ended.store(true, Ordering::Release);
    pace.end();
    drop(screen);
    let outcome = watching.stop();
    if over { outcome.map_err(Ended::Engine) } else { Ok(()) }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map(drop).context("cannot start a thread")
}

/// Asks for a snapshot each interval, until it is told to end.
fn ask(asker: &Asker, pace: &Pace, interval: Duration, sender: &Sender<Message>) {
    let mut next = None;
    loop {
        let Some(snapshot) = asker.snapshot() else {
            let _unheard = sender.send(Message::Over);
            return;
        };
        if sender.send(Message::Snapshot(snapshot)).is_err() {
            return;
        }
        let now = Instant::now();
        // Where the engine takes long the next one is not asked for at once.
        let then = (next.unwrap_or(now) + interval).max(now + interval / 2);
        next = Some(then);
        if pace.wait_until(then) {
            return;
        }
    }
}

/// Waits, unless the end comes.
#[derive(Default)]
struct Pace {
    ended: Mutex<bool>,
    bell: Condvar,
}

impl Pace {
    fn end(&self) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.notify_all();
    }

    /// Whether the end came.
    fn wait_until(&self, then: Instant) -> bool {
        let time = then.saturating_duration_since(Instant::now());
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.bell.wait_timeout_while(ended, time, |ended| !*ended);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Hears keys, the mouse and changes of size.
fn listen(ended: &AtomicBool, sender: &Sender<Message>) {
    while !ended.load(Ordering::Acquire) {
        let heard = match event::poll(LISTEN) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        // Without a terminal there is nobody to show anything to.
        let message = heard.map_or(Message::End, Message::Input);
        let over = matches!(message, Message::End);
        if sender.send(message).is_err() || over {
            return;
        }
    }
}

/// A thread that takes dumps, one at a time; of wishes that came meanwhile the last counts.
fn dumper(take_dump: TakeDump, sender: Sender<Message>) -> anyhow::Result<Sender<ProcessId>> {
    let (wishes, wished) = mpsc::channel();
    start("dumps", move || {
        while let Ok(id) = wished.recv() {
            let id = wished.try_iter().last().unwrap_or(id);
            if sender.send(Message::Dump(id, take_dump(id))).is_err() {
                return;
            }
        }
    })?;
    Ok(wishes)
}
