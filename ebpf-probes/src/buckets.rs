//! The histogram of delays: log-scale, four buckets to an octave, in seconds' powers of two.
//!
//! The bounds are exactly those of a Prometheus native histogram with schema 2 (each bound is
//! 2^(1/4) times the one before), so that what the kernel counted is served without being moved
//! between buckets; every fourth bound is a power of two of seconds and serves as classic bound.

/// Buckets to an octave, as a power of two: the schema of the native histogram.
pub const SCHEMA: u32 = 2;
/// Buckets to an octave.
pub const PER_OCTAVE: u32 = 1 << SCHEMA;
/// Delays up to 2^`MIN_EXPONENT` s (0.95 µs) fall into bucket 0.
pub const MIN_EXPONENT: i32 = -20;
/// Delays above 2^`MAX_EXPONENT` s (16 s) fall into the last bucket, which has no upper bound.
pub const MAX_EXPONENT: i32 = 4;
/// Number of buckets: one below, four to each octave, one above.
pub const BUCKETS: usize = (MAX_EXPONENT - MIN_EXPONENT) as usize * PER_OCTAVE as usize + 2;

/// 2^30 / 10^9 in 20 binary digits after the point: from nanoseconds to units of 2^-30 s.
const PER_NANOSECOND_Q20: u64 = 1_125_900;
/// 2^(1/4), 2^(2/4), 2^(3/4) in 20 binary digits after the point.
const QUARTERS_Q20: [u64; 3] = [1_246_974, 1_482_910, 1_763_488];
/// Longest delay that is told apart, in nanoseconds (17.2 s): longer ones are the same bucket.
const LONGEST: u64 = 1 << 34;

/// The bucket of a delay of `nanoseconds`: bucket `i` holds delays of up to and including
/// [`upper_bound_exponent`]`(i)`.
#[inline(always)]
#[must_use]
pub const fn bucket(nanoseconds: u64) -> usize {
    let capped = if nanoseconds > LONGEST { LONGEST } else { nanoseconds };
    // In units of 2^-30 s, 20 digits after the point; at most 2^55.
    let scaled = capped * PER_NANOSECOND_Q20;
    if scaled <= 1 << 30 {
        return 0;
    }
    // Bounds are inclusive above: (2^e, 2^(e+1)].
    let octave = 63 - (scaled - 1).leading_zeros();
    // The mantissa in [1, 2], 20 digits after the point; octave is at least 30 here.
    let mantissa = (scaled - 1) >> (octave - 20);
    let mut quarter = 0;
    if mantissa >= QUARTERS_Q20[0] {
        quarter += 1;
    }
    if mantissa >= QUARTERS_Q20[1] {
        quarter += 1;
    }
    if mantissa >= QUARTERS_Q20[2] {
        quarter += 1;
    }
    let index = 1 + (octave - 30) as usize * PER_OCTAVE as usize + quarter;
    if index >= BUCKETS { BUCKETS - 1 } else { index }
}

/// The upper bound of bucket `index`, as the exponent of two in quarters: the bound is
/// 2^(`exponent` / 4) seconds. `None` for the last bucket, which has no bound.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "there are fewer than a hundred buckets"
)]
pub const fn upper_bound_exponent(index: usize) -> Option<i32> {
    if index + 1 >= BUCKETS {
        return None;
    }
    Some(MIN_EXPONENT * PER_OCTAVE as i32 + index as i32)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn bound_seconds(index: usize) -> f64 {
        upper_bound_exponent(index)
            .map_or(f64::INFINITY, |quarters| (f64::from(quarters) / 4.0).exp2())
    }

    #[test]
    fn every_delay_lies_within_the_bounds_of_its_bucket() {
        let mut delay = 1_u64;
        while delay < 40_000_000_000 {
            let index = bucket(delay);
            let seconds = delay as f64 / 1e9;
            // The fixed-point factor is off by less than one part in a million.
            assert!(seconds <= bound_seconds(index) * 1.000_002, "{delay} ns in bucket {index}");
            if index > 0 {
                assert!(
                    seconds > bound_seconds(index - 1) * 0.999_998,
                    "{delay} ns in bucket {index}"
                );
            }
            delay += 1 + delay / 257;
        }
    }

    #[test]
    fn buckets_are_monotonous_and_all_are_reached() {
        let mut seen = [false; BUCKETS];
        let mut last = 0;
        let mut delay = 1_u64;
        while delay < 40_000_000_000 {
            let index = bucket(delay);
            assert!(index >= last);
            seen[index] = true;
            last = index;
            delay += 1 + delay / 100;
        }
        assert!(seen.iter().all(|&hit| hit));
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }
}
