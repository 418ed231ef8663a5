//! What was found, and what it comes to: no leak, a leak, or that it could not be judged.

use std::{process::ExitStatus, time::Duration};

use serde::{Serialize, Serializer};

use crate::model::site::SiteName;

/// Goroutines of one creation site that stand still.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Blocked {
    pub(super) site: SiteName,
    /// The rule that they are left behind by; `None` where they may well not be.
    pub(super) rule: Option<&'static str>,
    pub(super) evidence: String,
    pub(super) wait_reason: String,
    pub(super) goroutines: u64,
    pub(super) stack_bytes: u64,
    pub(super) still_seconds: f64,
}

/// What became of a process.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Leak,
    Fine,
    /// It was seen for so many seconds, which is less than the settling time.
    TooShort(f64),
    /// Its runtime could not be read, for this reason.
    Unreadable(String),
}

/// One Go process.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ProcessReport {
    pub(super) pid: u32,
    pub(super) exe: String,
    pub(super) go_version: String,
    pub(super) is_test: bool,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
    /// From the first look to the last.
    #[serde(rename = "observed_seconds")]
    pub(super) seconds: f64,
    pub(super) looks: u64,
    /// The program's own at the last look.
    pub(super) goroutines: u64,
    pub(super) leaks: Vec<Blocked>,
    pub(super) blocked: Vec<Blocked>,
}

impl ProcessReport {
    /// Base name of the executable.
    pub(super) fn name(&self) -> &str {
        self.exe.rsplit('/').next().unwrap_or(&self.exe)
    }

    /// Why it was not judged.
    pub(super) fn not_judged(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Leak | Outcome::Fine => None,
            Outcome::TooShort(seconds) => Some(format!(
                "it was seen for {seconds:.2} s, which is less than the settling time"
            )),
            Outcome::Unreadable(reason) => Some(reason.clone()),
        }
    }
}

/// All of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Fine,
    Leak,
    Unknown,
}

impl Verdict {
    /// The exit status.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Leak => 1,
            Self::Unknown => 2,
        }
    }
}

/// What was watched, and how it ended.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) processes: Vec<ProcessReport>,
    /// Why processes could not be looked at of which it is not known whether they run Go.
    pub(super) refused: Vec<String>,
    /// Programs of the Go toolchain ran, which are not judged.
    pub(super) toolchain: bool,
    /// How the command ended, where one was started.
    pub(super) ended: Option<ExitStatus>,
}

/// The report.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) verdict: Verdict,
    /// Why it could not be judged.
    pub(super) reason: Option<String>,
    /// What to do about that.
    #[serde(skip)]
    pub(super) hint: &'static str,
    pub(super) settle_seconds: f64,
    /// The command's own exit status; `null` where it was ended by a signal, or none was started.
    pub(super) command_status: Option<i32>,
    pub(super) processes: Vec<ProcessReport>,
}

impl Report {
    /// Draws the conclusion. A process too short-lived is passed over where another was judged.
    pub(super) fn new(watch: Watch, settle: Duration, ignore_exit: bool) -> Self {
        let failed = watch.ended.filter(|status| !status.success() && !ignore_exit);
        let any = |wanted: &dyn Fn(&Outcome) -> bool| {
            watch.processes.iter().find(|process| wanted(&process.outcome))
        };
        let unreadable = any(&|outcome| matches!(outcome, Outcome::Unreadable(_)));
        let (verdict, reason) = if any(&|outcome| *outcome == Outcome::Leak).is_some() {
            (Verdict::Leak, None)
        } else if let Some(status) = failed {
            let hint = "make it succeed first, or pass over that with --ignore-exit";
            (Verdict::Unknown, Some((format!("the command failed: {status}"), hint)))
        } else if let Some((process, reason)) =
            unreadable.and_then(|process| Some((process, process.not_judged()?)))
        {
            let text = format!("the runtime of {} (pid {}): {reason}", process.name(), process.pid);
            let hint = "`goroscope doctor` tells what this host allows, `goroscope ps` how well \
                        each Go process can be read";
            (Verdict::Unknown, Some((text, hint)))
        } else if any(&|outcome| *outcome == Outcome::Fine).is_some() {
            (Verdict::Fine, None)
        } else {
            (Verdict::Unknown, Some(nothing_judged(&watch)))
        };
        let (reason, hint) = reason.unzip();
        Self {
            verdict,
            reason,
            hint: hint.unwrap_or_default(),
            settle_seconds: settle.as_secs_f64(),
            command_status: watch.ended.and_then(|status| status.code()),
            processes: watch.processes,
        }
    }

    /// Goroutines that are left behind, and the number of their creation sites.
    pub(super) fn left(&self) -> (u64, usize) {
        sum(self.processes.iter().flat_map(|process| &process.leaks))
    }

    /// Those that were blocked, too, but may well be meant to.
    pub(super) fn blocked(&self) -> (u64, usize) {
        sum(self.processes.iter().flat_map(|process| &process.blocked))
    }
}

fn nothing_judged(watch: &Watch) -> (String, &'static str) {
    let longest = watch.processes.iter().max_by(|a, b| a.seconds.total_cmp(&b.seconds));
    if let Some(process) = longest {
        let reason = process.not_judged().unwrap_or_default();
        return (
            format!("{} (pid {}): {reason}", process.name(), process.pid),
            "let it run longer (`go test -count=20`, or `-race`, which waits a second at the end), \
             or shorten --settle",
        );
    }
    if let Some(reason) = watch.refused.first() {
        return (
            format!("no Go process could be looked at: {reason}"),
            "run it as the same user, without setuid; `goroscope doctor` tells what this host \
             allows",
        );
    }
    if watch.toolchain {
        return (
            "no Go process was seen but the Go toolchain's own".to_owned(),
            "`go test` answers from its cache unless -count=1 is given; very short tests are over \
             too soon",
        );
    }
    (
        "no Go process was seen at all".to_owned(),
        "give a command that runs a Go program for longer than the settling time (--settle)",
    )
}

