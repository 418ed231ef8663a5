//! Options, environment and file brought together; what none of them says has a default.

use goroscope_ebpf_probes::trace::DEFAULT_TRACE_BYTES;

use super::{
    alerts::AlertsConfig,
    args::{AgentArgs, CheckArgs, DaemonArgs, Global, OutputArgs},
    check::{Allowed, CheckSettings, Target},
    config::Config,
    failure::Failure,
    selection::SelectionArgs,
    top::{TopArgs, TopSettings},
    trace::{TraceArgs, TraceSettings},
    value::{LogFormat, Output, PidValue, Probes, ReportForm, Share, Text},
};
use crate::{
    discover::{
        identity::Pid,
        selection::{Criteria, Selection},
    },
    probe::Limits,
    run::settings::AgentSettings,
    serve::gate::GateSettings,
};

const DEFAULT_LISTEN: &str = "127.0.0.1:4676";
const DEFAULT_TOP_SITES: u32 = 50;
const DEFAULT_SCAN_INTERVAL: std::time::Duration = std::time::Duration::from_secs(10);
const DEFAULT_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);
const DEFAULT_SETTLE: std::time::Duration = std::time::Duration::from_millis(500);
const DEFAULT_LASTING: std::time::Duration = std::time::Duration::from_secs(30);
const DEFAULT_TRACE: std::time::Duration = std::time::Duration::from_secs(5);
const DEFAULT_MAX_EVENTS: usize = 2_000_000;
const DEFAULT_TOP: usize = 10;
/// Of one core.
const DEFAULT_SHARE: f64 = 0.01;

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogSettings {
    pub(super) format: LogFormat,
    /// How many times more was asked for, less how many times less.
    pub(super) verbosity: i16,
}

pub(super) fn log(args: &Global, config: &Config) -> LogSettings {
    let (mut verbose, mut quiet) = (args.verbose, args.quiet);
    if verbose == 0 && quiet == 0 {
        (verbose, quiet) = (config.verbose.unwrap_or(0), config.quiet.unwrap_or(0));
    }
    LogSettings {
        format: args.log_format.or(config.log_format).unwrap_or(LogFormat::Text),
        verbosity: i16::from(verbose).saturating_sub(i16::from(quiet)),
    }
}

pub(super) fn output(args: &OutputArgs, config: &Config) -> Output {
    // A form that only reports have says nothing here.
    let listed = config.output.and_then(ReportForm::of_list);
    args.output.or(listed).unwrap_or(Output::Table)
}

/// For each criterion by itself, the later source replaces the earlier.
pub(super) fn selection(args: &SelectionArgs, config: &Config) -> Result<Selection, Failure> {
    let include = Criteria {
        pids: pids(later(&args.pid, &config.pid)),
        exes: texts(later(&args.exe, &config.exe)),
        cgroups: texts(later(&args.cgroup, &config.cgroup)),
    };
    let exclude = Criteria {
        pids: pids(later(&args.exclude_pid, &config.exclude_pid)),
        exes: texts(later(&args.exclude_exe, &config.exclude_exe)),
        cgroups: texts(later(&args.exclude_cgroup, &config.exclude_cgroup)),
    };
    Selection::new(&include, &exclude).map_err(|error| {
        Failure::usage(error.to_string())
            .hint("in a glob ? * [a-z] {one,two} have a meaning; put \\ before one that has none")
    })
}

