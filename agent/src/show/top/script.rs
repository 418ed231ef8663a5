//! The same for programs, and once for people: an object an interval, or one table.

use serde::Serialize;

use super::{
    columns::{Column, PROCESSES},
    delay::Spread,
    name,
    picture::{Figures, Picture, SiteFigures},
    rates::Pace,
    units,
    view::{
        cells::{self, UNKNOWN},
        theme::Theme,
    },
};
use crate::{
    model::{
        json::{LeakJson, ProcessJson, SiteJson, rfc3339},
        leak::Leak,
        process::Process,
        site::Site,
    },
    show::table::{Align, Table},
};

/// One interval. What is not known is `null`.
#[derive(Debug, Serialize)]
pub struct IntervalJson<'a> {
    /// When it ended: RFC 3339.
    pub taken_at: Option<String>,
    /// How long it was.
    pub interval_seconds: Option<f64>,
    /// What does not work on this host, a sentence for each.
    pub warnings: &'a [String],
    /// The processes.
    pub processes: Vec<IntervalProcessJson<'a>>,
}

/// One process in an interval.
#[derive(Debug, Serialize)]
pub struct IntervalProcessJson<'a> {
    /// As `ps` has it.
    #[serde(flatten)]
    pub process: ProcessJson<'a>,
    /// What happened a second.
    #[serde(flatten)]
    pub pace: PaceJson,
    /// How long goroutines that could run waited until they did.
    pub goroutine_delay: Option<Spread>,
    /// How long threads waited for a CPU.
    pub thread_delay: Option<Spread>,
    /// Creation sites that are judged to leak.
    pub leaks: Vec<LeakJson<'a>>,
    /// Creation sites, those with most goroutines first.
    pub sites: Vec<IntervalSiteJson<'a>>,
}

/// One creation site in an interval.
#[derive(Debug, Serialize)]
pub struct IntervalSiteJson<'a> {
    /// As the HTTP API has it.
    #[serde(flatten)]
    pub site: SiteJson<'a>,
    /// What happened a second.
    #[serde(flatten)]
    pub pace: PaceJson,
}

/// What happened a second.
#[derive(Debug, Serialize)]
pub struct PaceJson {
    /// Goroutines born.
    pub created_per_second: Option<f64>,
    /// Goroutines that ended.
    pub exited_per_second: Option<f64>,
    /// How many more there are, over the last ten seconds, or as long as they are known.
    pub growth_per_second: Option<f64>,
}

impl From<Pace> for PaceJson {
    fn from(pace: Pace) -> Self {
        Self {
            created_per_second: pace.born,
            exited_per_second: pace.died,
            growth_per_second: pace.growth,
        }
    }
}

impl<'a> IntervalJson<'a> {
    /// What a picture says.
    #[must_use]
    pub fn of(picture: &'a Picture, warnings: &'a [String]) -> Self {
        Self {
            taken_at: rfc3339(picture.snapshot.taken_at),
            interval_seconds: picture.seconds,
            warnings,
            processes: picture.processes().map(IntervalProcessJson::from).collect(),
        }
    }
}

impl<'a> From<(&'a Process, &Figures)> for IntervalProcessJson<'a> {
    fn from((process, figures): (&'a Process, &Figures)) -> Self {
        let sites = process.sites.iter().zip(&figures.sites);
        Self {
            process: ProcessJson::from(process),
            pace: figures.pace.into(),
            goroutine_delay: figures.goroutine_delay,
            thread_delay: figures.thread_delay,
            leaks: LeakJson::of(process).collect(),
            sites: sites.map(IntervalSiteJson::from).collect(),
        }
    }
}

impl<'a> From<(&'a Site, &SiteFigures)> for IntervalSiteJson<'a> {
    fn from((site, figures): (&'a Site, &SiteFigures)) -> Self {
        Self { site: SiteJson::from(site), pace: figures.pace.into() }
    }
}

