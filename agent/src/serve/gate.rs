//! What a request has to pass before it is answered, and what is added to every answer.

use std::{
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    body::Body,
    http::{
        HeaderValue, Request, Response, StatusCode,
        header::{AUTHORIZATION, WWW_AUTHENTICATE},
    },
};

use super::{
    host::Hosts,
    listen::Listener,
    places::Places,
    reply::Reply,
    web::{Login, Rules, Web, WebError},
};
use crate::model::serving::Serving;

/// Connections that are open at once, over all listeners.
const MAX_CONNECTIONS: usize = 128;

/// What the server is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GateSettings {
    /// TLS and users, in the form of the Prometheus exporters; `None` for neither.
    pub web_config: Option<PathBuf>,
    /// Names of this server, besides its addresses and `localhost`; `*` for any.
    pub hosts: Vec<String>,
}

/// Who can reach a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Those who may open its file.
    File,
    /// Programs of this host.
    Host,
    /// Anybody.
    Network,
}

impl Reach {
    pub(super) fn of(listener: &Listener) -> Self {
        match listener.tcp_address() {
            None => Self::File,
            Some(address) if address.ip().to_canonical().is_loopback() => Self::Host,
            Some(_) => Self::Network,
        }
    }
}

/// Why somebody was not answered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    /// It did not speak TLS.
    Plain,
    /// No TLS came about.
    Handshake,
    /// Name or password.
    Login,
    /// The name of another server.
    Host,
    /// Too many requests.
    Rate,
    /// Its place was needed for others.
    Place,
}

impl Refusal {
    /// In the order of [`Serving::refused`].
    const ALL: [(Self, &'static str); 6] = [
        (Self::Plain, "no_tls"),
        (Self::Handshake, "handshake"),
        (Self::Login, "login"),
        (Self::Host, "host"),
        (Self::Rate, "rate"),
        (Self::Place, "idle"),
    ];
}

/// The entrance.
#[derive(Debug)]
pub struct Gate {
    web: Arc<Web>,
    hosts: Hosts,
    pub(super) places: Arc<Places>,
    refused: [AtomicU64; Refusal::ALL.len()],
    /// The listeners that anybody can reach.
    open: OnceLock<String>,
}

impl Gate {
    /// Reads the web configuration, where there is one.
    ///
    /// # Errors
    ///
    /// [`WebError`], with a text for the user.
    pub fn open(settings: &GateSettings) -> Result<Arc<Self>, WebError> {
        let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(Arc::new(Self {
            web: Arc::new(Web::open(settings.web_config.as_deref())?),
            hosts: Hosts::new(settings.hosts.iter().cloned().chain([own])),
            places: Places::new(MAX_CONNECTIONS),
            refused: Default::default(),
            open: OnceLock::new(),
        }))
    }

    /// Says what is dangerous about serving on these addresses.
    ///
    /// # Errors
    ///
    /// [`WebError`], where stacks would be given (`dumps`) to anybody.
    pub fn judge(&self, listeners: &[Listener], dumps: bool) -> Result<(), WebError> {
        let rules = self.web.known();
        let open = listeners.iter().filter(|listener| Reach::of(listener) == Reach::Network);
        let open: Vec<_> = open.map(|listener| self.url(listener)).collect();
        if open.is_empty() {
            return Ok(());
        }
        let open = self.open.get_or_init(|| open.join(", "));
        if dumps {
            self.permits_dumps()?;
        }
        if !rules.authenticates() {
            let tls = if rules.tls().is_some() { "" } else { " and without TLS" };
            tracing::warn!(
                "whoever reaches {open} reads, without a password{tls}, which programs run here \
                 and what they do: give --web-config FILE, or listen on 127.0.0.1 or unix:PATH"
            );
        } else if rules.shows_passwords() {
            tracing::warn!(
                "passwords go to {open} without TLS, so that others on the way can read them: add \
                 tls_server_config to the web configuration"
            );
        }
        Ok(())
    }

