//! The web configuration: TLS, who may ask, and what is added to answers, in the form of the
//! Prometheus exporters.
//!
//! Its files are looked at again at connections and requests, at most once a second. What is wrong
//! is said once, and what was there before stays in force. What was closed by the old configuration
//! is not opened by a new one: for that the agent has to be started anew.

mod error;

// What the file says.
mod value;
mod name;
mod hash;
mod header;
mod file;

// What comes of it.
mod reader;
mod certificate;
mod clients;
mod tls;
mod rate;
mod login;

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::http::{HeaderMap, HeaderValue};
use rustls::ServerConfig;
use tokio::time::{Instant, timeout};

use error::Origin;
pub use error::WebError;
use file::WebFile;
use header::Headers;
pub(super) use login::Login;
use login::{Doorkeeper, Users};
use rate::Rate;
use reader::Reader;
pub(super) use tls::H2;
use tls::Tls;

/// Time between two looks at the files.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a request waits for such a look; then it goes by what is known.
const LOOK_PATIENCE: Duration = Duration::from_secs(1);

/// What holds at one moment. Without a file: no TLS, nobody is asked who they are.
#[derive(Debug, Default)]
pub(super) struct Rules {
    tls: Option<Tls>,
    users: Users,
    headers: Headers,
    rate: Option<Rate>,
}

impl Rules {
    /// Reads the file, and all that it names.
    fn read(path: &Path, reader: &mut Reader) -> Result<Self, WebError> {
        let unreadable = |error| WebError::Unreadable { path: path.to_owned(), error };
        let text = String::from_utf8(reader.read(path).map_err(unreadable)?).map_err(|_| {
            let why = "it is not UTF-8".to_owned();
            WebError::Wrong { path: path.to_owned(), place: String::new(), why }
        })?;
        let file = WebFile::parse(path, &text)?;
        let origin = Origin { path, text: &text };
        let http = file.http_server_config.unwrap_or_default();
        let http2 = http.http2.is_none_or(|yes| yes.0);
        let tls = match file.tls_server_config.filter(|section| section.is_meant()) {
            Some(section) => Some(tls::tls(&section, http2, origin, reader)?),
            None => None,
        };
        let rate = file.rate_limit.unwrap_or_default();
        let interval = rate.interval.map_or(Duration::ZERO, |interval| interval.0);
        let rate = match (interval.is_zero(), rate.burst.unwrap_or(0)) {
            (true, _) => None,
            (false, 0) => {
                return Err(origin.wrong("rate_limit", "a burst of 0 would refuse every request"));
            }
            (false, burst) => Some(Rate::new(interval, burst)),
        };
        let headers = http.headers.as_ref().map(Headers::of).unwrap_or_default();
        Ok(Self { tls, users: Users::new(file.basic_auth_users), headers, rate })
    }

    /// How TLS is spoken, where it is.
    pub(super) fn tls(&self) -> Option<&Arc<ServerConfig>> {
        self.tls.as_ref().map(|tls| &tls.config)
    }

    /// Does everybody have to say who they are?
    pub(super) fn authenticates(&self) -> bool {
        !self.users.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.clients_are_known)
    }

    /// Do passwords go over the network as they are?
    pub(super) fn shows_passwords(&self) -> bool {
        self.tls.is_none() && !self.users.is_empty()
    }

    /// Is there room for one more request?
    pub(super) fn admits_more(&self) -> bool {
        self.rate.as_ref().is_none_or(Rate::allows)
    }

    /// Adds the headers that were asked for.
    pub(super) fn adorn(&self, headers: &mut HeaderMap) {
        self.headers.add_to(headers);
    }

    /// When the server's certificate ends, in seconds since the Unix epoch.
    pub(super) fn certificate_ends(&self) -> Option<i64> {
        self.tls.as_ref()?.ends
    }

    /// Why these rules may not take the place of `before` while the agent runs.
    fn opens(&self, before: &Self) -> Option<&'static str> {
        if self.tls.is_some() != before.tls.is_some() {
            return Some(
                "TLS is not turned on or off while the agent runs: start it anew for that",
            );
        }
        (before.authenticates() && !self.authenticates()).then_some(
            "nobody would have to say who they are any more: start the agent anew for that",
        )
    }
}

