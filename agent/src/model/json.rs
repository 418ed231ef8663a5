//! Processes and sites as JSON: what `ps --output json` prints and the HTTP API answers.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{
    leak::Evidence,
    process::{Origin, Process},
    site::Site,
};

/// One process. What is not known is `null`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProcessJson<'a> {
    /// The process id.
    pub pid: u32,
    /// When it started: RFC 3339, to the millisecond.
    pub start_time: Option<String>,
    /// Path of the executable.
    pub exe: &'a str,
    /// Name of its main thread.
    pub comm: &'a str,
    /// `go1.26.6`
    pub go_version: Option<&'a str>,
    /// Path of the main module.
    pub module: Option<&'a str>,
    /// Go build id.
    pub build_id: Option<&'a str>,
    /// `amd64`, `arm64`, …
    pub arch: Option<&'a str>,
    /// Has no symbol table.
    pub stripped: Option<bool>,
    /// Is position-independent.
    pub pie: Option<bool>,
    /// Has DWARF.
    pub dwarf: Option<bool>,
    /// Number of OS threads.
    pub threads: Option<u64>,
    /// Live user goroutines.
    pub goroutines: Option<u64>,
    /// Goroutines created since the process started.
    pub created_total: Option<u64>,
    /// How well it can be watched.
    pub watch: WatchJson<'a>,
    /// Whose process it is.
    pub origin: OriginJson<'a>,
}

/// `"ok"`, `"off"`, or a reason, for each way of watching.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WatchJson<'a> {
    /// The runtime's memory.
    pub runtime: &'a str,
    /// The uprobes.
    pub probes: &'a str,
}

/// Names; those that are not known are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OriginJson<'a> {
    /// Kubernetes namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<&'a str>,
    /// Kubernetes pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<&'a str>,
    /// Unique id of the Kubernetes pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_uid: Option<&'a str>,
    /// Container name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<&'a str>,
    /// Container id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_id: Option<&'a str>,
    /// systemd unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'a str>,
}

/// One creation site. The sum of the sites that are not told apart has `null` names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SiteJson<'a> {
    /// Function with the `go` statement.
    pub created_by: Option<&'a str>,
    /// `file.go:line`
    pub location: Option<String>,
    /// Path of the source file.
    pub file: Option<&'a str>,
    /// Line of the `go` statement.
    pub line: Option<u32>,
    /// The function started.
    pub start: Option<&'a str>,
    /// Goroutines alive.
    pub live: u64,
    /// Goroutines born while the probes were attached.
    pub created: u64,
    /// Goroutines ended while the probes were attached.
    pub exited: u64,
    /// The runtime's own, not the program's.
    pub system: bool,
    /// What they do or wait for, in the runtime's own words, with how many do.
    pub doing: BTreeMap<&'a str, u64>,
    /// Bytes of their stacks.
    pub stack_bytes: u64,
    /// How long the one that waits longest has waited, where the runtime has noted it.
    pub longest_wait_seconds: Option<f64>,
    /// How many more goroutines there are each minute, by the last minute.
    pub growth_per_minute: Option<f64>,
}

/// One site that is judged to leak.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeakJson<'a> {
    /// The process id.
    pub pid: u32,
    /// Path of the executable.
    pub exe: &'a str,
    /// Whose process it is.
    pub origin: OriginJson<'a>,
    /// Function with the `go` statement.
    pub created_by: &'a str,
    /// `file.go:line`
    pub location: String,
    /// Path of the source file.
    pub file: &'a str,
    /// Line of the `go` statement.
    pub line: u32,
    /// The function started.
    pub start: &'a str,
    /// `suspected` or `confirmed`.
    pub verdict: &'static str,
    /// What most of its goroutines wait for.
    pub wait_reason: &'a str,
    /// Goroutines that it holds.
    pub goroutines: u64,
    /// How many more there are each minute.
    pub per_minute: f64,
    /// Bytes of their stacks.
    pub stack_bytes: u64,
    /// When the evidence began to point there: RFC 3339.
    pub since: Option<String>,
    /// When it had held long enough: RFC 3339.
    pub confirmed_at: Option<String>,
    /// What speaks for it.
    pub evidence: Vec<EvidenceJson<'a>>,
}

