//! The commands and their options: help, completions and man pages come from here.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    ArgAction, ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    builder::BoolishValueParser, error::ErrorKind, parser::ValueSource,
};
use clap_complete::Shell;

use super::{
    config::{MaxProcesses, MaxSites, TopSites},
    diff::DiffArgs,
    doctor::DoctorArgs,
    dump::DumpArgs,
    http::HttpArgs,
    names::NamesArgs,
    otlp::OtlpArgs,
    selection::SelectionArgs,
    top::{TOP_HELP, TopArgs},
    trace::{TRACE_HELP, TraceArgs},
    value::{Interval, LogFormat, Output, PidValue, Probes, ReportForm, Settle, Share, Text},
};
use crate::notify::address::Address;

/// Watches the Go processes of this host from outside: goroutines by creation site, and how long
/// threads wait for a CPU
#[derive(Debug, Parser)]
#[command(
    name = "goroscope",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Options are also read from the environment (GOROSCOPE_…) and from a YAML file \
                  (--config); options win over the environment, and that over the file.\n\n\
                  Exit status: 0 done, 1 failed, 2 wrong usage."
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "General")]
pub(super) struct Global {
    /// YAML file with the options' names as keys (with _ for -)
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        env = "GOROSCOPE_CONFIG",
        hide_env_values = true
    )]
    pub(super) config: Option<PathBuf>,
    /// More on stderr; twice for what the eBPF programs have to say
    #[arg(short, long, action = ArgAction::Count, global = true, env = "GOROSCOPE_VERBOSE", hide_env_values = true)]
    pub(super) verbose: u8,
    /// Less on stderr: errors only; twice for nothing
    #[arg(short, long, action = ArgAction::Count, global = true, env = "GOROSCOPE_QUIET", hide_env_values = true)]
    pub(super) quiet: u8,
    /// Form of the log on stderr [default: text]
    #[arg(
        long,
        value_name = "FORMAT",
        global = true,
        env = "GOROSCOPE_LOG_FORMAT",
        hide_env_values = true
    )]
    pub(super) log_format: Option<LogFormat>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The daemon: watches, and serves metrics over HTTP
    #[command(
        after_help = "SIGHUP has it read its configuration anew; a wrong one is refused. SIGTERM and \
        SIGINT end it. Sockets that systemd hands over (goroscope.socket) replace --listen.\n\n\
        Examples:\n  \
        goroscope agent\n  \
        goroscope agent --exe '/opt/shop/*' --exclude-exe '*/migrate'\n  \
        goroscope agent --cgroup /kubepods.slice --listen 0.0.0.0:4676\n  \
        goroscope agent --pid 4242 --probes off\n  \
        goroscope agent --host-root /host --cri-socket none\n  \
        goroscope agent --otlp-endpoint http://127.0.0.1:4318 --otlp-interval 15s\n  \
        GOROSCOPE_LISTEN=unix:/run/goroscope.sock goroscope agent --config /etc/goroscope.yaml"
    )]
    Agent(Box<AgentArgs>),
    /// Lists the Go processes in sight, and how well each can be watched
    #[command(after_help = "Examples:\n  \
        goroscope ps\n  \
        goroscope ps --cgroup /system.slice\n  \
        goroscope ps --pid 4242 --output json")]
    Ps(Box<PsArgs>),
    /// Live in the terminal: processes, their creation sites, the stacks of their goroutines
    #[command(after_help = TOP_HELP)]
    Top(Box<TopArgs>),
    /// The leak gate for CI: runs a command, and fails where its Go processes leave goroutines behind
    #[command(
        after_help = "In a test program a goroutine is left behind when the test that made it is \
        over and it stands still, blocked, for the settling time. In any other program, when \
        nothing can wake it, or when more and more of its creation site stand still.\n\n\
        Exit status: 0 no leak, 1 leak found, 2 could not judge: the command failed, no Go process \
        was seen, or none for long enough, or its runtime cannot be read.\n\n\
        Examples:\n  \
        goroscope check -- go test -count=1 ./...\n  \
        goroscope check -- go test -count=1 -race ./cart    (waits a second at the end)\n  \
        goroscope check --allow 'github.com/acme/pool.*' -- ./shop.test -test.count=20\n  \
        goroscope check --output junit --report leaks.xml -- ./integration.sh\n  \
        goroscope check --output github -- go test -count=1 ./...\n  \
        goroscope check --pid 4242 --for 1m"
    )]
    Check(Box<CheckArgs>),
    /// Every goroutine's stack, read from outside while the program runs on
    #[command(
        after_help = "A goroutine that ran each time it was looked at has no stack (torn). One that is running \
        has that of a sample of its thread, which takes 50 ms at the most, and CAP_PERFMON where \
        kernel.perf_event_paranoid is above 2; where there is none, json says why (no_stack).\n\n\
        Examples:\n  \
        goroscope dump 4242\n  \
        goroscope dump 4242 --summary\n  \
        goroscope dump 4242 --reason 'chan send' --min-wait 5m --function 'main.*'\n  \
        goroscope dump 4242 --format json --output dump.json"
    )]
    Dump(Box<DumpArgs>),
    /// What grew between two dumps: two files, or one process at an interval
    #[command(
        after_help = "A file may be what `goroscope dump` writes in any form but svg, Go's own dump \
        (/debug/pprof/goroutine?debug=2, a panic), or Go's own profile of goroutines; packed by gzip \
        or not; - stands for standard input. The runtime's own goroutines are left out.\n\n\
        Exit status: 0 also where nothing differs.\n\n\
        Examples:\n  \
        goroscope diff 4242\n  \
        goroscope diff 4242 --interval 1m --by stack\n  \
        goroscope diff before.json after.json --output json\n  \
        curl -s localhost:6060/debug/pprof/goroutine?debug=2 | goroscope diff before.txt -\n  \
        goroscope diff before.pb.gz after.pb.gz --output svg --output-file grown.svg"
    )]
    Diff(Box<DiffArgs>),
    /// Records what goroutines and their threads do for a while, and tells what kept them waiting:
    /// Go's run queue, or their threads for a CPU
    #[command(after_help = TRACE_HELP)]
    Trace(TraceArgs),
    /// Tells what this host allows, what is missing, and how to get it
    #[command(
        after_help = "Exit status: 0 where every check passes or warns, 1 where one fails.\n\n\
        Examples:\n  \
        goroscope doctor\n  \
        goroscope doctor --cri-socket /run/crio/crio.sock\n  \
        goroscope doctor --output json"
    )]
    Doctor(DoctorArgs),
    /// Prints a script that completes the command line
    #[command(after_help = "Examples:\n  \
        goroscope completions bash > /etc/bash_completion.d/goroscope\n  \
        goroscope completions zsh > \"${fpath[1]}/_goroscope\"")]
    Completions {
        /// The shell it is for
        shell: Shell,
    },
    /// Prints the man page, or writes those of all commands to a folder
    #[command(after_help = "Examples:\n  \
        goroscope man | man -l -\n  \
        goroscope man /usr/local/share/man/man1")]
    Man {
        /// Folder for the pages of all commands
        folder: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(super) struct AgentArgs {
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    #[command(flatten)]
    pub(super) names: NamesArgs,
    #[command(flatten)]
    pub(super) daemon: DaemonArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "The daemon")]
