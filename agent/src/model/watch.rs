//! How well a process can be watched.

/// State of one way of watching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// It works.
    Ok,
    /// It is switched off, or not asked for.
    Off,
    /// It works, but for a part; a sentence for the user, without a full stop.
    Partly(String),
    /// It works, and rests for this reason, as it was asked to; a sentence likewise.
    Paused(String),
    /// It does not work, for this reason; a sentence likewise.
    Failed(String),
}

impl Watch {
    /// `"ok"`, `"off"`, or the reason.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ok => "ok",
            Self::Off => "off",
            Self::Partly(reason) | Self::Paused(reason) | Self::Failed(reason) => reason,
        }
    }
}

/// Both ways of watching a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watches {
    /// Can the runtime's memory be read?
    pub runtime: Watch,
    /// Are the uprobes attached?
    pub probes: Watch,
}

impl Watches {
    /// One word for both.
    #[must_use]
    pub fn status(&self) -> Status {
        let both = [&self.runtime, &self.probes];
        if both.iter().all(|watch| matches!(watch, Watch::Ok | Watch::Off | Watch::Paused(_))) {
            Status::Active
        } else if both
            .iter()
            .any(|watch| matches!(watch, Watch::Ok | Watch::Partly(_) | Watch::Paused(_)))
        {
            Status::Degraded
        } else {
            Status::Failed
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_for_both() {
        let partly = || Watch::Partly("no statistics".to_owned());
        let paused = || Watch::Paused("over budget".to_owned());
        let failed = || Watch::Failed("no symbols".to_owned());
        for (runtime, probes, status) in [
            (Watch::Ok, Watch::Ok, Status::Active),
            (Watch::Ok, Watch::Off, Status::Active),
            (Watch::Ok, paused(), Status::Active),
            (failed(), paused(), Status::Degraded),
            (partly(), Watch::Off, Status::Degraded),
            (Watch::Ok, failed(), Status::Degraded),
            (failed(), Watch::Ok, Status::Degraded),
            (failed(), Watch::Off, Status::Failed),
            (failed(), failed(), Status::Failed),
        ] {
            assert_eq!(Watches { runtime, probes }.status(), status);
        }
    }
}
