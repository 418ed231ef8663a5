//! The report for people.

use std::fmt::Write as _;

use super::report::{Blocked, ProcessReport, Report, Verdict};
use crate::show::{
    escape::{NAME_LIMIT, PATH_LIMIT, escape},
    table::{Align, Table},
};

/// The report, in lines of at most `width` columns where one is given.
pub(super) fn text(report: &Report, width: Option<usize>) -> String {
    let mut text = String::new();
    for process in report.processes.iter().filter(|process| !process.leaks.is_empty()) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "left behind in {}:", about(process));
        text += &table(&process.leaks).render(width);
        text.push('\n');
    }
    for process in &report.processes {
        if let Some(reason) = process.not_judged() {
            let reason = escape(&reason, PATH_LIMIT);
            let _ = writeln!(text, "not judged: {}: {reason}", about(process));
        }
    }
    text += &verdict(report);
    text.push('\n');
    text
}

/// The verdict in one line.
pub(super) fn verdict(report: &Report) -> String {
    let (left, sites) = report.left();
    match report.verdict {
        Verdict::Leak => format!(
            "leak: {} of {} left behind",
            many(left, "goroutine"),
            many(u64::try_from(sites).unwrap_or(u64::MAX), "creation site")
        ),
        Verdict::Fine => {
            let judged = report.processes.iter().filter(|p| p.not_judged().is_none()).count();
            let judged = u64::try_from(judged).unwrap_or(u64::MAX);
            let (blocked, _) = report.blocked();
            let blocked = match blocked {
                0 => String::new(),
                _ => format!("; {} blocked, which --strict counts", many(blocked, "goroutine")),
            };
            let processes = if judged == 1 { "process" } else { "processes" };
            format!("fine: nothing left behind in {judged} Go {processes}{blocked}")
        }
        Verdict::Unknown => {
            let reason = report.reason.as_deref().unwrap_or_default();
            format!("could not judge: {}", escape(reason, PATH_LIMIT))
        }
    }
}

fn about(process: &ProcessReport) -> String {
    let (name, version) = (escape(process.name(), NAME_LIMIT), &process.go_version);
    format!("{name} (pid {}, {})", process.pid, escape(version, NAME_LIMIT))
}

fn many(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn table(sites: &[Blocked]) -> Table {
    let mut table = Table::new(&[
        ("GOROUTINES", Align::Right),
        ("STACKS", Align::Right),
        ("STILL", Align::Right),
        ("WAIT REASON", Align::Left),
        ("CREATED BY", Align::Left),
        ("AT", Align::Left),
        ("START", Align::Left),
        ("WHY", Align::Left),
    ]);
    for blocked in sites {
        let name = |text: &str| escape(text, NAME_LIMIT);
        table.row(vec![
            blocked.goroutines.to_string(),
            format!("{} KiB", blocked.stack_bytes / 1024),
            format!("{:.1} s", blocked.still_seconds),
            name(&blocked.wait_reason),
            name(&blocked.site.created_by),
            name(&blocked.site.location()),
            name(&blocked.site.start),
            name(&blocked.evidence),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{
        super::report::{Outcome, tests::report},
        *,
    };

    #[test]
    fn for_people() {
        assert_eq!(
            text(&report(vec![Outcome::Leak, Outcome::TooShort(0.1)], 0), None),
            "left behind in shop.test (pid 42, go1.27.3):\n\
             GOROUTINES  STACKS  STILL  WAIT REASON   CREATED BY      AT                \
             START                 WHY\n         \
             3   6 KiB  1.5 s  chan receive  shop.TestOrder  order_test.go:17  \
             shop.TestOrder.func1  the test that made them is over\n\n\
             not judged: shop.test (pid 42, go1.27.3): it was seen for 0.10 s, which is less than \
             the settling time\n\
             leak: 3 goroutines of 1 creation site left behind\n"
        );
        let fine = text(&report(vec![Outcome::Fine], 0), None);
        assert_eq!(fine, "fine: nothing left behind in 1 Go process\n");
        let unknown = text(&report(vec![], 0), None);
        assert!(unknown.starts_with("could not judge: no Go process"), "{unknown}");
    }
}