/// One thing that speaks for a leak.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvidenceJson<'a> {
    /// Name of the rule.
    pub rule: &'a str,
    /// What it found.
    pub words: &'a str,
    /// The number behind it.
    pub value: f64,
}

impl<'a> LeakJson<'a> {
    /// The leaks of a process.
    pub fn of(process: &'a Process) -> impl Iterator<Item = Self> {
        process.leaks.iter().map(|leak| Self {
            pid: process.id.pid.0,
            exe: &process.exe,
            origin: OriginJson::from(&process.origin),
            created_by: &leak.site.created_by,
            location: leak.site.location(),
            file: &leak.site.file,
            line: leak.site.line,
            start: &leak.site.start,
            verdict: leak.verdict.as_str(),
            wait_reason: &leak.wait_reason,
            goroutines: leak.goroutines,
            per_minute: leak.per_minute,
            stack_bytes: leak.stack_bytes,
            since: rfc3339(leak.since),
            confirmed_at: leak.confirmed_at.and_then(rfc3339),
            evidence: leak
                .evidence
                .iter()
                .map(|Evidence { rule, words, value }| EvidenceJson { rule, words, value: *value })
                .collect(),
        })
    }
}

impl<'a> From<&'a Process> for ProcessJson<'a> {
    fn from(process: &'a Process) -> Self {
        let binary = process.binary.as_ref();
        Self {
            pid: process.id.pid.0,
            start_time: rfc3339(process.started_at),
            exe: &process.exe,
            comm: &process.comm,
            go_version: binary.map(|binary| binary.go_version.as_str()),
            module: binary.and_then(|binary| binary.module.as_deref()),
            build_id: binary.and_then(|binary| binary.build_id.as_deref()),
            arch: binary.map(|binary| binary.arch.as_str()),
            stripped: binary.map(|binary| binary.stripped),
            pie: binary.map(|binary| binary.pie),
            dwarf: binary.map(|binary| binary.dwarf),
            threads: process.threads,
            goroutines: process.goroutines(),
            created_total: process.created(),
            watch: WatchJson {
                runtime: process.watch.runtime.as_str(),
                probes: process.watch.probes.as_str(),
            },
            origin: OriginJson::from(&process.origin),
        }
    }
}

impl<'a> From<&'a Origin> for OriginJson<'a> {
    fn from(origin: &'a Origin) -> Self {
        Self {
            namespace: origin.namespace.as_deref(),
            pod: origin.pod.as_deref(),
            pod_uid: origin.pod_uid.as_deref(),
            container: origin.container.as_deref(),
            container_id: origin.container_id.as_deref(),
            unit: origin.unit.as_deref(),
        }
    }
}

impl<'a> From<&'a Site> for SiteJson<'a> {
    fn from(site: &'a Site) -> Self {
        let name = site.name.as_ref();
        Self {
            created_by: name.map(|name| name.created_by.as_str()),
            location: name.map(|name| name.location()),
            file: name.map(|name| name.file.as_str()),
            line: name.map(|name| name.line),
            start: name.map(|name| name.start.as_str()),
            live: site.live,
            created: site.created,
            exited: site.exited,
            system: site.system,
            doing: site.held.doing.iter().map(|(what, count)| (&**what, *count)).collect(),
            stack_bytes: site.held.stack_bytes,
            longest_wait_seconds: site
                .held
                .longest_wait_nanoseconds
                .map(|wait| Duration::from_nanos(wait).as_secs_f64()),
            growth_per_minute: site.held.growth_per_minute,
        }
    }
}

