//! Goroutines grouped by where they were created, what they run and what they wait for.

use std::collections::HashMap;

use super::goroutine::{Goroutine, State};
use crate::inspect::address::ProcessAddress;

/// Groups kept of one process. What is beyond is in the totals, but in no group, however large it
/// is: so there is room for more creation sites than programs have.
pub const MAX_GROUPS: usize = 65_536;
/// Slots of the cache in front of the groups; a power of two.
const SLOTS: usize = 256;

/// What the goroutines of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKey {
    /// Behind the `go` statement.
    pub created_at: ProcessAddress,
    /// The function started.
    pub start: ProcessAddress,
    /// Their state.
    pub state: State,
    /// What they wait for, by the target's own numbers; 0 unless they wait.
    pub wait_reason: u8,
    /// They are the runtime's own.
    pub system: bool,
}

/// The goroutines with one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// How many.
    pub goroutines: u64,
    /// Bytes of their stacks.
    pub stack_bytes: u64,
    /// When the one that waits longest began to, on the target's monotonic clock, in nanoseconds;
    /// 0 where it is not known of any.
    pub oldest_wait_since: u64,
}

/// All goroutines of a process, counted.
#[derive(Debug)]
pub struct Groups {
    keys: HashMap<GroupKey, usize>,
    groups: Vec<(GroupKey, Group)>,
    /// Recently met groups; most goroutines of a large process belong to few.
    cache: Box<[usize; SLOTS]>,
    by_state: [u64; State::ALL.len()],
    by_reason: Box<[u64; 256]>,
    system: u64,
    ungrouped: u64,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            keys: HashMap::new(),
            groups: Vec::new(),
            cache: Box::new([usize::MAX; SLOTS]),
            by_state: [0; State::ALL.len()],
            by_reason: Box::new([0; 256]),
            system: 0,
            ungrouped: 0,
        }
    }
}

impl Groups {
    /// Forgets the goroutines, and keeps the memory for the next scan.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.groups.clear();
        self.cache.fill(usize::MAX);
        self.by_state.fill(0);
        self.by_reason.fill(0);
        self.system = 0;
        self.ungrouped = 0;
    }

    /// Counts a goroutine.
    pub fn add(&mut self, goroutine: &Goroutine) {
        // Where there is no room for its group, that is counted.
        let _index = self.place(goroutine);
    }

    /// Counts a goroutine, and gives the index of its group, where there was room for that.
    pub fn place(&mut self, goroutine: &Goroutine) -> Option<usize> {
        if goroutine.system {
            self.system += 1;
        } else {
            let state = State::ALL.iter().position(|state| *state == goroutine.state);
            if let Some(count) = state.and_then(|index| self.by_state.get_mut(index)) {
                *count += 1;
            }
            if goroutine.state == State::Waiting
                && let Some(count) = self.by_reason.get_mut(usize::from(goroutine.wait_reason))
            {
                *count += 1;
            }
        }
        let key = GroupKey {
            created_at: goroutine.created_at,
            start: goroutine.start,
            state: goroutine.state,
            wait_reason: goroutine.wait_reason,
            system: goroutine.system,
        };
        let Some(index) = self.group(key) else {
            self.ungrouped += 1;
            return None;
        };
        let (_, group) = self.groups.get_mut(index)?;
        group.goroutines += 1;
        group.stack_bytes = group.stack_bytes.saturating_add(goroutine.stack_bytes);
        let (known, new) = (group.oldest_wait_since, goroutine.wait_since);
        if known == 0 || (new != 0 && new < known) {
            group.oldest_wait_since = new;
        }
        Some(index)
    }

    /// Index of the group of a key; `None` where there is no room for another one.
    fn group(&mut self, key: GroupKey) -> Option<usize> {
        let slot = slot(&key);
        let cached = self.cache.get(slot).copied().unwrap_or(usize::MAX);
        let hit = self.groups.get(cached).is_some_and(|(known, _)| *known == key);
        let index = if hit {
            cached
        } else {
            let index = match self.keys.get(&key) {
                Some(index) => *index,
                None if self.groups.len() < MAX_GROUPS => {
                    let index = self.groups.len();
                    self.groups.push((key, Group::default()));
                    self.keys.insert(key, index);
                    index
                }
                None => return None,
            };
            if let Some(cached) = self.cache.get_mut(slot) {
                *cached = index;
            }
            index
        };
        Some(index)
    }

    /// The groups, in the order in which they were met.
    #[must_use]
    pub fn groups(&self) -> &[(GroupKey, Group)] {
        &self.groups
    }

    /// The program's goroutines in a state.
    pub fn by_state(&self) -> impl Iterator<Item = (State, u64)> {
        State::ALL.into_iter().zip(self.by_state)
    }

    /// The program's waiting goroutines by the target's number of the reason, without those that
    /// nobody waits for.
    pub fn by_reason(&self) -> impl Iterator<Item = (u8, u64)> {
        (0..=u8::MAX).zip(self.by_reason.iter().copied()).filter(|(_, count)| *count > 0)
    }

    /// The program's goroutines.
    #[must_use]
    pub fn user(&self) -> u64 {
        self.by_state.iter().sum()
    }

    /// The runtime's own goroutines.
    #[must_use]
    pub fn system(&self) -> u64 {
        self.system
    }

    /// Goroutines for whose group there was no room.
    #[must_use]
    pub fn ungrouped(&self) -> u64 {
        self.ungrouped
    }
}

