//! A list: how it is sorted, what is let through, which row is selected.

use super::{
    columns::{Column, Spec},
    sort::{Filter, Sort},
};

/// Letters of a filter.
const LONGEST: usize = 100;

/// The state of one list; its rows are told apart by `K`.
#[derive(Clone, Debug)]
pub struct List<K> {
    /// The order.
    pub sort: Sort,
    /// What is let through, as it was typed.
    pub filter: String,
    /// The row that is selected; `None` for the first one, whichever that is.
    pub selected: Option<K>,
    /// Where it was when it was last seen.
    pub row: usize,
    /// The first row that is in sight.
    pub first: usize,
}

impl<K> List<K> {
    /// Sorted by a column.
    #[must_use]
    pub fn by(column: Column) -> Self {
        Self { sort: Sort::by(column), filter: String::new(), selected: None, row: 0, first: 0 }
    }

    /// What is let through.
    #[must_use]
    pub fn admitted(&self) -> Filter {
        Filter::new(&self.filter)
    }

    /// Which of `rows` rows is selected, where `find` looks for the one that was. If it is gone, the
    /// one that took its place.
    pub fn position(&self, rows: usize, find: impl FnOnce(&K) -> Option<usize>) -> usize {
        let found = self.selected.as_ref().map(|key| find(key).unwrap_or(self.row));
        found.unwrap_or(0).min(rows.saturating_sub(1))
    }

    /// Adds a letter to the filter.
    pub fn letter(&mut self, letter: char) {
        if self.filter.chars().count() < LONGEST && !letter.is_control() {
            self.filter.push(letter);
        }
    }

    /// Sorts by the column that is so many further, in this list.
    pub fn turn(&mut self, specs: &[Spec], by: isize) {
        let columns: Vec<Column> = specs.iter().map(|spec| spec.column).collect();
        let at = columns.iter().position(|column| *column == self.sort.column).unwrap_or(0);
        let next = if by < 0 {
            at.checked_sub(1).unwrap_or(columns.len().saturating_sub(1))
        } else {
            at.saturating_add(1) % columns.len().max(1)
        };
        if let Some(column) = columns.get(next) {
            self.sort = Sort::by(*column);
        }
    }

    /// Sorts by a column; the other way round where it is sorted by it already.
    pub fn choose(&mut self, column: Column) {
        if self.sort.column == column {
            self.sort.reversed = !self.sort.reversed;
        } else {
            self.sort = Sort::by(column);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::top::columns::STACKS;

    #[test]
    fn the_selection_stays_with_what_was_selected() {
        let mut list = List::<u32>::by(Column::Live);
        let find = |order: &'static [u32]| move |key: &u32| order.iter().position(|k| k == key);
        // Nothing was selected: the first row, whatever comes to be there.
        assert_eq!(list.position(3, find(&[5, 6, 7])), 0);
        list.selected = Some(6);
        list.row = 1;
        assert_eq!(list.position(3, find(&[6, 7, 5])), 0);
        // It is gone.
        assert_eq!(list.position(2, find(&[7, 5])), 1);
        assert_eq!(list.position(1, find(&[7])), 0);
        assert_eq!(list.position(0, find(&[])), 0);
    }

    #[test]
    fn columns_in_turn() {
        let mut list = List::<u32>::by(Column::Live);
        list.turn(STACKS, -1);
        assert_eq!(list.sort.column, Column::Name);
        list.turn(STACKS, 1);
        list.choose(Column::Live);
        assert_eq!(list.sort, Sort { column: Column::Live, reversed: true });
    }

    #[test]
    fn a_filter_is_bounded() {
        let mut list = List::<u32>::by(Column::Live);
        (0..500).for_each(|_| list.letter('ä'));
        list.letter('\x1b');
        assert_eq!(list.filter, "ä".repeat(LONGEST));
    }
}