/// Seconds since the Unix epoch as RFC 3339 to the millisecond, in UTC; `None` for a time no
/// calendar has.
#[must_use]
pub fn rfc3339(seconds: f64) -> Option<String> {
    let since_epoch = SignedDuration::try_from_secs_f64(seconds).ok()?;
    let time = Timestamp::from_duration(since_epoch).ok()?;
    Some(format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json, to_value};

    use super::*;
    use crate::{
        discover::identity::{Pid, ProcessId, StartTime},
        model::{
            process::BinaryFacts,
            runtime::{Counts, Runtime},
            site::{Held, SiteName},
            watch::{Watch, Watches},
        },
    };

    fn process() -> Process {
        Process {
            id: ProcessId { pid: Pid(7), start: StartTime(1) },
            started_at: 1_767_225_600.25,
            watched_at: 1_767_225_600.25,
            exe: "/usr/bin/api".to_owned(),
            comm: "api".to_owned(),
            binary: Some(BinaryFacts {
                go_version: "go1.26.6".to_owned(),
                module: Some("example.org/api".to_owned()),
                build_id: None,
                arch: "amd64".to_owned(),
                stripped: true,
                pie: false,
                dwarf: false,
            }),
            threads: Some(9),
            runtime: Some(Runtime {
                counts: Counts { live: 2, created: 5, exited: 1, ..Counts::default() },
                ..Runtime::default()
            }),
            probed: None,
            sites: Vec::new(),
            leaks: Vec::new(),
            sched: None,
            watch: Watches {
                runtime: Watch::Partly("no statistics".to_owned()),
                probes: Watch::Off,
            },
            origin: Origin { unit: Some("api.service".to_owned()), ..Origin::default() },
        }
    }

    #[test]
    fn a_process_has_exactly_the_fields_of_the_contract() {
        assert_eq!(
            to_value(ProcessJson::from(&process())).unwrap(),
            json!({
                "pid": 7, "start_time": "2026-01-01T00:00:00.250Z", "exe": "/usr/bin/api",
                "comm": "api", "go_version": "go1.26.6", "module": "example.org/api",
                "build_id": null, "arch": "amd64", "stripped": true, "pie": false, "dwarf": false,
                "threads": 9, "goroutines": 2, "created_total": 5,
                "watch": {"runtime": "no statistics", "probes": "off"},
                "origin": {"unit": "api.service"},
            })
        );
    }

    #[test]
    fn of_an_unread_binary_nothing_is_claimed() {
        let unread = Process { binary: None, runtime: None, ..process() };
        let json = to_value(ProcessJson::from(&unread)).unwrap();
        for field in
            ["go_version", "arch", "stripped", "pie", "dwarf", "goroutines", "created_total"]
        {
            assert_eq!(json.get(field), Some(&Value::Null), "{field}");
        }
    }

    #[test]
    fn a_site_and_the_nameless_rest() {
        let name = SiteName {
            created_by: "main.serve".to_owned(),
            file: "/src/main.go".to_owned(),
            line: 12,
            start: "main.handle".to_owned(),
        };
        let held = Held {
            doing: vec![("chan receive".into(), 1)],
            stack_bytes: 8192,
            longest_wait_nanoseconds: Some(2_500_000_000),
            growth_per_minute: Some(-1.5),
        };
        let site = Site { name: Some(name), live: 1, created: 3, exited: 2, system: false, held };
        assert_eq!(
            to_value(SiteJson::from(&site)).unwrap(),
            json!({
                "created_by": "main.serve", "location": "main.go:12", "file": "/src/main.go",
                "line": 12, "start": "main.handle", "live": 1, "created": 3, "exited": 2,
                "system": false, "doing": {"chan receive": 1}, "stack_bytes": 8192,
                "longest_wait_seconds": 2.5, "growth_per_minute": -1.5,
            })
        );
        let rest = to_value(SiteJson::from(&Site { name: None, ..site })).unwrap();
        assert_eq!(rest.get("created_by"), Some(&Value::Null));
        assert_eq!(rest.get("live"), Some(&json!(1)));
    }

    #[test]
    fn times_no_calendar_has_are_left_out() {
        assert_eq!(rfc3339(f64::NAN), None);
        assert_eq!(rfc3339(f64::INFINITY), None);
        assert_eq!(rfc3339(1e300), None);
        assert_eq!(rfc3339(0.0).as_deref(), Some("1970-01-01T00:00:00.000Z"));
    }
}
