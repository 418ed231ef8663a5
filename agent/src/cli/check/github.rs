//! The report as annotations, which GitHub shows beside the lines of the source.
//!
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>

use std::{fmt::Write as _, path::Path};

use super::{
    report::{Report, Verdict},
    text,
};

/// A line for each creation site that is left behind, or one for the verdict. Paths below `here`
/// are given from there on, as GitHub wants them.
pub(super) fn annotations(report: &Report, here: Option<&Path>) -> String {
    let mut lines = String::new();
    for process in &report.processes {
        for leak in &process.leaks {
            let path = Path::new(&leak.site.file);
            let path = here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path);
            let message = format!(
                "{} left behind in {} (pid {}): {}, {}\ncreated by {}, started with {}",
                leak.goroutines,
                process.name(),
                process.pid,
                leak.wait_reason,
                leak.evidence,
                leak.site.created_by,
                leak.site.start
            );
            // Writing to a string does not fail.
            let _ = writeln!(
                lines,
                "::error file={},line={},title=goroutine leak::{}",
                property(&path.to_string_lossy()),
                leak.site.line,
                data(&message)
            );
        }
    }
    let verdict = data(&text::verdict(report));
    match report.verdict {
        Verdict::Leak => {}
        Verdict::Fine => {
            let _ = writeln!(lines, "::notice title=goroutine leaks::{verdict}");
        }
        Verdict::Unknown => {
            let _ = writeln!(lines, "::error title=goroutine leaks::{verdict}");
        }
    }
    lines
}

fn data(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\r' { '\u{fffd}' } else { c })
        .collect();
    escaped.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::{
        super::report::{Outcome, tests::report},
        *,
    };

    #[test]
    fn a_line_for_each_site() {
        let lines = annotations(&report(vec![Outcome::Leak], 0), Some(Path::new("/src")));
        assert_eq!(
            lines,
            "::error file=shop/order_test.go,line=17,title=goroutine leak::3 left behind in \
             shop.test (pid 42): chan receive, the test that made them is over%0Acreated by \
             shop.TestOrder, started with shop.TestOrder.func1\n"
        );
        let lines = annotations(&report(vec![Outcome::Fine], 0), None);
        assert!(lines.starts_with("::notice title="), "{lines}");
        assert!(annotations(&report(vec![], 0), None).starts_with("::error title="));
    }

    #[test]
    fn names_cannot_end_a_line() {
        let mut report = report(vec![Outcome::Leak], 0);
        report.processes[0].leaks[0].site.file = "a\n::set-output:b,c%".into();
        report.processes[0].leaks[0].site.start = "\r\n::error::x\x1b[2J".into();
        let lines = annotations(&report, None);
        assert_eq!(lines.lines().count(), 1, "{lines:?}");
        assert!(lines.contains("file=a%0A%3A%3Aset-output%3Ab%2Cc%25,"), "{lines}");
    }
}
