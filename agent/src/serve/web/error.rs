//! What can be wrong with a web configuration, in words for the user.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a web configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The file cannot be read.
    #[error("cannot read the web configuration {}: {error}", path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What it says makes no sense.
    #[error("web configuration {}{place}: {why}", path.display())]
    Wrong {
        /// Its path.
        path: PathBuf,
        /// `:LINE` or `:LINE:COLUMN`; empty where it is the file as a whole.
        place: String,
        /// Why.
        why: String,
    },
    /// Stacks would be given to anybody.
    #[error(
        "--http-dumps would give the stacks of all goroutines to whoever reaches {0}, where nobody \
         has to say who they are"
    )]
    OpenDumps(String),
}

impl WebError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::OpenDumps(_) => {
                "give --web-config FILE with basic_auth_users or client certificates, or listen \
                 on 127.0.0.1 or unix:PATH; `goroscope dump PID` on the host needs neither"
            }
            _ => {
                "its form is that of the Prometheus exporters: tls_server_config, \
                 http_server_config, basic_auth_users, rate_limit"
            }
        }
    }
}

/// A web configuration while it is read: its path and text, for what is said of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Origin<'_> {
    /// What stands at this key does not do.
    pub(super) fn wrong(&self, key: &str, why: impl Into<String>) -> WebError {
        let stands = |line: &str| {
            let rest = line.trim_start().strip_prefix(key);
            rest.is_some_and(|rest| rest.trim_start().starts_with(':'))
        };
        let line = self.text.lines().position(stands);
        let place = line.map(|line| format!(":{}", line.saturating_add(1))).unwrap_or_default();
        WebError::Wrong { path: self.path.to_owned(), place, why: why.into() }
    }
}