/// The web configuration, as it is now.
#[derive(Debug, Default)]
pub(super) struct Web {
    /// Without it nothing changes.
    path: Option<PathBuf>,
    state: Mutex<State>,
    keeper: Doorkeeper,
}

#[derive(Debug, Default)]
struct State {
    rules: Arc<Rules>,
    /// What was read last, whether it did or not.
    seen: Reader,
    next_look: Option<Instant>,
    looking: bool,
    /// Why the last that was read is not in force.
    refused: Option<String>,
}

impl Web {
    /// Reads the file, where there is one.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, WebError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let mut seen = Reader::default();
        let rules = Arc::new(Rules::read(path, &mut seen)?);
        warn_of_end(&rules);
        let state = State { rules, seen, ..State::default() };
        Ok(Self { path: Some(path.to_owned()), state: Mutex::new(state), ..Self::default() })
    }

    /// What holds now; looks first whether that has changed.
    pub(super) async fn rules(self: &Arc<Self>) -> Arc<Rules> {
        if self.is_due() {
            let web = Arc::clone(self);
            // A file system may hang; then this look goes on, and no other is begun.
            let look = tokio::task::spawn_blocking(move || web.look());
            let _in_time = timeout(LOOK_PATIENCE, look).await;
        }
        self.known()
    }

    /// What held when it was last looked.
    pub(super) fn known(&self) -> Arc<Rules> {
        Arc::clone(&self.state().rules)
    }

    /// Did the last that was read do? `None` without a file.
    pub(super) fn is_as_written(&self) -> Option<bool> {
        self.path.as_ref().map(|_| self.state().refused.is_none())
    }

    /// May who sends this header `Authorization` come in?
    pub(super) async fn login(&self, rules: &Rules, header: Option<&HeaderValue>) -> Login {
        if rules.users.is_empty() {
            return Login::Welcome;
        }
        self.keeper.login(&rules.users, header).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_due(&self) -> bool {
        let mut state = self.state();
        let now = Instant::now();
        let due = self.path.is_some() && !state.looking;
        let due = due && state.next_look.is_none_or(|next| now >= next);
        if due {
            state.looking = true;
            state.next_look = now.checked_add(LOOK_INTERVAL);
        }
        due
    }

    /// Reads the files anew, if one of them has changed.
    fn look(&self) {
        let Some(path) = &self.path else { return };
        let seen = std::mem::take(&mut self.state().seen);
        if !seen.has_changed() {
            let mut state = self.state();
            state.seen = seen;
            state.looking = false;
            return;
        }
        let mut seen = Reader::default();
        let read = Rules::read(path, &mut seen);
        let mut state = self.state();
        state.seen = seen;
        state.looking = false;
        let read = read.map_err(|error| error.to_string()).and_then(|rules| {
            match rules.opens(&state.rules) {
                Some(why) => Err(format!("web configuration {}: {why}", path.display())),
                None => Ok(rules),
            }
        });
        match read {
            Ok(rules) => {
                tracing::info!(path = %path.display(), "the web configuration is taken anew");
                warn_of_end(&rules);
                state.rules = Arc::new(rules);
                state.refused = None;
            }
            Err(error) => {
                if state.refused.as_ref() != Some(&error) {
                    tracing::warn!(
                        error,
                        "a new web configuration is refused; the one before it stays"
                    );
                }
                state.refused = Some(error);
            }
        }
    }
}

fn warn_of_end(rules: &Rules) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let ended = rules.certificate_ends().is_some_and(|ends| ends < i64::try_from(now).unwrap_or(0));
    if ended {
        tracing::warn!("the server's certificate has expired: clients will refuse it");
    }
}
