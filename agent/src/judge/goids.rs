//! How old goroutines are, by their numbers.
//!
//! Goroutines are numbered in the order in which they are created (nearly: a processor takes 16
//! numbers at a time). So the highest number of a look tells at every later look which goroutines
//! were there then, without remembering each.

use std::{collections::VecDeque, time::Duration};

/// Looks that are remembered.
const MAX_MARKS: usize = 1024;

/// The highest goroutine number at each look, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks(VecDeque<(Duration, u64)>);

impl Marks {
    /// Notes the highest number that was seen at `at`.
    pub(super) fn add(&mut self, at: Duration, highest: u64) {
        let highest = highest.max(self.0.back().map_or(0, |(_, goid)| *goid));
        if self.0.len() == MAX_MARKS {
            // Every second one of the older half: ages are told less finely the older they are.
            let mut index = 0;
            self.0.retain(|_| {
                index += 1;
                index > MAX_MARKS / 2 || index % 2 == 0
            });
        }
        self.0.push_back((at, highest));
    }

    /// The highest number of a goroutine that was there at `at`, as the last look before tells; 0
    /// where there was none.
    pub(super) fn at(&self, at: Duration) -> u64 {
        let index = self.0.partition_point(|(then, _)| *then <= at);
        index.checked_sub(1).and_then(|index| self.0.get(index)).map_or(0, |(_, goid)| *goid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_look_before_tells() {
        let mut marks = Marks::default();
        let seconds = Duration::from_secs;
        for (at, goid) in [(10, 100), (15, 140), (20, 130)] {
            marks.add(seconds(at), goid);
        }
        assert_eq!(marks.at(seconds(9)), 0);
        assert_eq!(marks.at(seconds(10)), 100);
        assert_eq!(marks.at(seconds(14)), 100);
        // Numbers never fall: the one with 140 has ended.
        assert_eq!(marks.at(seconds(99)), 140);
    }

    #[test]
    fn they_are_bounded() {
        let mut marks = Marks::default();
        for second in 0..100_000 {
            marks.add(Duration::from_secs(second), second);
        }
        assert!(marks.0.len() <= MAX_MARKS);
        assert_eq!(marks.at(Duration::from_secs(99_999)), 99_999);
        assert!(marks.at(Duration::from_secs(90_000)) <= 90_000);
    }
}
