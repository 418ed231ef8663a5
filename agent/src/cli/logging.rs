//! The log, on stderr.

use std::{
    io::{self, IsTerminal as _, Write},
    sync::{Arc, Mutex, PoisonError},
};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer as _, Registry, filter::Targets, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
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
    /// As [`Self::Warn`], and what is found is shown already.
    Shown,
}

/// The level for so many more or fewer.
pub(super) fn level(verbosity: i16, usual: Usual) -> LevelFilter {
    match (verbosity, usual) {
        (2.., _) => LevelFilter::TRACE,
        (1, _) => LevelFilter::DEBUG,
        (0, Usual::Info) => LevelFilter::INFO,
        (0, Usual::Warn | Usual::Shown) => LevelFilter::WARN,
        (-1, _) => LevelFilter::ERROR,
        (..=-2, _) => LevelFilter::OFF,
    }
}

/// Begins the log; what libraries write through the crate `log` (aya, and through it the kernel
/// programs) is part of it.
pub(super) fn start(settings: LogSettings, level: LevelFilter, usual: Usual) -> Log {
    let held = Held::default();
    let writer = held.clone();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || writer.clone())
        .with_ansi(Paint::on(&io::stderr()).is_on());
    let (filter, handle) = reload::Layer::new(filter(level, usual));
    let lines = match settings.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    // It fails where there is a log already, which is then as good.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Log { held, filter: handle, usual }
}

fn filter(level: LevelFilter, usual: Usual) -> Targets {
    // What these have to tell is about themselves.
    let chatty = ["globset", "hyper", "hyper_util", "mio", "tokio", "axum"];
    let filter = Targets::new()
        .with_default(level)
        .with_targets(chatty.map(|target| (target, level.min(LevelFilter::WARN))));
    let shown = ["goroscope::run::leaks"].map(|target| (target, LevelFilter::OFF));
    filter.with_targets(shown.into_iter().filter(|_| usual == Usual::Shown))
}

/// The log, once begun.
#[derive(Clone)]
pub(super) struct Log {
    /// The way to stderr.
    pub(super) held: Held,
    filter: reload::Handle<Targets, Registry>,
    usual: Usual,
}

impl Log {
    /// From now on so much is logged.
    pub(super) fn set(&self, level: LevelFilter) {
        // It fails where the log is another's.
        let _ = self.filter.reload(filter(level, self.usual));
        // What libraries write through the crate `log` is held off by a limit of its own.
        log::set_max_level(match level.into_level() {
            None => log::LevelFilter::Off,
            Some(tracing::Level::ERROR) => log::LevelFilter::Error,
            Some(tracing::Level::WARN) => log::LevelFilter::Warn,
            Some(tracing::Level::INFO) => log::LevelFilter::Info,
            Some(tracing::Level::DEBUG) => log::LevelFilter::Debug,
            Some(tracing::Level::TRACE) => log::LevelFilter::Trace,
        });
    }
}

/// Most bytes that are held back.
const MOST_HELD: usize = 1 << 16;

/// The way to stderr, which can be held up while the terminal shows something else.
#[derive(Clone, Default)]
pub(super) struct Held(Arc<Mutex<Option<Vec<u8>>>>);

impl Held {
    /// From now on lines are kept, if stderr is a terminal; when there are too many, the first.
    pub(super) fn hold(&self) {
        if io::stderr().is_terminal() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
        }
    }

    /// Lets go what was kept.
    pub(super) fn release(&self) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Where there is no stderr there is nobody to tell.
        let _ = io::stderr().lock().write_all(&kept.unwrap_or_default());
    }
}

impl Write for Held {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(kept) if kept.len().saturating_add(line.len()) <= MOST_HELD => {
                kept.extend_from_slice(line);
            }
            Some(_) => {}
            None => io::stderr().lock().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
        assert_eq!(level(0, Usual::Shown), LevelFilter::WARN);
        assert_eq!(level(-5, Usual::Info), LevelFilter::OFF);
    }
}