/// A table of the processes, those that leak and the largest first; below it the leaks.
#[must_use]
pub fn table(picture: &Picture, width: Option<usize>) -> String {
    let columns: Vec<_> = PROCESSES.iter().filter(|spec| spec.column != Column::Trend).collect();
    let heads: Vec<_> = columns
        .iter()
        .map(|spec| (spec.title, if spec.right { Align::Right } else { Align::Left }))
        .collect();
    let mut table = Table::new(&heads);
    let mut rows: Vec<_> = picture.processes().collect();
    rows.sort_by_key(|(process, _)| {
        let held: u64 = process.leaks.iter().map(|leak| leak.goroutines).sum();
        std::cmp::Reverse((super::picture::verdict(process), held, process.goroutines()))
    });
    let plain = Theme { colour: false, unicode: true, zone: jiff::tz::TimeZone::UTC };
    for row in &rows {
        let cell = |column| {
            let cell = cells::of_process(column, 0, *row, &plain);
            if cell.text.is_empty() { UNKNOWN.to_owned() } else { cell.text }
        };
        table.row(columns.iter().map(|spec| cell(spec.column)).collect());
    }
    let mut text = table.render(width);
    let leaks = rows
        .iter()
        .flat_map(|(process, _)| process.leaks.iter().map(move |leak| sentence(process, leak)));
    let leaks: String = leaks.collect();
    if !leaks.is_empty() {
        text.push('\n');
        text.push_str(&leaks);
    }
    text
}

fn sentence(process: &Process, leak: &Leak) -> String {
    let site = name::site(&leak.site, usize::MAX);
    format!(
        "{} in {}: {site}: {}, {:+.0}/min, {}\n",
        leak.verdict.as_str(),
        process.id.pid,
        units::several(leak.goroutines, "goroutine"),
        leak.per_minute,
        name::harmless(&leak.wait_reason)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::to_value;

    use super::*;
    use crate::{
        model::leak::Verdict,
        show::top::{made_up, picture::Tracker},
    };

    fn picture() -> Picture {
        let mut tracker = Tracker::default();
        let mut sick = made_up::process(9, 30);
        sick.sites = vec![made_up::site("main.\x1b[31mleak", 25)];
        sick.leaks = vec![made_up::leak(&sick.sites[0], Verdict::Confirmed)];
        let healthy = made_up::process(7, 500);
        tracker.take(made_up::snapshot(100.0, vec![healthy.clone(), made_up::process(9, 10)]));
        tracker.take(made_up::snapshot(102.0, vec![healthy, sick]))
    }

    #[test]
    fn an_object() {
        let picture = picture();
        let warnings = ["no eBPF".to_owned()];
        let json = to_value(IntervalJson::of(&picture, &warnings)).unwrap();
        assert_eq!(json["interval_seconds"], 2.0);
        assert_eq!(json["taken_at"], "1970-01-01T00:01:42.000Z");
        assert_eq!(json["warnings"][0], "no eBPF");
        let process = &json["processes"][1];
        assert_eq!(process["pid"], 9);
        assert_eq!(process["growth_per_second"], 10.0);
        assert_eq!(process["created_per_second"], 0.0);
        assert_eq!(process["goroutine_delay"], serde_json::Value::Null);
        assert_eq!(process["leaks"][0]["verdict"], "confirmed");
        assert_eq!(process["sites"][0]["live"], 25);
        assert_eq!(process["sites"][0]["growth_per_second"], serde_json::Value::Null);
    }

    #[test]
    fn a_table() {
        let text = table(&picture(), None);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("GROWTH/s") && lines[0].ends_with("EXE"), "{text}");
        assert!(lines[1].trim_start().starts_with('9') && lines[1].contains("+10.0"), "{text}");
        assert!(lines[2].contains("500"), "{text}");
        assert_eq!(
            lines[4],
            r"confirmed in 9: main.\u{1b}[31mleak main.go:52 → main.\u{1b}[31mleak.func1: 25 goroutines, +671/min, chan send"
        );
        assert!(!text.contains('\x1b'));
    }
}
