//! Numbers of things, in words.

/// `1 goroutine`, `2 goroutines`; all digits of the number.
#[must_use]
pub fn plural(number: u64, thing: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{ending}")
}

/// `1 was`, `2 were`.
#[must_use]
pub fn were(number: u64) -> String {
    format!("{number} {}", if number == 1 { "was" } else { "were" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one() {
        assert_eq!([0, 1, 2].map(|n| plural(n, "stack")), ["0 stacks", "1 stack", "2 stacks"]);
        assert_eq!([0, 1, 2].map(were), ["0 were", "1 was", "2 were"]);
    }
}