    /// May stacks be given out?
    ///
    /// # Errors
    ///
    /// [`WebError`], where they would be given to anybody.
    pub fn permits_dumps(&self) -> Result<(), WebError> {
        match self.open.get() {
            Some(open) if !self.web.known().authenticates() => {
                Err(WebError::OpenDumps(open.clone()))
            }
            _ => Ok(()),
        }
    }

    /// The address of a listener, as it is to be called.
    #[must_use]
    pub fn url(&self, listener: &Listener) -> String {
        let url = listener.to_string();
        match (self.web.known().tls(), url.strip_prefix("http://")) {
            (Some(_), Some(address)) => format!("https://{address}"),
            _ => url,
        }
    }

    /// How serving goes, for the agent's own metrics.
    #[must_use]
    pub fn serving(&self) -> Serving {
        Serving {
            web_config_is_in_force: self.web.is_as_written(),
            certificate_ends: self.web.known().certificate_ends(),
            refused: Refusal::ALL
                .map(|(refusal, word)| (word, self.count_of(refusal).load(Ordering::Relaxed)))
                .into(),
        }
    }

    /// What holds now.
    pub(super) async fn rules(&self) -> Arc<Rules> {
        self.web.rules().await
    }

    /// Notes that somebody was not answered.
    pub(super) fn refuse(&self, refusal: Refusal) {
        self.count_of(refusal).fetch_add(1, Ordering::Relaxed);
    }

    fn count_of(&self, refusal: Refusal) -> &AtomicU64 {
        let [plain, handshake, login, host, rate, place] = &self.refused;
        match refusal {
            Refusal::Plain => plain,
            Refusal::Handshake => handshake,
            Refusal::Login => login,
            Refusal::Host => host,
            Refusal::Rate => rate,
            Refusal::Place => place,
        }
    }

    /// The answer to a request that is not let through.
    pub(super) async fn turn_away<B>(
        &self,
        rules: &Rules,
        reach: Reach,
        request: &Request<B>,
    ) -> Option<Response<Body>> {
        let refused = |refusal, status, why: &str| {
            self.refuse(refusal);
            Some(Reply::error(status, why).to(request.headers()))
        };
        if is_in_danger(rules, reach, request.uri().path()) && !self.hosts.admit(request) {
            return refused(
                Refusal::Host,
                StatusCode::MISDIRECTED_REQUEST,
                "this server does not go by the name in the header Host. Ask it by address, or as \
                 localhost, or start the agent with --http-host NAME",
            );
        }
        if !rules.admits_more() {
            let why = "there were too many requests: rate_limit of the web configuration";
            return refused(Refusal::Rate, StatusCode::TOO_MANY_REQUESTS, why);
        }
        match self.web.login(rules, request.headers().get(AUTHORIZATION)).await {
            Login::Welcome => None,
            Login::Refused => {
                let why = "name or password are missing or wrong";
                let mut response = refused(Refusal::Login, StatusCode::UNAUTHORIZED, why)?;
                let value = HeaderValue::from_static("Basic realm=\"goroscope\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, value);
                Some(response)
            }
            Login::Busy => {
                let why = "too many passwords are being checked: ask again";
                refused(Refusal::Login, StatusCode::SERVICE_UNAVAILABLE, why)
            }
        }
    }
}

/// Can a page of another site read what is answered here, if its name points to this address?
///
/// Not where there is TLS, because the certificate has another name, and not where a password is
/// wanted, because the browser has none for that site. Health is no secret. And where others than
/// this host ask, Prometheus calls the server by names that nobody here knows.
fn is_in_danger(rules: &Rules, reach: Reach, path: &str) -> bool {
    if rules.tls().is_some() || rules.authenticates() {
        return false;
    }
    let harmless: &[&str] = match reach {
        Reach::File => return false,
        Reach::Host => &["/healthz", "/readyz"],
        Reach::Network => &["/healthz", "/readyz", "/metrics"],
    };
    !harmless.contains(&path)
}
