//! The largest creation sites of a process by name, the rest summed up.

use std::{cmp::Reverse, collections::BTreeMap};

use super::site::Site;

/// Goroutines of one or several creation sites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Alive.
    pub live: u64,
    /// Born.
    pub created: u64,
    /// Ended.
    pub exited: u64,
}

impl Tally {
    fn add(&mut self, site: &Site) {
        self.live = self.live.saturating_add(site.live);
        self.created = self.created.saturating_add(site.created);
        self.exited = self.exited.saturating_add(site.exited);
    }

    fn merge(&mut self, other: Self) {
        self.live = self.live.saturating_add(other.live);
        self.created = self.created.saturating_add(other.created);
        self.exited = self.exited.saturating_add(other.exited);
    }
}

/// The sites of a process, at most so many of them by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Top<K> {
    /// Those with most goroutines alive, the largest first; keys are distinct.
    pub named: Vec<(K, Tally)>,
    /// All others together; `None` where there are none.
    pub other: Option<Tally>,
    /// How many named sites are inside `other`. The part that came without a name already is not
    /// counted: nobody knows of how many sites it is made.
    pub folded: u64,
}

/// Picks the `limit` largest of `sites`: by goroutines alive, then by goroutines born, then by key,
/// so that the choice does not depend on the order of `sites`.
///
/// `key` names a site, `None` where it has no name; sites with equal keys are one site.
#[must_use]
pub fn top<K: Ord>(
    sites: &[Site],
    limit: usize,
    mut key: impl FnMut(&Site) -> Option<K>,
) -> Top<K> {
    let mut by_key = BTreeMap::<K, Tally>::new();
    let mut other: Option<Tally> = None;
    for site in sites {
        match key(site) {
            Some(key) => by_key.entry(key).or_default().add(site),
            None => other.get_or_insert_default().add(site),
        }
    }
    let mut named: Vec<_> = by_key.into_iter().collect();
    // Stable, so equal tallies stay in the order of their keys.
    named.sort_by_key(|(_, tally)| Reverse((tally.live, tally.created)));
    let rest = named.split_off(limit.min(named.len()));
    for (_, tally) in &rest {
        other.get_or_insert_default().merge(*tally);
    }
    Top { named, other, folded: u64::try_from(rest.len()).unwrap_or(u64::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::site::SiteName;

    fn site(name: &str, live: u64, created: u64) -> Site {
        Site {
            name: Some(SiteName { created_by: name.to_owned(), ..SiteName::default() }),
            live,
            created,
            exited: created - live,
            ..Site::default()
        }
    }

    fn name(site: &Site) -> Option<String> {
        site.name.as_ref().map(|name| name.created_by.clone())
    }

    fn sum(top: &Top<String>) -> Tally {
        let mut all = top.other.unwrap_or_default();
        top.named.iter().for_each(|(_, tally)| all.merge(*tally));
        all
    }

    #[test]
    fn the_largest_are_named_and_nothing_is_lost() {
        let sites: Vec<_> = (0..100).map(|i| site(&format!("f{i}"), i, 2 * i)).collect();
        let top = top(&sites, 3, name);
        let names: Vec<_> = top.named.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["f99", "f98", "f97"]);
        assert_eq!(top.folded, 97);
        assert_eq!(sum(&top), Tally { live: 4950, created: 9900, exited: 4950 });
    }

    #[test]
    fn all_fit() {
        let top = top(&[site("a", 1, 1)], 1, name);
        assert_eq!((top.named.len(), top.other, top.folded), (1, None, 0));
    }

    #[test]
    fn equal_keys_are_one_site() {
        let top = top(&[site("a", 1, 5), site("b", 2, 2), site("a", 3, 4)], 2, name);
        assert_eq!(top.named[0], ("a".to_owned(), Tally { live: 4, created: 9, exited: 5 }));
        assert_eq!(top.named[1], ("b".to_owned(), Tally { live: 2, created: 2, exited: 0 }));
    }

    #[test]
    fn the_nameless_rest_joins_the_others_and_is_not_counted_as_a_site() {
        let rest = Site { live: 7, created: 9, exited: 2, ..Site::default() };
        let top = top(&[site("a", 1, 1), site("b", 2, 2), rest], 1, name);
        assert_eq!(top.folded, 1);
        assert_eq!(top.other, Some(Tally { live: 8, created: 10, exited: 2 }));
    }

    #[test]
    fn the_order_of_sites_does_not_matter() {
        let mut sites = vec![site("a", 1, 1), site("b", 1, 1), site("c", 1, 2), site("d", 1, 1)];
        let first = top(&sites, 2, name);
        sites.reverse();
        assert_eq!(first, top(&sites, 2, name));
        assert_eq!(first.named[0].0, "c");
        assert_eq!(first.named[1].0, "a");
    }
}
