//! How well a process can be watched.

/// State of one way of watching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// It works.
    Ok,
    /// It is switched off, or not asked for.
    Off,
    /// It does not work, for this reason; a sentence for the user, without a full stop.
    Failed(String),
}

impl Watch {
    /// `"ok"`, `"off"`, or the reason.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ok => "ok",
            Self::Off => "off",
            Self::Failed(reason) => reason,
        }
    }
}

/// One word for a process: the label `status` of `goroscope_processes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// All that was asked for works.
    Active,
    /// Part of it does not.
    Degraded,
    /// Nothing of it works.
    Failed,
}

impl Status {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }
}
