//! The commands.

use std::process::ExitCode;

mod value;
mod failure;
mod alerts;
mod http;
mod otlp;
mod config;
mod selection;
mod names;
mod args;
mod settings;
mod logging;
mod target;

mod agent;
mod ps;
mod top;
mod check;
mod dump;
mod diff;
mod trace;
mod doctor;
mod generate;

#[cfg(test)]
mod shipped;

use self::{
    agent::Asked,
    args::{Cli, Command},
    config::Config,
    logging::Usual,
};

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => {
            // Where nobody reads there is nobody to tell.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    run(cli).unwrap_or_else(|error| failure::report(&error))
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let config = cli.global.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
    let log_settings = settings::log(&cli.global, &config);
    let usual = match &cli.command {
        Command::Agent(_) => Usual::Info,
        Command::Top(_) => Usual::Shown,
        _ => Usual::Warn,
    };
    let level = logging::level(log_settings.verbosity, usual);
    let log = logging::start(log_settings, level, usual);
    match cli.command {
        Command::Agent(args) => agent::run(&config, Asked { global: cli.global, args, log }),
        Command::Ps(args) => ps::run(
            &settings::selection(&args.selection, &config)?,
            &args.names.settings(&config)?,
            settings::output(&args.output, &config),
        ),
        Command::Top(args) => {
            let settings = settings::top(&args, &config)?;
            if settings.is_live() {
                log.held.hold();
            }
            top::run(&settings, &log.held)
        }
        Command::Check(args) => check::run(&settings::check(&args, &config)?),
        Command::Dump(args) => dump::run(&args.or(config.dump)),
        Command::Diff(args) => diff::run(&args.or(config.diff)),
        Command::Trace(args) => trace::run(&settings::trace(&args.or(config.trace))),
        Command::Doctor(args) => {
            doctor::run(&args.names.settings(&config)?, settings::output(&args.output, &config))
        }
        Command::Completions { shell } => {
            generate::completions(shell)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { folder } => {
            generate::man(folder.as_deref())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
