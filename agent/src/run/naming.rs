//! From the addresses that the probes counted to creation sites with names.

use std::collections::HashMap;

use goroscope_ebpf_probes::goroutine::{SiteCounts, SiteKey};

use crate::{
    inspect::{
        Binary,
        address::{FileAddress, LoadBias, ProcessAddress},
    },
    model::site::{Site, SiteName},
};

/// Names that are kept for one binary; beyond it they are looked up again each time.
const MAX_NAMES: usize = 16_384;

/// Functions of the runtime that start goroutines of the program's own:
/// <https://github.com/golang/go/blob/go1.26.6/src/runtime/traceback.go#L1384>.
const USER_STARTS: [&str; 3] = ["runtime.main", "runtime.corostart", "runtime.handleAsyncEvent"];

/// The names of a binary's creation sites that have been looked up.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<(FileAddress, FileAddress), SiteName>);

impl Names {
    fn of(&mut self, binary: &Binary, gopc: FileAddress, startpc: FileAddress) -> SiteName {
        if let Some(name) = self.0.get(&(gopc, startpc)) {
            return name.clone();
        }
        let place = binary.symbols.created_by(gopc);
        let unknown = || format!("{gopc}");
        let name = SiteName {
            created_by: place.as_ref().map_or_else(unknown, |place| place.function.clone()),
            line: place.as_ref().map_or(0, |place| place.line),
            file: place.map(|place| place.file).unwrap_or_default(),
            start: binary.symbols.function(startpc).unwrap_or_else(|| format!("{startpc}")),
        };
        if self.0.len() < MAX_NAMES {
            self.0.insert((gopc, startpc), name.clone());
        }
        name
    }
}

/// Names and sums up the sites of a process, the largest first.
pub(super) fn sites(
    counted: Vec<(SiteKey, SiteCounts)>,
    binary: &Binary,
    bias: LoadBias,
    names: &mut Names,
) -> Vec<Site> {
    let mut sites: HashMap<SiteName, SiteCounts> = HashMap::new();
    for (key, counts) in fold_unread(counted) {
        let address = |process| ProcessAddress(process).in_file(bias).unwrap_or(FileAddress(0));
        let name = names.of(binary, address(key.gopc), address(key.startpc));
        let sum = sites.entry(name).or_default();
        sum.created += counts.created;
        sum.exited += counts.exited;
    }
    let mut sites: Vec<Site> = sites
        .into_iter()
        .map(|(name, counts)| Site {
            system: is_system(&name.start),
            name: Some(name),
            // Goroutines older than the probes end without having been counted as born.
            live: counts.created.saturating_sub(counts.exited),
            created: counts.created,
            exited: counts.exited,
        })
        .collect();
    sites.sort_by(|a, b| (b.live, b.created, &a.name).cmp(&(a.live, a.created, &b.name)));
    sites
}

/// Puts births whose function could not be read (kernels without sleepable uprobe programs, a
/// page that was not mapped yet) to the one function that the same `go` statement is known to
/// start; where there are several, they stay by themselves.
fn fold_unread(counted: Vec<(SiteKey, SiteCounts)>) -> Vec<(SiteKey, SiteCounts)> {
    let (unread, mut read): (Vec<_>, Vec<_>) =
        counted.into_iter().partition(|(key, _)| key.startpc == 0);
    for (key, counts) in unread {
        let mut same = read.iter_mut().filter(|(other, _)| other.gopc == key.gopc);
        match (same.next(), same.next()) {
            (Some((_, sum)), None) => {
                sum.created += counts.created;
                sum.exited += counts.exited;
            }
            _ => read.push((key, counts)),
        }
    }
    read
}

/// Is it the runtime's own? As `isSystemGoroutine` of the runtime decides, but for the finalizer
/// goroutine, which is the program's while it runs the program's code.
fn is_system(start: &str) -> bool {
    start.starts_with("runtime.") && !USER_STARTS.contains(&start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(gopc: u64, startpc: u64, created: u64, exited: u64) -> (SiteKey, SiteCounts) {
        (SiteKey { gopc, startpc, slot: 0, reserved: 0 }, SiteCounts { created, exited })
    }

    #[test]
    fn births_of_an_unread_function_go_to_the_only_one_of_the_statement() {
        let folded =
            fold_unread(vec![counted(1, 0, 1, 0), counted(1, 7, 9, 10), counted(2, 8, 1, 1)]);
        assert_eq!(folded, [counted(1, 7, 10, 10), counted(2, 8, 1, 1)]);
    }

    #[test]
    fn they_stay_apart_where_it_could_be_several() {
        let sites = vec![counted(1, 7, 1, 1), counted(1, 8, 1, 1), counted(1, 0, 3, 0)];
        assert_eq!(fold_unread(sites.clone()), sites);
        let alone = vec![counted(1, 0, 3, 0)];
        assert_eq!(fold_unread(alone.clone()), alone);
    }

    #[test]
    fn the_runtimes_own_are_told_apart() {
        assert!(is_system("runtime.bgsweep"));
        assert!(is_system("runtime.gcBgMarkWorker"));
        assert!(!is_system("runtime.main"));
        assert!(!is_system("runtime.corostart"));
        assert!(!is_system("main.main.func1"));
        assert!(!is_system("runtimex.run"));
    }
}
