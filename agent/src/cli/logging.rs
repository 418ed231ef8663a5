//! The log, on stderr.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use super::{settings::LogSettings, value::LogFormat};
use crate::show::paint::Paint;

/// What is logged where nothing else is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usual {
    /// A daemon tells what it does.
    Info,
    /// A command tells what is odd.
    Warn,
}

/// The level for so many more or fewer.
pub(super) fn level(verbosity: i16, usual: Usual) -> LevelFilter {
    match (verbosity, usual) {
        (2.., _) => LevelFilter::TRACE,
        (1, _) => LevelFilter::DEBUG,
        (0, Usual::Info) => LevelFilter::INFO,
        (0, Usual::Warn) => LevelFilter::WARN,
        (-1, _) => LevelFilter::ERROR,
        (..=-2, _) => LevelFilter::OFF,
    }
}

/// Begins the log; what libraries write through the crate `log` (aya, and through it the kernel
/// programs) is part of it.
pub(super) fn start(settings: LogSettings, level: LevelFilter) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(Paint::on(&io::stderr()).is_on());
    // What these have to tell is about themselves.
    let chatty = ["globset", "hyper", "hyper_util", "mio", "tokio", "axum"];
    let filter = Targets::new()
        .with_default(level)
        .with_targets(chatty.map(|target| (target, level.min(LevelFilter::WARN))));
    let lines = match settings.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    // It fails where there is a log already, which is then as good.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        assert_eq!(level(0, Usual::Info), LevelFilter::INFO);
        assert_eq!(level(0, Usual::Warn), LevelFilter::WARN);
        assert_eq!(level(1, Usual::Warn), LevelFilter::DEBUG);
        assert_eq!(level(9, Usual::Info), LevelFilter::TRACE);
        assert_eq!(level(-1, Usual::Info), LevelFilter::ERROR);
        assert_eq!(level(-5, Usual::Info), LevelFilter::OFF);
    }
}
