//! From the addresses that the probes counted, and those in the runtime's table, to creation sites
//! with names.

use std::{collections::HashMap, sync::Arc, time::Duration};

use goroscope_ebpf_probes::goroutine::{SiteCounts, SiteKey};

use super::reading::Table;
use crate::{
    inspect::{
        Binary,
        address::{FileAddress, LoadBias, ProcessAddress},
    },
    judge::process::{Judged, SiteAddress},
    model::{
        leak::Leak,
        site::{Held, Site, SiteName},
    },
    read::{Group, GroupKey, MAX_GROUPS, State},
};

/// Names that are kept for one binary; beyond it they are looked up again each time. As many as groups
/// of one process are.
const MAX_NAMES: usize = MAX_GROUPS;

/// Stands for the creator of goroutines that no `go` statement created: those of threads that C
/// created and that call into Go.
const FROM_C: &str = "(a thread of C)";

/// Functions of the runtime that start goroutines of the program's own:
/// <https://github.com/golang/go/blob/go1.26.6/src/runtime/traceback.go#L1384>.
const USER_STARTS: [&str; 3] = ["runtime.main", "runtime.corostart", "runtime.handleAsyncEvent"];

/// What was seen of the goroutines of a process, by address.
pub(super) struct Seen<'a> {
    /// The last look at the runtime's table, where it is read.
    pub(super) table: Option<&'a Table>,
    /// What the probes counted.
    pub(super) counted: Vec<(SiteKey, SiteCounts)>,
    /// How many more there are each minute.
    pub(super) growth: HashMap<SiteAddress, f64>,
}

/// The names of a binary's creation sites that have been looked up.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<(FileAddress, FileAddress), SiteName>);

impl Names {
    fn of(&mut self, binary: &Binary, gopc: FileAddress, startpc: FileAddress) -> SiteName {
        if let Some(name) = self.0.get(&(gopc, startpc)) {
            return name.clone();
        }
        let name = name(binary, gopc, startpc);
        if self.0.len() < MAX_NAMES {
            self.0.insert((gopc, startpc), name.clone());
        }
        name
    }
}

fn name(binary: &Binary, gopc: FileAddress, startpc: FileAddress) -> SiteName {
    if (gopc, startpc) == (FileAddress(0), FileAddress(0)) {
        return SiteName {
            created_by: FROM_C.to_owned(),
            start: FROM_C.to_owned(),
            ..SiteName::default()
        };
    }
    let place = binary.symbols.created_by(gopc);
    let unknown = || format!("{gopc}");
    SiteName {
        created_by: place.as_ref().map_or_else(unknown, |place| place.function.clone()),
        line: place.as_ref().map_or(0, |place| place.line),
        file: place.map(|place| place.file).unwrap_or_default(),
        start: binary.symbols.function(startpc).unwrap_or_else(|| format!("{startpc}")),
    }
}

/// What one site comes to, while it is summed up.
#[derive(Default)]
struct Sum {
    counts: SiteCounts,
    /// By the runtime's table.
    live: u64,
    doing: HashMap<Arc<str>, u64>,
    stack_bytes: u64,
    /// On the target's monotonic clock; 0 where it is not known.
    oldest_wait_since: u64,
    growth: Option<f64>,
}

impl Sum {
    fn hold(&mut self, key: &GroupKey, group: &Group, word: Arc<str>) {
        self.live += group.goroutines;
        *self.doing.entry(word).or_default() += group.goroutines;
        self.stack_bytes = self.stack_bytes.saturating_add(group.stack_bytes);
        let (known, new) = (self.oldest_wait_since, group.oldest_wait_since);
        if key.state == State::Waiting && new != 0 && (known == 0 || new < known) {
            self.oldest_wait_since = new;
        }
    }
}

/// Names and sums up the sites of a process, the largest first.
pub(super) fn sites(
    seen: Seen<'_>,
    binary: &Binary,
    bias: LoadBias,
    names: &mut Names,
) -> Vec<Site> {
    let address = |address| in_file(address, bias);
    let mut sums: HashMap<SiteName, Sum> = HashMap::new();
    for (key, counts) in fold_unread(seen.counted) {
        let name = names.of(binary, address(key.gopc), address(key.startpc));
        let sum = sums.entry(name).or_default();
        sum.counts.created += counts.created;
        sum.counts.exited += counts.exited;
    }
    for (key, group) in seen.table.iter().flat_map(|table| &table.groups) {
        let name = names.of(binary, address(key.created_at.0), address(key.start.0));
        let word = seen.table.and_then(|table| table.words.get(&key.wait_reason));
        let word = word.filter(|_| key.state == State::Waiting).cloned();
        let word = word.unwrap_or_else(|| Arc::from(key.state.as_str()));
        sums.entry(name).or_default().hold(key, group, word);
    }
    for ((created_at, start), growth) in seen.growth {
        let name = names.of(binary, address(created_at.0), address(start.0));
        if let Some(sum) = sums.get_mut(&name) {
            *sum.growth.get_or_insert_default() += growth;
        }
    }
    let mut sites: Vec<Site> =
        sums.into_iter().map(|(name, sum)| site(name, sum, seen.table)).collect();
    sites.sort_by(|a, b| (b.live, b.created, &a.name).cmp(&(a.live, a.created, &b.name)));
    let beyond = seen.table.map_or(0, |table| table.ungrouped);
    if beyond > 0 {
        sites.push(Site { live: beyond, ..Site::default() });
    }
    sites
}

fn site(name: SiteName, sum: Sum, table: Option<&Table>) -> Site {
    let Sum { counts, live, doing, stack_bytes, oldest_wait_since, growth } = sum;
    let mut doing: Vec<_> = doing.into_iter().collect();
    doing.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    let waited = table.map(|table| table.monotonic.saturating_sub(oldest_wait_since));
    Site {
        system: is_system(&name.start),
        name: Some(name),
        live: match table {
            Some(_) => live,
            // Goroutines older than the probes end without having been counted as born.
            None => counts.created.saturating_sub(counts.exited),
        },
        created: counts.created,
        exited: counts.exited,
        held: Held {
            doing,
            stack_bytes,
            longest_wait_nanoseconds: waited.filter(|_| oldest_wait_since != 0),
            growth_per_minute: growth,
        },
    }
}

/// Names a site that is judged to leak.
pub(super) fn leak(
    judged: Judged,
    table: &Table,
    binary: &Binary,
    bias: LoadBias,
    names: &mut Names,
) -> Leak {
    let (created_at, start) = judged.site;
    let (state, reason) = judged.most;
    let word = table.words.get(&reason).filter(|_| state == State::Waiting).cloned();
    // From the clock of the looks to that of the calendar.
    let look = Duration::from_nanos(table.monotonic);
    let calendar = |at: Duration| table.summary.taken_at - look.saturating_sub(at).as_secs_f64();
    Leak {
        site: names.of(binary, in_file(created_at.0, bias), in_file(start.0, bias)),
        verdict: judged.verdict,
        wait_reason: word.unwrap_or_else(|| Arc::from(state.as_str())),
        goroutines: judged.goroutines,
        per_minute: judged.per_minute,
        stack_bytes: judged.stack_bytes,
        since: calendar(judged.since),
        confirmed_at: judged.confirmed_at.map(calendar),
        evidence: judged.evidence,
    }
}

fn in_file(address: u64, bias: LoadBias) -> FileAddress {
    match address {
        // Of a goroutine that no `go` statement created.
        0 => FileAddress(0),
        address => ProcessAddress(address).in_file(bias).unwrap_or(FileAddress(0)),
    }
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
