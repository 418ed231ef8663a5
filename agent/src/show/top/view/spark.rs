//! Curves of one line.

const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// From what a curve rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// From zero: rates.
    Zero,
    /// From its least value: numbers of which the change matters.
    Least,
}

/// A change by less than this share of a value is none.
const FLAT: f64 = 0.05;

/// The last `width` values; what is not known yet, on the left, is left empty.
pub(super) fn line(values: &[f64], width: usize, base: Base) -> String {
    let values = values.get(values.len().saturating_sub(width)..).unwrap_or(values);
    let largest = values.iter().copied().fold(0.0, f64::max);
    let least = match base {
        Base::Zero => 0.0,
        Base::Least => values.iter().copied().fold(f64::INFINITY, f64::min),
    };
    let range = (largest - least).max(largest * FLAT);
    let blanks = width.saturating_sub(values.len());
    let steps = values.iter().map(|value| {
        let share = if range > 0.0 { (value - least) / range } else { 0.0 };
        // As many steps as are passed; the lowest is there in any case.
        let step = (1..STEPS.len()).filter(|step| share * 7.0 >= *step as f64 - 0.5).count();
        STEPS.get(step).copied().unwrap_or(' ')
    });
    std::iter::repeat_n(' ', blanks).chain(steps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves() {
        assert_eq!(line(&[0.0, 1.0, 2.0, 7.0], 4, Base::Zero), "▁▂▃█");
        assert_eq!(line(&[1.0], 3, Base::Zero), "  █");
        assert_eq!(line(&[0.0, 0.0], 2, Base::Zero), "▁▁");
        assert_eq!(line(&[], 2, Base::Least), "  ");
        assert_eq!(line(&[9.0, 1.0, 2.0], 2, Base::Zero), "▅█");
        assert_eq!(line(&[1000.0, 1100.0], 2, Base::Least), "▁█");
        // Noise is no growth.
        assert_eq!(line(&[1000.0, 1001.0, 1000.0], 3, Base::Least), "▁▁▁");
        assert_eq!(line(&[f64::NAN, 1.0], 2, Base::Zero).chars().count(), 2);
    }
}
