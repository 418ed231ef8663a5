//! Values of the file, read where they stand, so that what is wrong with one is said with its line.

use std::{fmt, marker::PhantomData, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de::Visitor};

/// A value that may be left empty, as Go has it.
pub(super) fn value<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_any(Scalar(PhantomData))
}

/// A list of values; those that are empty are none.
pub(super) fn values<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let items = Option::<Vec<Item<T>>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(items.into_iter().filter_map(|item| item.0).collect())
}

/// One value.
pub(super) struct Item<T>(pub(super) Option<T>);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Item<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        value(deserializer).map(Self)
    }
}

struct Scalar<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Scalar<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    // What is said of a value does not repeat it: it may be a secret.
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(E::custom)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Self::Value, E> {
        self.visit_str(&number.to_string())
    }
}

/// Yes or no, in the words that Go's YAML knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct YesNo(pub(super) bool);

impl FromStr for YesNo {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Ok(Self(true)),
            "false" | "no" | "off" | "n" => Ok(Self(false)),
            _ => Err("true or false is needed"),
        }
    }
}

/// A time span as Go writes it: `100ms`, `1m30s`; `0` without a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GoDuration(pub(super) Duration);

impl FromStr for GoDuration {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "a time span is needed, as 100ms, 1s or 1m30s; 0 for none";
        const LONGEST: f64 = 24.0 * 3600.0;
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let mut seconds = 0.0;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(WRONG)?;
            let (number, after) = rest.split_at(digits);
            let number: f64 = number.parse().map_err(|_| WRONG)?;
            let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            seconds += number
                * match unit {
                    "ns" => 1e-9,
                    "us" | "µs" => 1e-6,
                    "ms" => 1e-3,
                    "s" => 1.0,
                    "m" => 60.0,
                    "h" => 3600.0,
                    _ => return Err(WRONG),
                };
            rest = after;
        }
        if seconds > LONGEST {
            return Err("a time span of at most 24h is needed");
        }
        Duration::try_from_secs_f64(seconds).map(Self).map_err(|_| WRONG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let span = |text: &str| text.parse::<GoDuration>().map(|span| span.0.as_millis()).ok();
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("100ms", 100),
            ("1.5s", 1500),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(span(text), Some(millis), "{text}");
        }
        for text in ["", "5", "s", "1x", "-1s", "1s1", "1..2s", "25h", "1e3s"] {
            assert!(text.is_empty() || span(text).is_none(), "{text}");
        }
    }

    #[test]
    fn words_of_go() {
        let yes = |text: &str| text.parse::<YesNo>().map(|yes| yes.0).ok();
        assert_eq!([yes("true"), yes("Yes"), yes("on")], [Some(true); 3]);
        assert_eq!([yes("false"), yes("NO"), yes("off")], [Some(false); 3]);
        assert_eq!(yes("1"), None);
    }
}