fn sum<'a>(sites: impl Iterator<Item = &'a Blocked>) -> (u64, usize) {
    sites.fold((0, 0), |(goroutines, count), site| (goroutines + site.goroutines, count + 1))
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            verdict: Verdict,
            reason: Option<&'a str>,
        }
        let (verdict, reason) = match self {
            Self::Leak => (Verdict::Leak, None),
            Self::Fine => (Verdict::Fine, None),
            Self::TooShort(_) => (Verdict::Unknown, Some("too short-lived")),
            Self::Unreadable(reason) => (Verdict::Unknown, Some(reason.as_str())),
        };
        Fields { verdict, reason }.serialize(serializer)
    }
}

impl Serialize for Blocked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            created_by: &'a str,
            location: String,
            file: &'a str,
            line: u32,
            start: &'a str,
            wait_reason: &'a str,
            goroutines: u64,
            stack_bytes: u64,
            still_seconds: f64,
            rule: Option<&'a str>,
            evidence: Option<&'a str>,
        }
        Fields {
            created_by: &self.site.created_by,
            location: self.site.location(),
            file: &self.site.file,
            line: self.site.line,
            start: &self.site.start,
            wait_reason: &self.wait_reason,
            goroutines: self.goroutines,
            stack_bytes: self.stack_bytes,
            still_seconds: self.still_seconds,
            rule: self.rule,
            evidence: self.rule.map(|_| self.evidence.as_str()),
        }
        .serialize(serializer)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    pub(in super::super) fn process(outcome: Outcome) -> ProcessReport {
        let leak = Blocked {
            site: SiteName {
                created_by: "shop.TestOrder".into(),
                file: "/src/shop/order_test.go".into(),
                line: 17,
                start: "shop.TestOrder.func1".into(),
            },
            rule: Some("outlived"),
            evidence: "the test that made them is over".into(),
            wait_reason: "chan receive".into(),
            goroutines: 3,
            stack_bytes: 6144,
            still_seconds: 1.5,
        };
        let leaks = if outcome == Outcome::Leak { vec![leak] } else { Vec::new() };
        ProcessReport {
            pid: 42,
            exe: "/tmp/shop.test".into(),
            go_version: "go1.27.3".into(),
            is_test: true,
            outcome,
            seconds: 2.5,
            looks: 200,
            goroutines: 5,
            leaks,
            blocked: Vec::new(),
        }
    }

    pub(in super::super) fn report(outcomes: Vec<Outcome>, status: i32) -> Report {
        let watch = Watch {
            processes: outcomes.into_iter().map(process).collect(),
            ended: Some(ExitStatus::from_raw(status)),
            ..Watch::default()
        };
        Report::new(watch, Duration::from_millis(500), false)
    }

    #[test]
    fn three_verdicts() {
        let verdict = |outcomes, status| report(outcomes, status).verdict;
        assert_eq!(verdict(vec![Outcome::Fine, Outcome::TooShort(0.1)], 0), Verdict::Fine);
        assert_eq!(verdict(vec![Outcome::Fine, Outcome::Leak], 0), Verdict::Leak);
        let unreadable = || Outcome::Unreadable("why".into());
        assert_eq!(verdict(vec![Outcome::Fine, unreadable()], 0), Verdict::Unknown);
        assert_eq!(verdict(vec![Outcome::Leak, unreadable()], 0), Verdict::Leak);
        assert_eq!(verdict(vec![Outcome::TooShort(0.1)], 0), Verdict::Unknown);
        assert_eq!(verdict(vec![], 0), Verdict::Unknown);
        // Status 1, and a signal.
        assert_eq!(verdict(vec![Outcome::Fine], 256), Verdict::Unknown);
        assert_eq!(verdict(vec![Outcome::Fine], 9), Verdict::Unknown);
        assert_eq!(verdict(vec![Outcome::Leak], 256), Verdict::Leak);
        assert_eq!([Verdict::Fine, Verdict::Leak, Verdict::Unknown].map(Verdict::code), [0, 1, 2]);
    }

    #[test]
    fn reasons() {
        let reason = |outcomes, status| report(outcomes, status).reason.unwrap();
        assert!(reason(vec![Outcome::Fine], 256).contains("exit status: 1"));
        assert!(reason(vec![Outcome::TooShort(0.12)], 0).contains("0.12 s"));
        assert!(reason(vec![Outcome::Unreadable("because".into())], 0).contains("because"));
        assert!(reason(vec![], 0).contains("no Go process"));
        let watch = Watch { refused: vec!["not yours".into()], ..Watch::default() };
        let report = Report::new(watch, Duration::ZERO, false);
        assert!(report.reason.unwrap().contains("not yours"));
    }

    #[test]
    fn as_json() {
        let json = serde_json::to_value(report(vec![Outcome::Leak], 0)).unwrap();
        assert_eq!(json["verdict"], "leak");
        let leak = &json["processes"][0]["leaks"][0];
        assert_eq!(leak["location"], "order_test.go:17");
        assert_eq!(leak["goroutines"], 3);
        assert_eq!(json["processes"][0]["verdict"], "leak");
    }
}