pub(super) fn agent(
    args: &AgentArgs,
    config: &Config,
    kernel_diagnostics: bool,
) -> Result<AgentSettings, Failure> {
    let AgentArgs { selection, names, daemon } = args;
    let DaemonArgs { listen, .. } = daemon;
    let mut listen = texts(later(listen, &config.listen));
    if listen.is_empty() {
        listen.push(DEFAULT_LISTEN.to_owned());
    }
    let mut limits = Limits::default();
    if let Some(most) = daemon.max_processes.or(config.max_processes) {
        limits.processes = most.0;
    }
    if let Some(most) = daemon.max_sites.or(config.max_sites) {
        limits.sites = most.0;
    }
    let top = daemon.top_sites.or(config.top_sites).map_or(DEFAULT_TOP_SITES, |top| top.0);
    let interval = daemon.scan_interval.or(config.scan_interval);
    Ok(AgentSettings {
        selection: self::selection(selection, config)?,
        listen,
        probes: daemon.probes.or(config.probes).unwrap_or(Probes::Auto).into(),
        node_name: daemon
            .node_name
            .as_ref()
            .or(config.node_name.as_ref())
            .map(|name| name.0.clone()),
        top_sites: usize::try_from(top).unwrap_or(usize::MAX),
        limits,
        scan_interval: interval.map_or(DEFAULT_SCAN_INTERVAL, |interval| interval.0),
        goroutine_scan_budget: daemon
            .goroutine_scan_budget
            .or(config.goroutine_scan_budget)
            .map_or(DEFAULT_SHARE, |share| share.0),
        probe_budget: daemon
            .probe_budget
            .or(config.probe_budget)
            .map_or(DEFAULT_SHARE, |share| share.0),
        http_dumps: daemon.http.dumps(config),
        gate: daemon.http.settings(config),
        names: names.settings(config)?,
        notify: AlertsConfig::settings(config.alerts.as_ref(), &daemon.alertmanager)?,
        otlp: daemon.otlp.settings(config)?,
        kernel_diagnostics,
    })
}

pub(super) fn top(args: &TopArgs, config: &Config) -> Result<TopSettings, Failure> {
    let TopArgs { selection, names, view, output } = args;
    let mut limits = Limits::default();
    if let Some(most) = config.max_processes {
        limits.processes = most.0;
    }
    if let Some(most) = config.max_sites {
        limits.sites = most.0;
    }
    let share = |of: Option<Share>| of.map_or(DEFAULT_SHARE, |share| share.0);
    let agent = AgentSettings {
        selection: self::selection(selection, config)?,
        listen: Vec::new(),
        probes: view.probes.or(config.probes).unwrap_or(Probes::Auto).into(),
        node_name: None,
        top_sites: 0,
        limits,
        scan_interval: config.scan_interval.map_or(DEFAULT_SCAN_INTERVAL, |interval| interval.0),
        goroutine_scan_budget: share(config.goroutine_scan_budget),
        probe_budget: share(config.probe_budget),
        http_dumps: false,
        names: names.settings(config)?,
        gate: GateSettings::default(),
        notify: None,
        otlp: None,
        kernel_diagnostics: false,
    };
    Ok(TopSettings {
        agent,
        interval: view.interval.or(config.interval).map_or(DEFAULT_INTERVAL, |every| every.0),
        once: view.once.or(config.once).unwrap_or(false),
        output: self::output(output, config),
    })
}

pub(super) fn check(args: &CheckArgs, config: &Config) -> Result<CheckSettings, Failure> {
    let target = if args.command.is_empty() {
        match later(args.pid.as_slice(), &config.pid) {
            [pid] => Target::Pid(Pid(pid.0)),
            _ => {
                let failure = Failure::usage("neither a command nor one process is given");
                return Err(failure.hint(
                    "goroscope check -- COMMAND…, or goroscope check --pid N; \
                     `goroscope check --help` has examples",
                ));
            }
        }
    } else {
        Target::Command(args.command.clone())
    };
    let allowed = Allowed::new(&texts(later(&args.allow, &config.allow)));
    let allowed = allowed.map_err(|(glob, why)| {
        Failure::usage(format!("--allow \"{glob}\": {why}")).hint(
            "in a pattern ? * [a-z] {one,two} have a meaning; put \\ before one that has none",
        )
    })?;
    let report = args.report.clone().or_else(|| Some(config.report.as_ref()?.0.clone().into()));
    Ok(CheckSettings {
        target,
        settle: args.settle.or(config.settle).map_or(DEFAULT_SETTLE, |settle| settle.0),
        lasting: args.lasting.or(config.lasting).map_or(DEFAULT_LASTING, |lasting| lasting.0),
        allowed,
        strict: args.strict.or(config.strict).unwrap_or(false),
        ignore_exit: args.ignore_exit.or(config.ignore_exit).unwrap_or(false),
        form: args.output.or(config.output).unwrap_or(ReportForm::Table),
        report,
    })
}

