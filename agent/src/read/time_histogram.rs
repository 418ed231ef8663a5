//! `runtime.timeHistogram`: durations by logarithmic buckets, as the runtime keeps them.
//!
//! Two shapes exist: 45 × 16 buckets up to 1.19 and 40 × 4 with an overflow bucket from 1.21.
//! <https://github.com/golang/go/blob/go1.19/src/runtime/histogram.go>,
//! <https://github.com/golang/go/blob/go1.26.0/src/runtime/histogram.go>

use super::{
    error::ReadError,
    layout::records::Histogram,
    memory::{Bytes, Memory},
    release::Minor,
};
use crate::inspect::address::ProcessAddress;

/// More than any release has.
const MAX_BUCKETS: u32 = 4096;

/// A histogram of durations. It has as many counts as `runtime/metrics` shows: the first is that of
/// negative durations, the last that of those beyond the range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeHistogram {
    /// Observations in each bucket (not cumulative).
    pub counts: Vec<u64>,
    /// Upper bounds of the buckets but for the last, which has none, in nanoseconds: a bucket
    /// holds what is less than its bound. The first is 0.
    pub bounds: Vec<u64>,
}

impl TimeHistogram {
    /// Number of observations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// Bounds of 45 super-buckets of 16: the first of 1 ns each, each further one twice as wide.
fn fine_bounds() -> Vec<u64> {
    let first = 0..16;
    let further = (0..44_u32).flat_map(|i| (0..16_u64).map(move |j| (16 | j) << i));
    first.chain(further).collect()
}

/// Bounds of 40 buckets of 4: the first four of 64 ns each, up to 2^47 ns.
fn coarse_bounds() -> Vec<u64> {
    let first = (0..4).map(|j| j << 6);
    let further = (9..48_u32).flat_map(|i| (0..4_u64).map(move |j| (4 | j) << (i - 3)));
    first.chain(further).chain([1 << 47]).collect()
}

/// Reads the histogram at `at`.
///
/// # Errors
/// [`ReadError::Implausible`] where the layout is not of the release's shape,
/// [`ReadError::Memory`].
pub(super) fn read(
    memory: &impl Memory,
    layout: &Histogram,
    minor: Minor,
    at: ProcessAddress,
) -> Result<TimeHistogram, ReadError> {
    let shape =
        || ReadError::implausible("runtime.timeHistogram", "its shape is not the release's");
    let bounds = if minor.has_fine_histograms() { fine_bounds() } else { coarse_bounds() };
    if layout.counts_len > MAX_BUCKETS || layout.size > MAX_BUCKETS * 8 {
        return Err(shape());
    }
    let mut record = vec![0; usize::try_from(layout.size).unwrap_or(0)];
    memory.read(at, &mut record)?;
    let record = Bytes(&record);
    let offsets = [layout.underflow]
        .into_iter()
        .chain((0..layout.counts_len).map(|index| layout.counts.saturating_add(8 * index)))
        .chain(layout.overflow);
    let counts: Option<Vec<_>> = offsets.map(|offset| record.u64(offset)).collect();
    let counts = counts.ok_or_else(shape)?;
    if counts.len() != bounds.len() + 1 {
        return Err(shape());
    }
    Ok(TimeHistogram { counts, bounds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::memory::literal::LiteralMemory;

    #[test]
    fn bounds_are_those_of_runtime_metrics() {
        let coarse = coarse_bounds();
        assert_eq!(coarse.len(), 161);
        assert_eq!(coarse.get(..7), Some(&[0, 64, 128, 192, 256, 320, 384][..]));
        assert_eq!(coarse.last(), Some(&(1 << 47)));
        let fine = fine_bounds();
        assert_eq!(fine.len(), 720);
        assert_eq!(fine.get(14..20), Some(&[14, 15, 16, 17, 18, 19][..]));
        assert_eq!(fine.get(32..34), Some(&[32, 34][..]));
        assert!(fine.is_sorted() && coarse.is_sorted());
    }

    #[test]
    fn underflow_comes_first_and_overflow_last() {
        let layout = Histogram {
            size: 1296,
            counts: 0,
            counts_len: 160,
            underflow: 1280,
            overflow: Some(1288),
        };
        let mut memory = LiteralMemory::default();
        let words: Vec<u64> = (0..162).collect();
        memory.put_words(0x1000, &words);
        let minor = Minor::known(26).unwrap();
        let histogram = read(&memory, &layout, minor, ProcessAddress(0x1000)).unwrap();
        assert_eq!(histogram.counts.len(), 162);
        assert_eq!(
            (histogram.counts[0], histogram.counts[1], histogram.counts[161]),
            (160, 0, 161)
        );
        assert_eq!(histogram.count(), (0..162).sum::<u64>());
        let old = Minor::known(19).unwrap();
        let shape = read(&memory, &layout, old, ProcessAddress(0x1000));
        assert!(matches!(shape, Err(ReadError::Implausible { .. })));
    }
}
