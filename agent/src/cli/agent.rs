//! `goroscope agent`

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use super::{doctor::table, failure::Failure};
use crate::{
    doctor::{self, Host, Memory, Report},
    otlp::OtlpError,
    push::TlsError,
    run::settings::AgentSettings,
    serve::listen::ListenError,
    show::paint::Paint,
};

pub(super) fn run(settings: &AgentSettings) -> anyhow::Result<ExitCode> {
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
    if report.only_own_works() {
        tracing::warn!(
            "without root or CAP_SYS_PTRACE only processes of this user are watched; `goroscope \
             doctor` tells what else is missing"
        );
    }
    match crate::run::agent(settings) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // Errors that have nothing to do with what the host permits.
        Err(error)
            if error.is::<ListenError>() || error.is::<TlsError>() || error.is::<OtlpError>() =>
        {
            Err(error)
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
