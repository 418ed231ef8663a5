//! What differs between two dumps: by creation site, by stack, and by goroutine where both have
//! their numbers.

mod comparable;
mod flames;
mod json;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use self::comparable::{Comparable, Detail};
pub use self::{
    flames::{folded, svg},
    json::json,
};
use crate::model::dump::{Dump, Goroutine, Place};

/// What goroutines are put together by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// The `go` statement that created them. Where it is not known, the outermost function: then
    /// without file and line.
    Site(Place),
    /// Their stack, the innermost call first.
    Stack(Vec<Place>),
}

/// Goroutines of one key, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What they have in common.
    pub key: Key,
    /// How many there were.
    pub before: u64,
    /// How many there are.
    pub after: u64,
    /// How they move, where goroutines are told apart.
    pub moved: Option<Moved>,
}

/// How goroutines moved between two dumps of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Only in the later dump.
    pub born: u64,
    /// Only in the earlier one.
    pub gone: u64,
    /// In both.
    pub stayed: u64,
    /// Of these, with the same stack in both.
    pub in_place: u64,
}

/// What differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Diff {
    /// Number of goroutines in the first dump; the runtime's own are left out.
    pub before: u64,
    /// In the second.
    pub after: u64,
    /// How they moved. `None` where goroutines have no numbers, or are not those of one process.
    pub moved: Option<Moved>,
    /// By creation site, what grew most first; what did not change is left out.
    pub sites: Vec<Change>,
    /// By stack, in the same order.
    pub stacks: Vec<Change>,
    /// Number of stacks that differ from one another, in both together.
    pub distinct_stacks: usize,
}

impl Change {
    /// How many more there are.
    #[must_use]
    pub fn delta(&self) -> i64 {
        // Both are far below the bounds of either type.
        self.after.cast_signed().saturating_sub(self.before.cast_signed())
    }
}

impl Diff {
    /// Of two dumps.
    #[must_use]
    pub fn new(before: &Dump, after: &Dump) -> Self {
        let detail = Detail::of(before, after);
        let [old, new] = [before, after].map(|dump| Comparable::all(dump, detail));
        let mut sites = Tally::default();
        let mut stacks = Tally::default();
        let partners = partners(before, after, &old, &new);
        let told_apart = partners.is_some();
        let partners = partners.unwrap_or_default();
        let mut moved = Moved::default();
        for one in &old {
            let gone = !partners.contains_key(&one.goroutine.goid);
            let count = one.goroutine.count;
            let step = Moved { gone: if gone { count } else { 0 }, ..Moved::default() };
            moved.add(step);
            sites.entry(&one.site).add(count, 0, step);
            stacks.entry(&one.stack).add(count, 0, step);
        }
        for one in &new {
            let count = one.goroutine.count;
            let step = match partners.get(&one.goroutine.goid) {
                Some(partner) => {
                    let in_place = if partner.stack == one.stack { count } else { 0 };
                    Moved { stayed: count, in_place, ..Moved::default() }
                }
                None => Moved { born: count, ..Moved::default() },
            };
            moved.add(step);
            sites.entry(&one.site).add(0, count, step);
            stacks.entry(&one.stack).add(0, count, step);
        }
        let total = |all: &[Comparable<'_>]| all.iter().map(|one| one.goroutine.count).sum();
        Self {
            before: total(&old),
            after: total(&new),
            moved: told_apart.then_some(moved),
            distinct_stacks: stacks.0.len(),
            sites: sites.changes(told_apart, Key::Site),
            stacks: stacks.changes(told_apart, Key::Stack),
        }
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let moves = self.moved.is_some_and(|moved| moved.born > 0 || moved.gone > 0);
        self.sites.is_empty() && self.stacks.is_empty() && !moves
    }
}

impl Moved {
    fn add(&mut self, other: Self) {
        self.born = self.born.saturating_add(other.born);
        self.gone = self.gone.saturating_add(other.gone);
        self.stayed = self.stayed.saturating_add(other.stayed);
        self.in_place = self.in_place.saturating_add(other.in_place);
    }
}

/// By its number, what a goroutine was in the first dump, for those that are in both. `None` where
/// numbers mean nothing: a dump has none, or the dumps are of two processes.
fn partners<'a>(
    before: &Dump,
    after: &Dump,
    old: &'a [Comparable<'a>],
    new: &[Comparable<'_>],
) -> Option<HashMap<u64, &'a Comparable<'a>>> {
    if before.pid != after.pid && before.pid != 0 && after.pid != 0 {
        return None;
    }
    let numbered = |goroutine: &Goroutine| goroutine.goid != 0 && goroutine.count == 1;
    if !old.iter().chain(new).all(|one| numbered(one.goroutine)) {
        return None;
    }
    let mut known: HashMap<u64, &Comparable<'_>> =
        old.iter().map(|one| (one.goroutine.goid, one)).collect();
    let numbers: HashMap<u64, &Comparable<'_>> =
        new.iter().map(|one| (one.goroutine.goid, one)).collect();
    if known.len() != old.len() || numbers.len() != new.len() {
        return None;
    }
    known.retain(|goid, _| numbers.contains_key(goid));
    // A process that has taken over the other's id has other goroutines under the same numbers.
    let creator = |one: &Comparable<'_>| one.goroutine.created_by.clone();
    let same = |(goid, one): (&u64, &&Comparable<'_>)| {
        numbers.get(goid).is_some_and(|other| creator(other) == creator(one))
    };
    known.iter().all(same).then_some(known)
}

/// Changes by key.
struct Tally<'a, K>(HashMap<&'a K, Counts>);

/// A change without its key.
#[derive(Default)]
struct Counts {
    before: u64,
    after: u64,
    moved: Moved,
}

impl<K> Default for Tally<'_, K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl Counts {
    fn add(&mut self, before: u64, after: u64, moved: Moved) {
        self.before = self.before.saturating_add(before);
        self.after = self.after.saturating_add(after);
        self.moved.add(moved);
    }
}

impl<'a, K: Clone + Eq + std::hash::Hash> Tally<'a, K> {
    fn entry(&mut self, key: &'a K) -> &mut Counts {
        self.0.entry(key).or_default()
    }

    fn changes(self, told_apart: bool, make: fn(K) -> Key) -> Vec<Change> {
        let changed = self.0.into_iter().filter(|(_, change)| change.before != change.after);
        let mut changes: Vec<Change> = changed
            .map(|(key, Counts { before, after, moved })| Change {
                key: make(key.clone()),
                before,
                after,
                moved: told_apart.then_some(moved),
            })
            .collect();
        let order =
            |change: &Change| (std::cmp::Reverse(change.delta()), std::cmp::Reverse(change.after));
        changes.sort_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.key.cmp(&b.key)));
        changes
    }
}
