//! The report in the form of JUnit, which CI servers show as tests.

use std::time::Duration;

use quick_junit::{NonSuccessKind, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::report::{Blocked, ProcessReport, Report, Verdict};

/// A suite for each Go process, with a failed test for each creation site that is left behind; and
/// one with an error where it could not be judged.
pub(super) fn xml(report: &Report) -> Result<String, SerializeError> {
    let mut all = quick_junit::Report::new("goroscope check");
    for process in &report.processes {
        all.add_test_suite(suite(process));
    }
    if report.verdict == Verdict::Unknown {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(report.reason.as_deref().unwrap_or_default());
        status.set_description(report.hint);
        let mut suite = TestSuite::new("goroscope check");
        suite.add_test_case(TestCase::new("could be judged", status));
        all.add_test_suite(suite);
    }
    all.to_string()
}

fn suite(process: &ProcessReport) -> TestSuite {
    let time = Duration::try_from_secs_f64(process.seconds).unwrap_or_default();
    let mut suite = TestSuite::new(format!("{} (pid {})", process.name(), process.pid));
    suite.set_time(time);
    for leak in &process.leaks {
        suite.add_test_case(failure(leak).set_classname(process.name()).to_owned());
    }
    if process.leaks.is_empty() {
        let status = match process.not_judged() {
            None => TestCaseStatus::success(),
            Some(reason) => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(reason);
                status
            }
        };
        let mut case = TestCase::new("no goroutine is left behind", status);
        case.set_classname(process.name()).set_time(time);
        suite.add_test_case(case);
    }
    suite
}

fn failure(leak: &Blocked) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(leak.rule.unwrap_or_default());
    status.set_message(format!(
        "{} goroutines left behind, {}: {}",
        leak.goroutines, leak.wait_reason, leak.evidence
    ));
    status.set_description(format!(
        "created by {}\n\t{}:{}\nstarted with {}\nstill for {:.1} s, {} bytes of stacks",
        leak.site.created_by,
        leak.site.file,
        leak.site.line,
        leak.site.start,
        leak.still_seconds,
        leak.stack_bytes
    ));
    TestCase::new(format!("{} {}", leak.site.created_by, leak.site.location()), status)
}

#[cfg(test)]
mod tests {
    use super::{
        super::report::{Outcome, tests::report},
        *,
    };

    #[test]
    fn suites() {
        let outcomes = vec![Outcome::Leak, Outcome::Fine, Outcome::TooShort(0.1)];
        let mut report = report(outcomes, 0);
        report.processes[0].leaks[0].site.start = "a<b>&\"\u{1b}[2J".into();
        let xml = xml(&report).unwrap();
        for part in [
            "<testsuite name=\"shop.test (pid 42)\" tests=\"1\"",
            "failures=\"1\"",
            "<testcase name=\"shop.TestOrder order_test.go:17\" classname=\"shop.test\"",
            "type=\"outlived\"",
            "/src/shop/order_test.go:17",
            "<skipped message=\"it was seen for 0.10 s",
        ] {
            assert!(xml.contains(part), "{part}: {xml}");
        }
        assert!(!xml.contains('\u{1b}') && xml.contains("a&lt;b&gt;&amp;"), "{xml}");
    }

    #[test]
    fn what_could_not_be_judged_is_an_error() {
        let xml = xml(&report(vec![], 0)).unwrap();
        assert!(xml.contains("<error message=\"no Go process"), "{xml}");
    }
}