pub(super) struct DaemonArgs {
    /// Where to serve HTTP: HOST:PORT or unix:PATH; repeatable [default: 127.0.0.1:4676]
    #[arg(
        long,
        value_name = "ADDR",
        value_delimiter = ',',
        env = "GOROSCOPE_LISTEN",
        hide_env_values = true
    )]
    pub(super) listen: Vec<Text>,
    /// Name of this host, in alerts and what is pushed by OTLP; in a pod the host's name is the pod's
    /// [default: the host's name]
    #[arg(long, value_name = "NAME", env = "GOROSCOPE_NODE_NAME", hide_env_values = true)]
    pub(super) node_name: Option<Text>,
    /// Whether to attach uprobes [default: auto]
    #[arg(long, value_name = "MODE", env = "GOROSCOPE_PROBES", hide_env_values = true)]
    pub(super) probes: Option<Probes>,
    /// With --probes auto: share of one core that the uprobes may cost a process; over it they are
    /// taken off, and come back when it can be afforded [default: 1%]
    #[arg(long, value_name = "SHARE", env = "GOROSCOPE_PROBE_BUDGET", hide_env_values = true)]
    pub(super) probe_budget: Option<Share>,
    /// Share of one core that the agent may use to look at every goroutine of the watched
    /// processes; the more there are, the rarer it does [default: 1%]
    #[arg(
        long,
        value_name = "SHARE",
        env = "GOROSCOPE_GOROUTINE_SCAN_BUDGET",
        hide_env_values = true
    )]
    pub(super) goroutine_scan_budget: Option<Share>,
    /// Creation sites of a process with series of their own; the rest is summed up as "other"
    /// [default: 50]
    #[arg(long, value_name = "K", env = "GOROSCOPE_TOP_SITES", hide_env_values = true)]
    pub(super) top_sites: Option<TopSites>,
    /// Processes watched at once [default: 4096]
    #[arg(long, value_name = "N", env = "GOROSCOPE_MAX_PROCESSES", hide_env_values = true)]
    pub(super) max_processes: Option<MaxProcesses>,
    /// Creation sites counted at once, of all processes together [default: 32768]
    #[arg(long, value_name = "N", env = "GOROSCOPE_MAX_SITES", hide_env_values = true)]
    pub(super) max_sites: Option<MaxSites>,
    /// Time between two looks at all processes; starts and ends are seen at once [default: 10s]
    #[arg(long, value_name = "TIME", env = "GOROSCOPE_SCAN_INTERVAL", hide_env_values = true)]
    pub(super) scan_interval: Option<Interval>,
    #[command(flatten)]
    pub(super) http: HttpArgs,
    /// Alertmanager that alerts are pushed to: http://HOST:PORT or https://HOST:PORT; repeatable.
    /// Of what, TLS and authentication: key "alerts" of the configuration file [default: none]
    #[arg(
        long,
        value_name = "URL",
        value_delimiter = ',',
        env = "GOROSCOPE_ALERTMANAGER",
        hide_env_values = true
    )]
    pub(super) alertmanager: Vec<Address>,
    #[command(flatten)]
    pub(super) otlp: OtlpArgs,
}

