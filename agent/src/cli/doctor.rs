//! `goroscope doctor`

mod naming;

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Args;

use super::{args::OutputArgs, names::NamesArgs, value::Output};
use crate::{
    doctor::{self, Host, Report, Verdict},
    names::settings::NamesSettings,
    show::{
        escape::{NAME_LIMIT, escape, escape_json},
        paint::{Colour, Paint},
    },
};

/// The options.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    pub(super) names: NamesArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

pub(super) fn run(names: &NamesSettings, output: Output) -> anyhow::Result<ExitCode> {
    let mut report = doctor::run(&Host::this());
    report.checks.push(naming::check(names));
    let text = match output {
        Output::Table => table(&report, Paint::on(&io::stdout())),
        Output::Json => escape_json(&serde_json::to_string_pretty(&report.checks)?) + "\n",
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(if report.has_failures() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A line for each check, and one for its way out.
pub(super) fn table(report: &Report, paint: Paint) -> String {
    let width = report.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in &report.checks {
        let colour = match check.verdict {
            Verdict::Pass => Colour::Green,
            Verdict::Warn => Colour::Yellow,
            Verdict::Fail => Colour::Red,
        };
        let verdict = paint.paint(colour, &check.verdict.to_string());
        let (name, found) = (check.name, escape(&check.found, NAME_LIMIT));
        // Writing to a string does not fail.
        let _ = writeln!(text, "{verdict}  {name:width$}  {found}: {}", check.meaning);
        if let Some(remedy) = &check.remedy {
            let _ = writeln!(text, "      {:width$}  -> {remedy}", "");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{Check, Memory};

    fn report() -> Report {
        let check = |name, verdict, found: &str, remedy: Option<&str>| Check {
            name,
            verdict,
            found: found.to_owned(),
            meaning: "it means this".to_owned(),
            remedy: remedy.map(str::to_owned),
        };
        let checks = vec![
            check("one", Verdict::Pass, "good", None),
            check("three", Verdict::Fail, "\x1b[2Jbad", Some("do that")),
        ];
        Report { checks, bpf: true, memory: Memory::All, files: true }
    }

    #[test]
    fn plain() {
        let paint = Paint::on(&tempfile::tempfile().unwrap().as_terminal());
        assert_eq!(
            table(&report(), paint),
            "pass  one    good: it means this\n\
             fail  three  \\u{1b}[2Jbad: it means this\n             -> do that\n"
        );
    }

    /// A file, which is no terminal.
    trait AsTerminal {
        fn as_terminal(&self) -> std::os::fd::BorrowedFd<'_>;
    }

    impl AsTerminal for std::fs::File {
        fn as_terminal(&self) -> std::os::fd::BorrowedFd<'_> {
            std::os::fd::AsFd::as_fd(self)
        }
    }
}
