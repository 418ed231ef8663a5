//! Numbers as people read them: short, with their unit.

/// A time span: `850 ns`, `15.3 µs`, `1.02 s`.
#[must_use]
pub fn seconds(seconds: f64) -> String {
    const STEPS: [(f64, f64, &str); 4] =
        [(1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (60.0, 1.0, "s")];
    let step = STEPS.into_iter().find(|(below, scale, _)| {
        // As it will be shown: 999.96 µs are 1 ms.
        three(seconds * scale) < three(below * scale)
    });
    match step {
        Some((_, scale, unit)) => format!("{} {unit}", digits(seconds * scale)),
        None => long(seconds),
    }
}

fn long(seconds: f64) -> String {
    // As it will be shown: 59.99 s are a minute.
    match seconds + 0.5 {
        s if s < 3600.0 => format!("{:.0} min", (s / 60.0).floor()),
        s if s < 48.0 * 3600.0 => format!("{:.0} h", (s / 3600.0).floor()),
        s => format!("{:.0} d", (s / 86_400.0).floor()),
    }
}

/// Rounded to three digits.
fn three(value: f64) -> f64 {
    digits(value).parse().unwrap_or(value)
}

/// At most three digits before and after the point together, but for larger numbers.
fn digits(value: f64) -> String {
    match value.abs() {
        v if v < 9.995 => trimmed(format!("{value:.2}")),
        v if v < 99.95 => trimmed(format!("{value:.1}")),
        _ => format!("{value:.0}"),
    }
}

fn trimmed(text: String) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// How often a second: `0`, `0.08`, `16.3`, `213`, `21.5k`.
#[must_use]
pub fn rate(per_second: f64) -> String {
    match per_second.abs() {
        v if v < 0.005 => "0".to_owned(),
        v if v < 0.995 => format!("{per_second:.2}"),
        v if v < 99.95 => format!("{per_second:.1}"),
        v if v < 99_999.5 => format!("{per_second:.0}"),
        v if v < 999_500.0 => format!("{:.0}k", per_second / 1e3),
        _ => format!("{:.1}M", per_second / 1e6),
    }
}

/// As [`rate`], with a sign.
#[must_use]
pub fn growth(per_second: f64) -> String {
    let text = rate(per_second);
    if text == "0" || text.starts_with('-') { text } else { format!("+{text}") }
}

/// How many.
#[must_use]
pub fn count(number: u64) -> String {
    if number < 10_000_000 {
        number.to_string()
    } else if number < 10_000_000_000 {
        format!("{:.1}M", number as f64 / 1e6)
    } else {
        format!("{:.1}G", number as f64 / 1e9)
    }
}

/// A size: `512 B`, `6 KiB`, `1.4 GiB`.
#[must_use]
pub fn bytes(number: u64) -> String {
    if number < 1024 {
        return format!("{number} B");
    }
    let mut size = number as f64 / 1024.0;
    let mut units = ["KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if size < 1023.5 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    if size < 9.95 {
        format!("{} {unit}", trimmed(format!("{size:.1}")))
    } else {
        format!("{size:.0} {unit}")
    }
}

/// With `many` in the plural: `1 goroutine`, `2 goroutines`.
#[must_use]
pub fn several(number: u64, what: &str) -> String {
    let ending = if number == 1 {
        ""
    } else if what.ends_with('s') {
        "es"
    } else {
        "s"
    };
    format!("{} {what}{ending}", count(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (value, text) in [
            (0.0, "0 ns"),
            (64e-9, "64 ns"),
            (1.5e-6, "1.5 µs"),
            (15.34e-6, "15.3 µs"),
            (999.96e-6, "1 ms"),
            (0.015_6, "15.6 ms"),
            (0.999_9, "1 s"),
            (1.024, "1.02 s"),
            (59.99, "1 min"),
            (125.0, "2 min"),
            (7300.0, "2 h"),
            (200_000.0, "2 d"),
        ] {
            assert_eq!(seconds(value), text, "{value}");
        }
        // What is shown in a column of seven.
        let mut value = 1e-9;
        while value < 1e7 {
            assert!(seconds(value).chars().count() <= 7, "{}", seconds(value));
            value *= 1.037;
        }
    }

    #[test]
    fn rates() {
        for (value, text) in [
            (0.0, "0"),
            (0.001, "0"),
            (0.083, "0.08"),
            (0.999, "1.0"),
            (16.34, "16.3"),
            (213.4, "213"),
            (21_530.0, "21530"),
            (123_456.0, "123k"),
            (2_345_678.0, "2.3M"),
        ] {
            assert_eq!(rate(value), text, "{value}");
        }
        assert_eq!(
            [16.3, -2.0, 0.0, -0.001, 0.05].map(growth),
            ["+16.3", "-2.0", "0", "0", "+0.05"]
        );
    }

    #[test]
    fn counts_and_sizes() {
        assert_eq!(count(1_204), "1204");
        assert_eq!(count(12_345_678), "12.3M");
        assert_eq!(count(u64::MAX), "18446744073.7G");
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(6 << 10), "6 KiB");
        assert_eq!(bytes(1500 << 20), "1.5 GiB");
        assert_eq!(bytes(905_216), "884 KiB");
        assert_eq!(several(1, "process"), "1 process");
        assert_eq!(several(3, "process"), "3 processes");
        assert_eq!(several(0, "goroutine"), "0 goroutines");
    }
}