#[derive(Debug, Args)]
pub(super) struct PsArgs {
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    #[command(flatten)]
    pub(super) names: NamesArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Form of the output [default: table]
    #[arg(short, long, value_name = "FORM", env = "GOROSCOPE_OUTPUT", hide_env_values = true)]
    pub(super) output: Option<Output>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "The gate")]
pub(super) struct CheckArgs {
    /// Watch this process instead of a command
    #[arg(long, value_name = "PID", env = "GOROSCOPE_PID", hide_env_values = true)]
    pub(super) pid: Option<PidValue>,
    /// How long to watch it; Ctrl-C judges by what was seen [default: 30s]
    #[arg(
        id = "for",
        long = "for",
        value_name = "TIME",
        env = "GOROSCOPE_FOR",
        hide_env_values = true
    )]
    pub(super) lasting: Option<Interval>,
    /// Goroutines that are blocked and have not run for so long are settled [default: 500ms]
    #[arg(long, value_name = "TIME", env = "GOROSCOPE_SETTLE", hide_env_values = true)]
    pub(super) settle: Option<Settle>,
    /// Goroutines that may stay: a glob for the function with the go statement, or the function
    /// started; repeatable
    #[arg(long, value_name = "PATTERN", env = "GOROSCOPE_ALLOW", hide_env_values = true)]
    pub(super) allow: Vec<Text>,
    /// Count every goroutine that is settled at the last look, also those that wait for work
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        env = "GOROSCOPE_STRICT",
        hide_env_values = true
    )]
    pub(super) strict: Option<bool>,
    /// Judge the goroutines also where the command itself fails
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        env = "GOROSCOPE_IGNORE_EXIT",
        hide_env_values = true
    )]
    pub(super) ignore_exit: Option<bool>,
    /// Form of the report [default: table]
    #[arg(short, long, value_name = "FORM", env = "GOROSCOPE_OUTPUT", hide_env_values = true)]
    pub(super) output: Option<ReportForm>,
    /// Write the report to this file, and leave the output to the command
    #[arg(long, value_name = "FILE", env = "GOROSCOPE_REPORT", hide_env_values = true)]
    pub(super) report: Option<PathBuf>,
    /// The command and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

impl Cli {
    /// From the command line and the environment.
    pub(super) fn read() -> Result<Self, clap::Error> {
        Self::from_matches(&Self::command().try_get_matches()?)
    }

