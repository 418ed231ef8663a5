//! Tells the service manager how the agent does, and vouches for the engine: who only answered for
//! the process would hide an engine that hangs.

use std::{
    pin::pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{
    mailbox::{Mail, Pulse},
    notify_socket::{NotifySocket, Word, watchdog},
};

/// Time between two looks where no watchdog asks for them sooner.
const REGULAR: Duration = Duration::from_secs(10);

/// Who speaks to the service manager. Where there is none, it says nothing.
pub(super) struct Supervisor {
    socket: Option<NotifySocket>,
    watchdog: Option<Duration>,
    /// The configuration was refused at the last reload.
    refused: AtomicBool,
    last: Mutex<String>,
}

impl Supervisor {
    /// As the environment says.
    pub(super) fn from_environment() -> Self {
        Self {
            socket: NotifySocket::from_environment(),
            watchdog: watchdog(),
            refused: AtomicBool::new(false),
            last: Mutex::default(),
        }
    }

    fn tell(&self, words: &[Word]) {
        if let Some(socket) = &self.socket {
            socket.tell(words);
        }
    }

    /// The configuration is being read.
    pub(super) fn reloading(&self) {
        self.tell(&[Word::Reloading]);
    }

    /// It has been read, and taken or refused.
    pub(super) fn reloaded(&self, taken: bool) {
        self.refused.store(!taken, Ordering::Relaxed);
        self.tell(&[Word::Ready]);
    }

    /// The agent ends.
    pub(super) fn stopping(&self) {
        self.tell(&[Word::Stopping, Word::Status("ending".to_owned())]);
    }

    /// Until the engine ends: says that the agent is ready when the engine has looked at the host
    /// once, and from then on that it lives, each time that the engine answers.
    pub(super) async fn vouch(&self, mail: &Mail) {
        let Some(pulse) = mail.pulse().await else { return };
        self.tell(&[Word::Ready]);
        self.alive(pulse);
        if self.socket.is_none() {
            return;
        }
        let period = period(self.watchdog);
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // One question at a time: an engine that hangs is not buried in them.
            let mut answer = pin!(mail.pulse());
            let pulse = match timeout(period, &mut answer).await {
                Ok(pulse) => pulse,
                Err(_) => {
                    tracing::warn!("the engine does not answer");
                    self.status("the engine does not answer".to_owned(), None);
                    answer.await
                }
            };
            let Some(pulse) = pulse else { return };
            self.alive(pulse);
        }
    }

    fn alive(&self, pulse: Pulse) {
        let beat = self.watchdog.map(|_| Word::Watchdog);
        let refused = self.refused.load(Ordering::Relaxed);
        self.status(status(pulse, refused), beat);
    }

    /// The status, where it is another than before, and this word.
    fn status(&self, text: String, word: Option<Word>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *last != text;
        last.clone_from(&text);
        let status = is_new.then_some(Word::Status(text));
        let words: Vec<Word> = word.into_iter().chain(status).collect();
        if !words.is_empty() {
            self.tell(&words);
        }
    }
}

/// Three times within the time after which the watchdog bites.
fn period(watchdog: Option<Duration>) -> Duration {
    let period = watchdog.map_or(REGULAR, |watchdog| watchdog / 3);
    period.clamp(Duration::from_millis(10), REGULAR)
}

fn status(pulse: Pulse, refused: bool) -> String {
    let Pulse { processes, goroutines } = pulse;
    let some = |count: u64, one: &str, many: &str| {
        format!("{count} {}", if count == 1 { one } else { many })
    };
    let processes = some(processes, "process", "processes");
    let goroutines = some(goroutines, "goroutine", "goroutines");
    let refused = if refused {
        "; the last configuration was refused, the one before is in force"
    } else {
        ""
    };
    format!("{processes}, {goroutines}{refused}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn often_enough_for_any_watchdog() {
        assert_eq!(period(None), REGULAR);
        assert_eq!(period(Some(Duration::from_secs(3))), Duration::from_secs(1));
        assert_eq!(period(Some(Duration::from_secs(600))), REGULAR);
        assert_eq!(period(Some(Duration::from_micros(1))), Duration::from_millis(10));
    }

    #[test]
    fn one_line() {
        let pulse = Pulse { processes: 1, goroutines: 3400 };
        assert_eq!(status(pulse, false), "1 process, 3400 goroutines");
        assert!(status(pulse, true).contains("refused"));
    }
}
