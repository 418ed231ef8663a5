//! `goroscope agent`

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use super::{doctor::table, failure::Failure};
use crate::{
    doctor::{self, Host},
    run::settings::AgentSettings,
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
    crate::run::agent(settings)?;
    Ok(ExitCode::SUCCESS)
}
