//! Figures as the tables show them.

/// A whole number in groups of three digits: `1 234 567`.
pub(super) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Bytes in MiB.
pub(super) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Whether a goal is reached, in words.
pub(super) fn goal(what: &str, reached: bool) -> String {
    format!("Goal: {what}. {}.", if reached { "Reached" } else { "**Missed**" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_from_the_right() {
        for (value, text) in [(0.0, "0"), (999.4, "999"), (1234.0, "1 234"), (1e6, "1 000 000")] {
            assert_eq!(grouped(value), text);
        }
    }
}
