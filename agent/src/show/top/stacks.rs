//! The goroutines of a dump, those with the same stack together.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use crate::model::{
    dump::{Dump, Goroutine, Place, Stack},
    site::SiteName,
};

/// Groups that are kept.
const MAX_GROUPS: usize = 10_000;

/// Goroutines with the same stack that do the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// How many.
    pub count: u64,
    /// What they wait for, or their state.
    pub doing: Arc<str>,
    /// How long the one that waits longest has waited, in seconds.
    pub longest_wait: Option<f64>,
    /// Their stack, the innermost call first.
    pub stack: Stack,
    /// Who created them.
    pub created_by: Option<Place>,
    /// One of them, to be found elsewhere.
    pub goid: u64,
    /// They ran whenever they were looked at.
    pub torn: bool,
    /// The stack goes on below.
    pub truncated: bool,
}

/// The goroutines of a process by their stacks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stacks {
    /// When the dump was taken, in seconds since the Unix epoch.
    pub taken_at: Option<f64>,
    /// The groups, the largest first.
    pub groups: Vec<Group>,
    /// Goroutines in them.
    pub goroutines: u64,
    /// Goroutines in groups beyond those that are kept.
    pub left_out: u64,
}

impl Stacks {
    /// Of the program's goroutines that a site created; of all, where none is given.
    #[must_use]
    pub fn of(dump: &Dump, site: Option<&SiteName>) -> Self {
        let mut groups: HashMap<(Stack, Arc<str>, Option<&Place>), Group> = HashMap::new();
        let wanted = |goroutine: &&Goroutine| match site {
            Some(site) => is_of(goroutine, site),
            None => !goroutine.system,
        };
        for goroutine in dump.goroutines.iter().filter(wanted) {
            let doing = goroutine.wait_reason.as_ref().unwrap_or(&goroutine.state);
            let created_by = goroutine.created_by.as_ref();
            let key = (Arc::clone(&goroutine.stack), Arc::clone(doing), created_by);
            let group = groups.entry(key).or_insert_with(|| Group {
                doing: Arc::clone(doing),
                stack: Arc::clone(&goroutine.stack),
                created_by: goroutine.created_by.clone(),
                goid: goroutine.goid,
                ..Group::default()
            });
            group.count = group.count.saturating_add(goroutine.count);
            group.torn |= goroutine.torn;
            group.truncated |= goroutine.truncated;
            group.longest_wait = match (group.longest_wait, goroutine.wait_seconds) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (a, b) => a.or(b),
            };
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        groups.sort_by(|a, b| {
            (Reverse(a.count), &a.stack, a.goid).cmp(&(Reverse(b.count), &b.stack, b.goid))
        });
        let goroutines = groups.iter().fold(0_u64, |sum, group| sum.saturating_add(group.count));
        let rest = groups.split_off(MAX_GROUPS.min(groups.len()));
        let left_out = rest.iter().fold(0_u64, |sum, group| sum.saturating_add(group.count));
        Self { taken_at: dump.taken_at, groups, goroutines, left_out }
    }
}

fn is_of(goroutine: &Goroutine, site: &SiteName) -> bool {
    // The main goroutine was created by no line.
    let created_by = goroutine.created_by.as_ref().map_or("", |place| &place.function);
    let line = goroutine.created_by.as_ref().map_or(0, |place| place.line);
    let start = goroutine.start.as_ref().map_or("", |place| &place.function);
    created_by == site.created_by && line == site.line && start == site.start
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dump::Frame;

    fn place(function: &str, line: u32) -> Place {
        Place { function: function.into(), file: "/src/main.go".into(), line }
    }

    fn goroutine(goid: u64, reason: &str, function: &str) -> Goroutine {
        let frame = Frame { place: place(function, 5), ..Frame::default() };
        Goroutine {
            goid,
            state: "waiting".into(),
            wait_reason: Some(reason.into()),
            wait_seconds: Some(goid as f64),
            created_by: Some(place("main.main", 9)),
            start: Some(place("main.work", 20)),
            stack: vec![frame].into(),
            count: 1,
            ..Goroutine::default()
        }
    }

    #[test]
    fn the_same_stack_is_one_group() {
        let system =
            Goroutine { system: true, created_by: None, ..goroutine(9, "GC", "runtime.gc") };
        let mut elsewhere = goroutine(8, "select", "main.a");
        elsewhere.created_by = Some(place("main.other", 1));
        let dump = Dump {
            goroutines: vec![
                goroutine(1, "select", "main.a"),
                goroutine(2, "chan send", "main.b"),
                goroutine(3, "chan send", "main.b"),
                goroutine(4, "chan send", "main.a"),
                system,
                elsewhere,
            ],
            ..Dump::default()
        };
        let all = Stacks::of(&dump, None);
        assert_eq!((all.goroutines, all.groups.len(), all.left_out), (5, 4, 0));
        let first = &all.groups[0];
        assert_eq!((first.count, &*first.doing, first.longest_wait), (2, "chan send", Some(3.0)));
        let site = SiteName {
            created_by: "main.main".to_owned(),
            file: "/src/main.go".to_owned(),
            line: 9,
            start: "main.work".to_owned(),
        };
        assert_eq!(Stacks::of(&dump, Some(&site)).goroutines, 4);
    }

    #[test]
    fn bounded() {
        let goroutines = (0..2 * MAX_GROUPS as u64)
            .map(|goid| goroutine(goid, "select", &format!("main.f{goid}")))
            .collect();
        let stacks = Stacks::of(&Dump { goroutines, ..Dump::default() }, None);
        assert_eq!(stacks.groups.len(), MAX_GROUPS);
        assert_eq!(stacks.left_out, MAX_GROUPS as u64);
    }
}
