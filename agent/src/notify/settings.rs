//! What is told of whom.

use std::{path::PathBuf, time::Duration};

use super::address::Address;
use crate::judge::alert::Rules;

/// What is told of whom.
#[derive(Clone, Debug, PartialEq)]
pub struct NotifySettings {
    /// Who is told.
    pub alertmanagers: Vec<Alertmanager>,
    /// Of what.
    pub rules: Rules,
    /// Time between two looks at what is firing.
    pub interval: Duration,
    /// Time after which an alert that is still firing is sent again.
    pub resend: Duration,
}

/// One Alertmanager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alertmanager {
    /// Where it is.
    pub address: Address,
    /// How it is known, and how the agent is.
    pub tls: Tls,
    /// Who the agent says that it is.
    pub login: Option<Login>,
}

/// Certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates of those who may vouch for the server, PEM; `None` for those of the system.
    pub ca_file: Option<PathBuf>,
    /// Certificate of the agent and its key, PEM.
    pub own: Option<(PathBuf, PathBuf)>,
    /// The name that must be in the server's certificate; `None` for that of the address.
    pub server_name: Option<String>,
    /// Take any certificate.
    pub insecure_skip_verify: bool,
}

/// Who the agent says that it is. The files are read each time, because secrets change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// HTTP basic authentication.
    Basic {
        /// The name.
        username: String,
        /// File with the password.
        password_file: PathBuf,
    },
    /// File with a bearer token.
    Bearer(PathBuf),
}