pub(super) fn trace(args: &TraceArgs) -> TraceSettings {
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    // The kernel takes powers of two.
    let ring_bytes = args.buffer_mib.map_or(DEFAULT_TRACE_BYTES, |mib| {
        mib.0.saturating_mul(1 << 20).checked_next_power_of_two().unwrap_or(DEFAULT_TRACE_BYTES)
    });
    TraceSettings {
        pid: Pid(args.pid.0),
        duration: args.duration.map_or(DEFAULT_TRACE, |duration| duration.0),
        output: args.output.clone(),
        ring_bytes,
        max_events: args.max_events.map_or(DEFAULT_MAX_EVENTS, |most| size(most.0)),
        top: args.top.map_or(DEFAULT_TOP, |top| size(top.0)),
    }
}

fn later<'a, T>(args: &'a [T], config: &'a [T]) -> &'a [T] {
    if args.is_empty() { config } else { args }
}

fn pids(values: &[PidValue]) -> Vec<u32> {
    values.iter().map(|value| value.0).collect()
}

fn texts(values: &[Text]) -> Vec<String> {
    values.iter().map(|value| value.0.clone()).collect()
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::{
        cli::{
            args::{Cli, Command},
            value::{Interval, Within},
        },
        discover::identity::Pid,
        run::settings::ProbesMode,
    };

    fn settings(line: &[&str], config: &Config) -> AgentSettings {
        let line = ["goroscope", "agent"].iter().chain(line);
        let Command::Agent(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("not agent")
        };
        agent(&args, config, false).unwrap()
    }

    #[test]
    fn defaults() {
        let settings = settings(&[], &Config::default());
        assert_eq!(settings.listen, ["127.0.0.1:4676"]);
        assert_eq!(settings.probes, ProbesMode::Auto);
        assert_eq!((settings.top_sites, settings.limits), (50, Limits::default()));
        assert_eq!(settings.scan_interval.as_secs(), 10);
        assert_eq!((settings.probe_budget, settings.goroutine_scan_budget), (0.01, 0.01));
        assert_eq!(settings.selection.only_pids(), None);
        assert!(!settings.http_dumps);
    }

    #[test]
    fn options_win_over_the_file() {
        let config = Config {
            pid: vec![Within(5)],
            exclude_exe: vec![Text("/x".into())],
            listen: vec![Text("unix:/file".into())],
            node_name: Some(Text("file".into())),
            probes: Some(Probes::Off),
            top_sites: Some(Within(7)),
            max_processes: Some(Within(8)),
            max_sites: Some(Within(9)),
            scan_interval: Some(Interval(std::time::Duration::from_secs(1))),
            probe_budget: Some(Share(0.02)),
            goroutine_scan_budget: Some(Share(0.03)),
            http_dumps: Some(true),
            ..Config::default()
        };
        let from_file = settings(&[], &config);
        assert!(from_file.selection.names(Pid(5)));
        assert_eq!(from_file.listen, ["unix:/file"]);
        assert_eq!(from_file.probes, ProbesMode::Off);
        assert_eq!((from_file.limits.processes, from_file.limits.sites), (8, 9));
        assert_eq!((from_file.top_sites, from_file.scan_interval.as_secs()), (7, 1));
        assert!(from_file.http_dumps && !settings(&["--http-dumps=no"], &config).http_dumps);
        assert_eq!(from_file.node_name.as_deref(), Some("file"));
        let named = settings(&["--node-name", "line"], &config);
        assert_eq!(named.node_name.as_deref(), Some("line"));
        assert_eq!((from_file.probe_budget, from_file.goroutine_scan_budget), (0.02, 0.03));
        let line =
            ["--pid", "6", "--listen", "unix:/line", "--probes", "always", "--top-sites", "3"];
        let from_line = settings(&line, &config);
        assert!(from_line.selection.names(Pid(6)) && !from_line.selection.names(Pid(5)));
        assert_eq!(from_line.listen, ["unix:/line"]);
        assert_eq!((from_line.probes, from_line.top_sites), (ProbesMode::Always, 3));
    }

    #[test]
    fn top_settings() {
        let top = |line: &[&str], config: &Config| {
            let line = ["goroscope", "top"].iter().chain(line);
            let Command::Top(args) = Cli::try_parse_from(line).unwrap().command else {
                panic!("not top")
            };
            top(&args, config).unwrap()
        };
        let defaults = top(&[], &Config::default());
        assert!(defaults.is_live() && defaults.agent.listen.is_empty());
        assert_eq!((defaults.interval.as_secs(), defaults.agent.probes), (1, ProbesMode::Auto));
        let config = Config {
            once: Some(true),
            interval: Some(Interval(std::time::Duration::from_secs(7))),
            probes: Some(Probes::Off),
            ..Config::default()
        };
        let from_file = top(&[], &config);
        assert!(from_file.once && !from_file.is_live());
        assert_eq!((from_file.interval.as_secs(), from_file.agent.probes), (7, ProbesMode::Off));
        let line = ["--once=no", "--interval", "2s", "--probes", "always", "--output", "json"];
        let from_line = top(&line, &config);
        assert!(!from_line.once && !from_line.is_live());
        assert_eq!((from_line.interval.as_secs(), from_line.agent.probes), (2, ProbesMode::Always));
    }

    #[test]
    fn check_settings() {
        let check = |line: &[&str], config: &Config| {
            let line = ["goroscope", "check"].iter().chain(line);
            let Command::Check(args) = Cli::try_parse_from(line).unwrap().command else {
                panic!("not check")
            };
            check(&args, config)
        };
        let defaults = check(&["--", "a", "-b"], &Config::default()).unwrap();
        assert_eq!(defaults.target, Target::Command(vec!["a".into(), "-b".into()]));
        assert_eq!((defaults.settle.as_millis(), defaults.lasting.as_secs()), (500, 30));
        assert!(!defaults.strict && !defaults.ignore_exit && defaults.report.is_none());
        let config = Config {
            pid: vec![Within(5)],
            output: Some(ReportForm::Junit),
            strict: Some(true),
            report: Some(Text("r.xml".into())),
            ..Config::default()
        };
        let from_file = check(&[], &config).unwrap();
        assert_eq!((from_file.target, from_file.form), (Target::Pid(Pid(5)), ReportForm::Junit));
        assert!(from_file.strict && from_file.report.is_some());
        assert!(!check(&["--strict=no", "--", "a"], &config).unwrap().strict);
        let line = ["--output", "json", "--strict", "--report", "x", "--", "a"];
        let from_line = check(&line, &config).unwrap();
        assert_eq!(from_line.target, Target::Command(vec!["a".into()]));
        assert_eq!((from_line.form, from_line.report), (ReportForm::Json, Some("x".into())));
        assert!(check(&[], &Config::default()).is_err());
        assert!(check(&["--allow", "a[", "--", "x"], &config).is_err());
        // Lists have no such form.
        let args = OutputArgs { output: None };
        assert_eq!(output(&args, &config), Output::Table);
    }

    #[test]
    fn trace_settings() {
        let trace = |line: &[&str]| {
            let line = ["goroscope", "trace", "5"].iter().chain(line);
            let Command::Trace(args) = Cli::try_parse_from(line).unwrap().command else {
                panic!("not trace")
            };
            trace(&args)
        };
        let defaults = trace(&[]);
        assert_eq!((defaults.pid, defaults.duration.as_secs(), defaults.top), (Pid(5), 5, 10));
        assert_eq!((defaults.ring_bytes, defaults.max_events), (16 << 20, 2_000_000));
        assert_eq!(defaults.output, None);
        let line = ["--duration", "300ms", "-o", "t.json", "--buffer-mib", "3", "--top", "0"];
        let given = trace(&line);
        assert_eq!((given.duration.as_millis(), given.ring_bytes, given.top), (300, 4 << 20, 0));
        assert_eq!(given.output, Some("t.json".into()));
        assert_eq!(trace(&["--buffer-mib", "1024"]).ring_bytes, 1 << 30);
    }

    #[test]
    fn what_the_file_says_of_one_command() {
        let config = || {
            Config::parse(
                "dump: {format: json, output: d.json, system: true, state: [waiting, running], \
                 function: 'main.*', min_wait: 5m, limit: 3}\n\
                 diff: {interval: 1m, by: stack, limit: 7, output: json, output_file: d.svg}\n\
                 trace: {duration: 2s, output: t.json, top: 4, buffer_mib: 32, max_events: 5}\n",
            )
            .unwrap()
        };
        let command =
            |line: &[&str]| Cli::try_parse_from(["goroscope"].iter().chain(line)).unwrap().command;
        let said = |line: &[&str]| match command(line) {
            Command::Dump(args) => format!("{:?}", args.or(config().dump)),
            Command::Diff(args) => format!("{:?}", args.or(config().diff)),
            Command::Trace(args) => format!("{:?}", args.or(config().trace)),
            _ => String::new(),
        };
        for (line, words) in [
            (
                &["dump", "5"][..],
                &[
                    "format: Some(Json)",
                    "output: Some(\"d.json\")",
                    "system: Some(true)",
                    "Running",
                    "\"main.*\"",
                    "300s",
                    "limit: Some(Within(3))",
                    "summary: None",
                ][..],
            ),
            (
                &["dump", "5", "--format", "text", "--state", "syscall", "--summary"],
                &[
                    "format: Some(Text)",
                    "output: None",
                    "[StateName(Syscall)]",
                    "summary: Some(true)",
                ],
            ),
            (&["dump", "5", "--system=no", "-o", "x"], &["system: Some(false)", "Some(\"x\")"]),
            (
                &["diff", "5"],
                &["60s", "by: Some(Stack)", "Within(7)", "output: Some(Json)", "Some(\"d.svg\")"],
            ),
            (&["diff", "a", "b", "--by", "site"], &["interval: None", "by: Some(Site)"]),
            (
                &["trace", "5", "--top", "1"],
                &["2s", "Some(\"t.json\")", "top: Some(Within(1))", "Within(32)", "Within(5)"],
            ),
        ] {
            let said = said(line);
            for word in words {
                assert!(said.contains(word), "{line:?}: {word} is not in {said}");
            }
        }
        for text in ["dump: {form: json}\n", "diff: {by: line}\n", "trace: {top: many}\n"] {
            assert!(Config::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_interval_is_nothing_to_two_files() {
        let matches = |line: &[&str]| {
            Cli::command().try_get_matches_from(["goroscope"].iter().chain(line)).unwrap()
        };
        let error =
            Cli::from_matches(&matches(&["diff", "a", "b", "--interval", "1s"])).unwrap_err();
        assert!(error.to_string().contains("not both"), "{error}");
        assert!(Cli::from_matches(&matches(&["diff", "5", "--interval", "1s"])).is_ok());
    }

    #[test]
    fn log_settings() {
        let global =
            |line: &[&str]| Cli::try_parse_from(["goroscope"].iter().chain(line)).unwrap().global;
        let quiet =
            Config { quiet: Some(1), log_format: Some(LogFormat::Json), ..Config::default() };
        let none = Config::default();
        assert_eq!(log(&global(&["ps"]), &none).verbosity, 0);
        assert_eq!(log(&global(&["ps", "-vv"]), &none).verbosity, 2);
        assert_eq!(log(&global(&["-q", "ps"]), &none).verbosity, -1);
        let from_file = LogSettings { format: LogFormat::Json, verbosity: -1 };
        assert_eq!(log(&global(&["ps"]), &quiet), from_file);
        assert_eq!(log(&global(&["ps", "-v"]), &quiet).verbosity, 1);
    }
}
