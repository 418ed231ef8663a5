//! `goroscope agent`

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use tracing::level_filters::LevelFilter;

use super::{
    args::{AgentArgs, Global},
    config::Config,
    doctor::table,
    failure::Failure,
    logging::{self, Log, Usual},
    settings::{self, LogSettings},
};
use crate::{
    doctor::{self, Host, Memory, Report},
    otlp::OtlpError,
    push::TlsError,
    run::{Fresh, HandOverError, settings::AgentSettings},
    serve::{WebError, listen::ListenError},
    show::paint::Paint,
};

/// What the user asked for, beside the configuration file.
pub(super) struct Asked {
    pub(super) global: Global,
    pub(super) args: Box<AgentArgs>,
    pub(super) log: Log,
}

impl Asked {
    fn log(&self, config: &Config) -> (LogSettings, LevelFilter) {
        let settings = settings::log(&self.global, config);
        (settings, logging::level(settings.verbosity, Usual::Info))
    }

    fn settings(&self, config: &Config) -> Result<AgentSettings, Failure> {
        let (_, level) = self.log(config);
        settings::agent(&self.args, config, level >= LevelFilter::TRACE)
    }

    /// Reads the file again, with what stands above it; `before` is the log as it began.
    fn again(&self, before: (LogSettings, LevelFilter)) -> anyhow::Result<Fresh> {
        let file = self.global.config.as_deref();
        let config = file.map(Config::read).transpose()?.unwrap_or_default();
        let settings = self.settings(&config)?;
        let (log, level) = self.log(&config);
        let mut kept = Vec::new();
        if log.format != before.0.format {
            kept.push("log_format");
        }
        if settings.kernel_diagnostics && before.1 < LevelFilter::TRACE {
            kept.push("verbose");
        }
        let handle = self.log.clone();
        Ok(Fresh { settings, kept, taken: Box::new(move || handle.set(level)) })
    }
}

pub(super) fn run(config: &Config, asked: Asked) -> anyhow::Result<ExitCode> {
    let settings = asked.settings(config)?;
    let begun = asked.log(config);
    let report = doctor::run(&Host::this());
    if report.nothing_works() {
        io::stderr().lock().write_all(table(&report, Paint::on(&io::stderr())).as_bytes())?;
        let failure = Failure::new(
            "nothing of what the agent does works here: neither eBPF nor the memory of other \
             processes is open to it",
        );
        return Err(failure
            .hint("run it as root; the checks above name what else is missing")
            .into());
    }
    match report.memory {
        Memory::Own => tracing::warn!(
            "without root or CAP_SYS_PTRACE only processes of this user are watched; `goroscope \
             doctor` tells what else is missing"
        ),
        Memory::Closed => tracing::warn!(
            "no other process's memory can be read: `goroscope doctor` tells why, and what to do"
        ),
        Memory::All if !report.files => tracing::warn!(
            "without root or CAP_DAC_READ_SEARCH programs are not watched whose executable only \
             its owner may read"
        ),
        Memory::All => {}
    }
    match crate::run::agent(&settings, Box::new(move || asked.again(begun))) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // Errors that have nothing to do with what the host permits.
        Err(error)
            if error.is::<ListenError>()
                || error.is::<HandOverError>()
                || error.is::<TlsError>()
                || error.is::<OtlpError>() =>
        {
            Err(error)
        }
        Err(error) if error.is::<WebError>() => {
            let hint = error.downcast_ref().map_or("", WebError::hint);
            Err(Failure::usage(format!("{error:#}")).hint(hint).into())
        }
        Err(error) => Err(match hint(&report) {
            Some(hint) => Failure::new(format!("{error:#}")).hint(hint).into(),
            None => error,
        }),
    }
}

/// What to do where some processes are out of reach.
pub(super) fn hint(report: &Report) -> Option<&'static str> {
    if report.memory != Memory::All {
        return Some(
            "processes of other users are only for root, and those with CAP_SYS_PTRACE; \
             `goroscope doctor` tells what else is missing",
        );
    }
    (!report.files).then_some(
        "executables that only their owner may read are only for root, and those with \
         CAP_DAC_READ_SEARCH; `goroscope doctor` tells what else is missing",
    )
}
