//! From counters to what happened a second, by the snapshots' own times.

use crate::model::{process::Process, site::Site, snapshot::Snapshot};

/// Over so many seconds growth is told, so that single goroutines make no noise.
pub const WINDOW: f64 = 10.0;

/// What happens a second; `None` where that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// Goroutines born.
    pub born: Option<f64>,
    /// Goroutines that ended.
    pub died: Option<f64>,
    /// How many more there are.
    pub growth: Option<f64>,
}

/// Who counted: the two begin at different times and cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Runtime,
    Probes,
}

/// Counters of births and deaths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    by: By,
    created: u64,
    exited: u64,
}

impl Counted {
    /// Of a process: the runtime's, or else the probes'.
    #[must_use]
    pub fn of_process(process: &Process) -> Option<Self> {
        if let Some(runtime) = &process.runtime {
            let counts = &runtime.counts;
            return Some(Self { by: By::Runtime, created: counts.created, exited: counts.exited });
        }
        let births = process.probed.filter(|probed| probed.attached > 0)?.births;
        Some(Self { by: By::Probes, created: births.created, exited: births.exited })
    }

    /// Of a site of a process; only the probes know, while they are attached.
    #[must_use]
    pub fn of_site(process: &Process, site: &Site) -> Option<Self> {
        process.probed.filter(|probed| probed.attached > 0)?;
        Some(Self { by: By::Probes, created: site.created, exited: site.exited })
    }

    /// Births and deaths a second since an earlier look.
    #[must_use]
    pub fn since(self, before: Self, seconds: f64) -> Option<(f64, f64)> {
        // What was read while the process changed may be off by a few, and fall the next time.
        let created = self.created.saturating_sub(before.created);
        let exited = self.exited.saturating_sub(before.exited);
        (self.by == before.by && seconds > 0.0)
            .then(|| (created as f64 / seconds, exited as f64 / seconds))
    }
}

/// When the goroutines of the sites were looked at: that is not at each snapshot.
#[must_use]
pub fn looked_at(snapshot: &Snapshot, process: &Process) -> f64 {
    let table = process.runtime.as_ref().and_then(|runtime| runtime.table.as_ref());
    table.map_or(snapshot.taken_at, |table| table.taken_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::top::made_up;

    #[test]
    fn counters_of_one_kind_are_compared() {
        let before = Counted { by: By::Runtime, created: 100, exited: 40 };
        let now = Counted { by: By::Runtime, created: 130, exited: 44 };
        assert_eq!(now.since(before, 2.0), Some((15.0, 2.0)));
        assert_eq!(before.since(now, 2.0), Some((0.0, 0.0)));
        assert_eq!(now.since(before, 0.0), None);
        assert_eq!(Counted { by: By::Probes, ..now }.since(before, 2.0), None);
    }

    #[test]
    fn the_runtime_is_heard_first() {
        let mut process = made_up::process(7, 5);
        assert_eq!(Counted::of_process(&process).map(|counted| counted.by), Some(By::Runtime));
        process.runtime = None;
        assert_eq!(Counted::of_process(&process).map(|counted| counted.by), Some(By::Probes));
        process.probed = None;
        assert_eq!(Counted::of_process(&process), None);
    }
}
