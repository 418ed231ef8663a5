//! Creation sites, as the agent's API gives them.

use serde::Deserialize;

/// One creation site of a process.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// Function with the `go` statement; `other` for the sum of the rest.
    pub created_by: String,
    /// `file.go:line`
    #[serde(default)]
    pub location: String,
    /// The function started.
    #[serde(default)]
    pub start: String,
    /// Goroutines alive.
    pub live: u64,
    /// Goroutines born while the probes were attached.
    pub created: u64,
    /// Goroutines that ended while the probes were attached.
    pub exited: u64,
    /// Whether they are the runtime's own.
    #[serde(default)]
    pub system: bool,
}

/// Births and deaths summed over sites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Born.
    pub created: u64,
    /// Ended.
    pub exited: u64,
}

/// Sums the sites that `which` picks.
#[must_use]
pub fn sum(sites: &[Site], which: impl Fn(&Site) -> bool) -> Sum {
    sites.iter().filter(|site| which(site)).fold(Sum::default(), |sum, site| Sum {
        created: sum.created + site.created,
        exited: sum.exited + site.exited,
    })
}
