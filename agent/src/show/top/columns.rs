//! The columns of each list: what is in them, how wide they are, and which go first where the
//! terminal is narrow.

/// What a column shows; also what a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Process id.
    Pid,
    /// The judge's verdict.
    Leak,
    /// Goroutines alive.
    Live,
    /// How many there were lately.
    Trend,
    /// How many more there are a second.
    Growth,
    /// Births a second.
    Born,
    /// Deaths a second.
    Died,
    /// Half of the goroutines waited no longer to run.
    GoP50,
    /// Ninety-nine of a hundred goroutines waited no longer to run.
    GoP99,
    /// Half of the times a thread waited no longer for a CPU.
    CpuP50,
    /// Ninety-nine of a hundred times a thread waited no longer for a CPU.
    CpuP99,
    /// Threads.
    Threads,
    /// What most of the goroutines do or wait for.
    Doing,
    /// How long the one that waits longest has waited.
    Wait,
    /// Bytes of the stacks.
    Stacks,
    /// Unit, pod or container.
    Owner,
    /// The executable; the creation site; the innermost calls.
    Name,
}

impl Column {
    /// Whether the least comes first, where nobody says otherwise.
    #[must_use]
    pub fn ascends(self) -> bool {
        matches!(self, Self::Pid | Self::Doing | Self::Owner | Self::Name)
    }
}

/// A column of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// What it shows.
    pub column: Column,
    /// Its head.
    pub title: &'static str,
    /// How wide it is; the last one takes what the others leave, and needs this.
    pub width: usize,
    /// It is filled up on the left, as numbers are.
    pub right: bool,
    /// The highest are left out first; 0 never.
    rank: u8,
}

const fn number(column: Column, title: &'static str, width: usize, rank: u8) -> Spec {
    Spec { column, title, width, right: true, rank }
}

const fn text(column: Column, title: &'static str, width: usize, rank: u8) -> Spec {
    Spec { column, title, width, right: false, rank }
}

/// Of the list of processes.
pub const PROCESSES: &[Spec] = &[
    number(Column::Pid, "PID", 7, 0),
    text(Column::Leak, "LEAK", 9, 0),
    number(Column::Live, "GOROUT", 7, 0),
    text(Column::Trend, "TREND", 12, 6),
    number(Column::Growth, "GROWTH/s", 8, 1),
    number(Column::Born, "BORN/s", 7, 2),
    number(Column::Died, "DIED/s", 7, 3),
    number(Column::GoP50, "GO p50", 7, 7),
    number(Column::GoP99, "GO p99", 7, 4),
    number(Column::CpuP50, "CPU p50", 7, 7),
    number(Column::CpuP99, "CPU p99", 7, 4),
    number(Column::Threads, "THREADS", 7, 9),
    text(Column::Owner, "UNIT/CONTAINER", 16, 10),
    text(Column::Name, "EXE", 12, 0),
];

/// Of the list of creation sites.
pub const SITES: &[Spec] = &[
    text(Column::Leak, "LEAK", 9, 0),
    number(Column::Live, "LIVE", 7, 0),
    text(Column::Trend, "TREND", 12, 5),
    number(Column::Growth, "GROWTH/s", 8, 1),
    number(Column::Born, "BORN/s", 7, 2),
    number(Column::Died, "DIED/s", 7, 3),
    number(Column::Wait, "WAIT", 7, 7),
    number(Column::Stacks, "STACKS", 8, 8),
    text(Column::Doing, "DOING", 14, 4),
    text(Column::Name, "CREATED BY", 28, 0),
];

/// Of the list of stacks.
pub const STACKS: &[Spec] = &[
    number(Column::Live, "COUNT", 7, 0),
    text(Column::Doing, "DOING", 16, 0),
    number(Column::Wait, "WAIT", 7, 1),
    text(Column::Name, "STACK", 28, 0),
];

/// Columns from this rank on are there only where the last one has so much more than it needs.
const LUXURY: u8 = 7;
const COMFORT: usize = 10;

/// Blanks between columns.
pub const GAP: usize = 1;

/// The columns that fit, with their widths.
#[must_use]
pub fn fit(specs: &[Spec], width: usize) -> Vec<(Spec, usize)> {
    let mut kept: Vec<Spec> = specs.to_vec();
    loop {
        let gaps = GAP.saturating_mul(kept.len().saturating_sub(1));
        let needed = kept.iter().map(|spec| spec.width).sum::<usize>().saturating_add(gaps);
        let expendable = kept.iter().map(|spec| spec.rank).max().filter(|rank| *rank > 0);
        match expendable {
            Some(rank) if rank >= LUXURY && needed.saturating_add(COMFORT) > width => {
                kept.retain(|spec| spec.rank != rank);
            }
            Some(rank) if needed > width => kept.retain(|spec| spec.rank != rank),
            _ => {
                let left = width.saturating_sub(needed);
                let last = kept.len().saturating_sub(1);
                let wide = |(number, spec): (usize, Spec)| {
                    let more = if number == last { left } else { 0 };
                    (spec, spec.width.saturating_add(more))
                };
                return kept.into_iter().enumerate().map(wide).collect();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(specs: &[Spec], width: usize) -> Vec<Column> {
        fit(specs, width).into_iter().map(|(spec, _)| spec.column).collect()
    }

    #[test]
    fn lists_fit() {
        for specs in [PROCESSES, SITES, STACKS] {
            for width in 60..300 {
                let fitted = fit(specs, width);
                let taken: usize = fitted.iter().map(|(_, width)| width + GAP).sum();
                assert_eq!(taken - GAP, width);
            }
            assert!(shown(specs, 20).contains(&Column::Name));
        }
    }

    #[test]
    fn both_delays_are_there_at_eighty() {
        let columns = shown(PROCESSES, 80);
        for column in [Column::Leak, Column::Born, Column::Died, Column::GoP99, Column::CpuP99] {
            assert!(columns.contains(&column), "{column:?}");
        }
        assert!(shown(PROCESSES, 120).contains(&Column::CpuP50));
        assert!(shown(PROCESSES, 60).contains(&Column::Growth));
    }
}
