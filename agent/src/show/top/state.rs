//! All that the live view knows: what it was told by snapshots, dumps and keys. No I/O, no clock.

use std::sync::Arc;

use super::{
    columns::{Column, PROCESSES, SITES, STACKS, Spec},
    hits::Hits,
    list::List,
    picture::{Picture, Tracker},
    sort,
    stacks::Stacks,
};
use crate::{
    discover::identity::ProcessId,
    model::{
        dump::Dump,
        site::{Site, SiteName},
        snapshot::Snapshot,
    },
};

/// How deep one is in.
#[derive(Clone, Debug, PartialEq)]
pub enum Level {
    /// The processes.
    Processes,
    /// The creation sites of one.
    Sites(ProcessId),
    /// The stacks of the goroutines that a site of it created; of all its own, where none is given.
    Stacks(ProcessId, Option<SiteName>),
    /// One of these stacks, by its place in the list.
    Frames(ProcessId, Option<SiteName>, usize),
}

impl Level {
    /// The process that one is in.
    #[must_use]
    pub fn process(&self) -> Option<ProcessId> {
        match self {
            Self::Processes => None,
            Self::Sites(id) | Self::Stacks(id, _) | Self::Frames(id, ..) => Some(*id),
        }
    }
}

/// What is to be done by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A dump of this process.
    Dump(ProcessId),
    /// The end.
    Quit,
}

/// What is known of the stacks of the process that one is in.
#[derive(Clone, Debug, Default)]
pub enum Dumped {
    /// Nothing.
    #[default]
    Not,
    /// They are being read.
    Taking(ProcessId),
    /// These.
    Taken(ProcessId, Arc<Dump>),
    /// They could not be read, for this reason.
    Failed(ProcessId, String),
}

/// Which row of the list of sites; the sum of the rest has no name.
pub type SiteKey = Option<SiteName>;

/// All that the live view knows.
#[derive(Debug)]
pub struct State {
    tracker: Tracker,
    /// The newest picture.
    pub(super) newest: Option<Picture>,
    /// The picture that is shown while everything stands still.
    pub(super) held: Option<Picture>,
    /// What does not work here, a sentence for each.
    pub limits: Vec<String>,
    /// How deep one is in.
    pub level: Level,
    /// The list of processes.
    pub processes: List<ProcessId>,
    /// The list of sites.
    pub sites: List<SiteKey>,
    /// The list of stacks.
    pub stacks: List<usize>,
    /// The first line of a stack, or of the help, that is in sight.
    pub scrolled: usize,
    /// Stands still.
    pub paused: bool,
    /// Letters go to the filter.
    pub typing: bool,
    /// The help is shown.
    pub help: bool,
    /// The runtime's own goroutines are shown.
    pub system: bool,
    /// The stacks.
    pub dumped: Dumped,
    /// They, grouped.
    pub grouped: Stacks,
    pub(super) hits: Hits,
}

impl Default for State {
    fn default() -> Self {
        Self {
            tracker: Tracker::default(),
            newest: None,
            held: None,
            limits: Vec::new(),
            level: Level::Processes,
            processes: List::by(Column::Leak),
            sites: List::by(Column::Leak),
            stacks: List::by(Column::Live),
            scrolled: 0,
            paused: false,
            typing: false,
            help: false,
            system: false,
            dumped: Dumped::Not,
            grouped: Stacks::default(),
            hits: Hits::default(),
        }
    }
}

impl State {
    /// Takes a snapshot. While everything stands still, it is remembered and not shown.
    pub fn feed(&mut self, snapshot: Arc<Snapshot>) {
        self.newest = Some(self.tracker.take(snapshot));
    }

    /// Takes a dump that was wished for; one that nobody waits for any more is dropped.
    pub fn dumped(&mut self, id: ProcessId, dump: Result<Dump, String>) {
        if !matches!(self.dumped, Dumped::Taking(wanted) if wanted == id) {
            return;
        }
        self.dumped = match dump {
            Ok(dump) => Dumped::Taken(id, Arc::new(dump)),
            Err(reason) => Dumped::Failed(id, reason),
        };
        self.stacks.selected = None;
        self.group();
    }

    /// Takes in what was drawn where.
    pub fn drawn(&mut self, hits: Hits) {
        match self.level {
            Level::Processes => self.processes.first = hits.first,
            Level::Sites(_) => self.sites.first = hits.first,
            Level::Stacks(..) => self.stacks.first = hits.first,
            Level::Frames(..) => {}
        }
        if self.help || matches!(self.level, Level::Frames(..)) {
            self.scrolled = hits.first;
        }
        self.hits = hits.after(&self.hits);
    }

    /// What is shown; `None` before the first snapshot.
    #[must_use]
    pub fn picture(&self) -> Option<&Picture> {
        self.held.as_ref().or(self.newest.as_ref())
    }

