//! What was drawn where, so that a click can be understood.

use std::ops::Range;

use super::columns::Column;

/// What was drawn where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// The line with the heads of the columns.
    pub heads: Option<u16>,
    /// The columns, by where they are in it.
    pub columns: Vec<(Range<u16>, Column)>,
    /// The lines of the list.
    pub lines: Range<u16>,
    /// The row in the first of them.
    pub first: usize,
    /// The row that was clicked last.
    pub(super) last: Option<usize>,
}

/// What a click is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// The head of a column.
    Head(Column),
    /// A row of the list.
    Row(usize),
}

impl Hits {
    /// What is there.
    #[must_use]
    pub fn at(&self, x: u16, y: u16) -> Option<Hit> {
        if self.heads == Some(y) {
            let column = self.columns.iter().find(|(range, _)| range.contains(&x))?;
            return Some(Hit::Head(column.1));
        }
        let line = y.checked_sub(self.lines.start).filter(|_| self.lines.contains(&y))?;
        Some(Hit::Row(self.first.saturating_add(line.into())))
    }

    /// Rows in sight.
    #[must_use]
    pub fn page(&self) -> usize {
        self.lines.len().max(1)
    }

    /// That row was clicked.
    pub(super) fn clicked(&mut self, row: usize) {
        self.last = Some(row);
    }

    /// Whether that row was the last that was clicked.
    pub(super) fn was_clicked(&self, row: usize) -> bool {
        self.last == Some(row)
    }

    /// What was clicked before the list was drawn again.
    pub(super) fn after(mut self, before: &Self) -> Self {
        self.last = before.last;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_where() {
        let hits = Hits {
            heads: Some(2),
            columns: vec![(0..7, Column::Pid), (8..15, Column::Live)],
            lines: 3..10,
            first: 20,
            last: None,
        };
        assert_eq!(hits.at(9, 2), Some(Hit::Head(Column::Live)));
        assert_eq!(hits.at(7, 2), None);
        assert_eq!(hits.at(50, 3), Some(Hit::Row(20)));
        assert_eq!(hits.at(0, 9), Some(Hit::Row(26)));
        assert_eq!((hits.at(0, 10), hits.at(0, 0)), (None, None));
        assert_eq!(hits.page(), 7);
    }
}
