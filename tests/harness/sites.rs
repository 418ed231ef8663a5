//! Creation sites, as the agent's API gives them.

use serde::Deserialize;

/// One creation site of a process; without names, the sum of those not told apart.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    created_by: Option<String>,
    location: Option<String>,
    /// Path of the source file.
    pub file: Option<String>,
    /// Line of the `go` statement.
    pub line: Option<u32>,
    start: Option<String>,
    /// Goroutines alive.
    pub live: u64,
    /// Goroutines born while the probes were attached.
    pub created: u64,
    /// Goroutines that ended while the probes were attached.
    pub exited: u64,
    /// Whether they are the runtime's own.
    pub system: bool,
}

impl Site {
    /// Function with the `go` statement.
    #[must_use]
    pub fn created_by(&self) -> &str {
        self.created_by.as_deref().unwrap_or("other")
    }

    /// `file.go:line`
    #[must_use]
    pub fn location(&self) -> &str {
        self.location.as_deref().unwrap_or("other")
    }

    /// The function started.
    #[must_use]
    pub fn start(&self) -> &str {
        self.start.as_deref().unwrap_or("other")
    }

    /// Whether both are the same site, whatever their counts.
    #[must_use]
    pub fn same_place(&self, other: &Self) -> bool {
        let key = |site: &Self| {
            (site.created_by.clone(), site.file.clone(), site.line, site.start.clone())
        };
        key(self) == key(other)
    }
}

/// Births and deaths summed over sites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Born.
    pub created: u64,
    /// Ended.
    pub exited: u64,
}

impl Sum {
    /// Of the sites that `which` picks.
    #[must_use]
    pub fn of(sites: &[Site], which: impl Fn(&Site) -> bool) -> Self {
        sites.iter().filter(|site| which(site)).fold(Self::default(), |sum, site| Self {
            created: sum.created + site.created,
            exited: sum.exited + site.exited,
        })
    }

    /// What was added since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            created: self.created.saturating_sub(before.created),
            exited: self.exited.saturating_sub(before.exited),
        }
    }
}