    /// The columns of the list that is shown.
    #[must_use]
    pub fn specs(&self) -> &'static [Spec] {
        match self.level {
            Level::Processes => PROCESSES,
            Level::Sites(_) => SITES,
            Level::Stacks(..) | Level::Frames(..) => STACKS,
        }
    }

    /// The rows of the list that is shown, in their order: processes by their places in the
    /// picture, sites by theirs in the process, stacks by theirs among the groups.
    #[must_use]
    pub fn order(&self) -> Vec<usize> {
        match &self.level {
            Level::Processes => self.order_of_processes(),
            Level::Sites(id) => self.order_of_sites(*id),
            Level::Stacks(..) | Level::Frames(..) => self.order_of_groups(),
        }
    }

    fn order_of_processes(&self) -> Vec<usize> {
        let (filter, sort) = (self.processes.admitted(), self.processes.sort);
        let rows = self.picture().into_iter().flat_map(Picture::processes).enumerate();
        let rows = rows.filter(|(_, (process, _))| filter.admits_process(process));
        let rows = rows.map(|(index, (process, figures))| {
            let of = |column| sort::of_process(column, process, figures);
            (index, of(sort.column), of(Column::Live))
        });
        in_order(rows.collect(), sort)
    }

    fn order_of_sites(&self, id: ProcessId) -> Vec<usize> {
        let Some((process, figures)) = self.picture().and_then(|picture| picture.process(id))
        else {
            return Vec::new();
        };
        let (filter, sort) = (self.sites.admitted(), self.sites.sort);
        let rows = process.sites.iter().zip(&figures.sites).enumerate();
        let rows = rows.filter(|(_, (site, _))| {
            (self.system || !site.system) && filter.admits_site(process, site)
        });
        let rows = rows.map(|(index, (site, figures))| {
            let of = |column| sort::of_site(column, process, site, figures);
            (index, of(sort.column), of(Column::Live))
        });
        in_order(rows.collect(), sort)
    }

    fn order_of_groups(&self) -> Vec<usize> {
        let (filter, sort) = (self.stacks.admitted(), self.stacks.sort);
        let rows = self.grouped.groups.iter().enumerate();
        let rows = rows.filter(|(_, group)| filter.admits_group(group));
        let rows = rows.map(|(index, group)| {
            (index, sort::of_group(sort.column, group), sort::of_group(Column::Live, group))
        });
        in_order(rows.collect(), sort)
    }

    /// Which of these rows is selected.
    #[must_use]
    pub fn position(&self, order: &[usize]) -> usize {
        let rows = order.len();
        let find = |is: &dyn Fn(usize) -> bool| order.iter().position(|index| is(*index));
        match &self.level {
            Level::Processes => self
                .processes
                .position(rows, |id| find(&|index| self.process_at(index) == Some(*id))),
            Level::Sites(_) => self.sites.position(rows, |key| {
                find(&|index| self.site_at(index).is_some_and(|site| site.name == *key))
            }),
            Level::Stacks(..) | Level::Frames(..) => {
                self.stacks.position(rows, |key| find(&|index| index == *key))
            }
        }
    }

    pub(super) fn process_at(&self, index: usize) -> Option<ProcessId> {
        Some(self.picture()?.snapshot.processes.get(index)?.id)
    }

    pub(super) fn site_at(&self, index: usize) -> Option<&Site> {
        self.picture()?.process(self.level.process()?)?.0.sites.get(index)
    }

    /// Selects a row.
    pub(super) fn select(&mut self, order: &[usize], row: usize) {
        let row = row.min(order.len().saturating_sub(1));
        let Some(&index) = order.get(row) else { return };
        match self.level {
            Level::Processes => {
                self.processes.selected = self.process_at(index);
                self.processes.row = row;
            }
            Level::Sites(_) => {
                self.sites.selected = self.site_at(index).map(|site| site.name.clone());
                self.sites.row = row;
            }
            Level::Stacks(..) | Level::Frames(..) => {
                self.stacks.selected = Some(index);
                self.stacks.row = row;
            }
        }
    }

    /// How the list that is shown is sorted.
    #[must_use]
    pub fn sort(&self) -> sort::Sort {
        match self.level {
            Level::Processes => self.processes.sort,
            Level::Sites(_) => self.sites.sort,
            Level::Stacks(..) | Level::Frames(..) => self.stacks.sort,
        }
    }

    /// The filter of the list that is shown.
    #[must_use]
    pub fn filter_text(&self) -> &str {
        match self.level {
            Level::Processes => &self.processes.filter,
            Level::Sites(_) => &self.sites.filter,
            Level::Stacks(..) | Level::Frames(..) => &self.stacks.filter,
        }
    }
}

/// Sorts rows: by the value, then the larger first, then as they were.
fn in_order(mut rows: Vec<(usize, sort::Value, sort::Value)>, sort: sort::Sort) -> Vec<usize> {
    let by_size = sort::Sort::by(Column::Live);
    rows.sort_by(|a, b| sort.order(&a.1, &b.1).then_with(|| by_size.order(&a.2, &b.2)));
    rows.into_iter().map(|(index, ..)| index).collect()
}