/// Where the cache keeps a key.
fn slot(key: &GroupKey) -> usize {
    let mixed = (key.created_at.0 ^ key.start.0.rotate_left(17))
        .wrapping_add(u64::from(key.wait_reason))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> 56).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goroutine(site: u64) -> Goroutine {
        Goroutine {
            record: ProcessAddress(0),
            goid: 1,
            parent_goid: None,
            state: State::Waiting,
            wait_reason: 2,
            wait_since: 0,
            created_at: ProcessAddress(site),
            start: ProcessAddress(2),
            stack_bytes: 2048,
            tracking_seq: 0,
            pc: ProcessAddress(3),
            sp: ProcessAddress(4),
            system: false,
        }
    }

    #[test]
    fn sums_are_exact_and_groups_are_bounded() {
        let mut groups = Groups::default();
        let sites = u64::try_from(MAX_GROUPS).unwrap() + 10;
        for site in (0..sites).chain(0..5) {
            groups.add(&goroutine(site));
        }
        assert_eq!(groups.groups().len(), MAX_GROUPS);
        assert_eq!(groups.ungrouped(), 10);
        assert_eq!(groups.user(), sites + 5);
        assert_eq!(groups.by_reason().collect::<Vec<_>>(), [(2, sites + 5)]);
        assert_eq!(groups.groups()[3].1.goroutines, 2);
        assert_eq!(groups.groups()[3].1.stack_bytes, 4096);
        groups.clear();
        assert_eq!((groups.user(), groups.groups().len()), (0, 0));
    }

    #[test]
    fn the_oldest_is_the_one_whose_wait_is_known_and_began_first() {
        let mut groups = Groups::default();
        for wait_since in [0, 70, 50, 0, 60] {
            groups.add(&Goroutine { wait_since, ..goroutine(1) });
        }
        assert_eq!(groups.groups()[0].1.oldest_wait_since, 50);
    }

    #[test]
    fn the_runtime_s_own_are_counted_apart() {
        let mut groups = Groups::default();
        groups.add(&Goroutine { system: true, ..goroutine(1) });
        groups.add(&Goroutine { state: State::Running, wait_reason: 0, ..goroutine(1) });
        assert_eq!((groups.user(), groups.system()), (1, 1));
        assert_eq!(groups.by_reason().count(), 0);
        let running = groups.by_state().find(|(state, _)| *state == State::Running);
        assert_eq!(running, Some((State::Running, 1)));
    }
}
