//! The count over everything.

use std::process::ExitCode;

/// Counts so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    /// Name and reason.
    pub(super) skipped: Vec<(String, String)>,
    failures: Vec<String>,
}

impl Tally {
    /// Notes a failure that no runner counts.
    pub(super) fn failure(&mut self, name: &str, why: &str) {
        println!("{name}: FAILED: {why}");
        self.failed += 1;
        self.failures.push(name.to_owned());
    }

    /// Notes failures that a runner has counted.
    pub(super) fn failures(&mut self, count: u64, runner: &str) {
        self.failed += count;
        self.failures.push(format!("{count} of {runner}"));
    }

    /// Prints the outcome, the counts in its last line.
    pub(super) fn finish(self) -> ExitCode {
        for (name, reason) in &self.skipped {
            println!("skipped {name}: {reason}");
        }
        for failure in &self.failures {
            println!("failed: {failure}");
        }
        println!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped.len());
        // Nothing passed means that nothing was tested.
        if self.failed == 0 && self.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// What a runner counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ignored: u64,
    pub(super) filtered: u64,
}

/// Reads libtest's `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out`.
pub(super) fn counts(line: &str) -> Option<Counts> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut found = Counts::default();
    for part in counts.split("; ") {
        let Some((number, what)) = part.split_once(' ') else { continue };
        let Ok(number) = number.parse() else { continue };
        match what {
            "passed" => found.passed = number,
            "failed" => found.failed = number,
            "ignored" => found.ignored = number,
            "filtered out" => found.filtered = number,
            _ => {}
        }
    }
    Some(found)
}

/// Name and reason of an ignored test: libtest's `test a::b ... ignored, reason`.
pub(super) fn ignored(line: &str) -> Option<(String, String)> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let reason = outcome.strip_prefix("ignored")?;
    let reason = reason.strip_prefix(", ").unwrap_or("marked as ignored, without a reason");
    Some((name.to_owned(), reason.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runners_line_is_read() {
        let line = "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; \
                    4 filtered out; finished in 0.01s";
        let expected = Counts { passed: 3, failed: 2, ignored: 1, filtered: 4 };
        assert_eq!(counts(line), Some(expected));
        assert_eq!(counts("test result"), None);
        assert_eq!(counts("running 3 tests"), None);
    }

    #[test]
    fn ignored_tests_are_named() {
        let named = ignored("test a::b ... ignored, too slow");
        assert_eq!(named, Some(("a::b".to_owned(), "too slow".to_owned())));
        assert_eq!(ignored("test a::b ... ok"), None);
    }
}
