//! What is told of whom.

use std::time::Duration;

use super::address::Address;
use crate::judge::alert::Rules;
pub use crate::push::settings::{Login, Tls};

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