    pub(super) fn from_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut cli = Self::from_arg_matches(matches)?;
        if let Some((_, matches)) = matches.subcommand() {
            match &mut cli.command {
                Command::Check(args) => args.settle_sources(matches)?,
                Command::Agent(args) => args.daemon.otlp.settle_sources(matches),
                Command::Dump(args) => args.settle_sources(matches),
                Command::Diff(args) => args.settle_sources(matches)?,
                _ => {}
            }
        }
        let selection = match &mut cli.command {
            Command::Agent(args) => Some(&mut args.selection),
            Command::Ps(args) => Some(&mut args.selection),
            Command::Top(args) => Some(&mut args.selection),
            _ => None,
        };
        if let (Some(selection), Some((_, matches))) = (selection, matches.subcommand()) {
            for (id, values) in [
                ("exe", &mut selection.exe),
                ("cgroup", &mut selection.cgroup),
                ("exclude_exe", &mut selection.exclude_exe),
                ("exclude_cgroup", &mut selection.exclude_cgroup),
            ] {
                // An environment variable holds a list, an option one value with all its commas.
                if matches.value_source(id) == Some(ValueSource::EnvVariable) {
                    *values = values.iter().flat_map(|text| split(&text.0)).collect();
                }
            }
        }
        Ok(cli)
    }

    /// Two things were said that exclude one another.
    pub(super) fn conflict(words: &str) -> clap::Error {
        Self::command().error(ErrorKind::ArgumentConflict, words)
    }
}

impl CheckArgs {
    /// A command is closer than the environment's process, and an environment variable holds a list.
    fn settle_sources(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        if matches.value_source("allow") == Some(ValueSource::EnvVariable) {
            self.allow = self.allow.iter().flat_map(|text| split(&text.0)).collect();
        }
        if !self.command.is_empty() && self.pid.is_some() {
            if matches.value_source("pid") == Some(ValueSource::CommandLine) {
                let words = "give either --pid or a command, not both";
                return Err(Cli::conflict(words));
            }
            self.pid = None;
        }
        Ok(())
    }
}

/// At commas, but for those within braces, which are part of a glob.
pub(super) fn split(list: &str) -> Vec<Text> {
    let mut depth = 0_usize;
    let parts = list.split(|c| {
        match c {
            '{' => depth = depth.saturating_add(1),
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    let parts = parts.map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| Text(part.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_agree_with_one_another() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_has_a_variable_of_its_name() {
        for command in Cli::command().get_subcommands() {
            let prefix = match command.get_name() {
                "agent" | "ps" | "top" | "check" | "doctor" => "GOROSCOPE_".to_owned(),
                // Their options have names that mean something else elsewhere.
                one @ ("dump" | "diff" | "trace") => format!("GOROSCOPE_{}_", one.to_uppercase()),
                _ => continue,
            };
            for argument in command
                .get_arguments()
                .filter(|argument| argument.get_id() != "help" && !argument.is_positional())
            {
                let name = argument.get_long().unwrap().replace('-', "_").to_uppercase();
                let variable = argument.get_env().and_then(|name| name.to_str());
                assert_eq!(variable, Some(format!("{prefix}{name}").as_str()));
            }
        }
    }

    #[test]
    fn commands_have_examples() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:\n  goroscope "), "{}", command.get_name());
        }
    }

    #[test]
    fn lists_in_variables() {
        let texts = |list| split(list).into_iter().map(|text| text.0).collect::<Vec<_>>();
        assert_eq!(texts("/a, /b/{c,d},,/e"), ["/a", "/b/{c,d}", "/e"]);
        assert_eq!(texts("}a,b"), ["}a", "b"]);
        assert_eq!(texts(""), Vec::<String>::new());
    }

    #[test]
    fn repeated_options() {
        let cli = Cli::try_parse_from([
            "goroscope",
            "agent",
            "--pid",
            "1",
            "--pid",
            "2,3",
            "--exe",
            "/a,b",
            "--exe",
            "/c",
            "-vv",
            "--listen",
            "unix:/x",
            "--listen",
            "127.0.0.1:1",
        ])
        .unwrap();
        let Command::Agent(args) = cli.command else { panic!("not agent") };
        assert_eq!(args.selection.pid.len(), 3);
        assert_eq!(args.selection.exe, [Text("/a,b".into()), Text("/c".into())]);
        assert_eq!(args.daemon.listen.len(), 2);
        assert_eq!(cli.global.verbose, 2);
    }
}
