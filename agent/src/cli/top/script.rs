//! `--once` and `--output json`: no terminal.

use std::{
    io::{self, Write as _},
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    time::Instant,
};

use super::{Ended, TopSettings};
use crate::{
    cli::value::Output,
    run::watching::Watching,
    show::{
        escape::escape_json,
        table::terminal_width,
        top::{
            picture::{Picture, Tracker},
            script::{IntervalJson, table},
        },
    },
};

/// Prints what one interval brought, or each, until a signal comes or nobody reads.
pub(super) fn run(settings: &TopSettings, mut warnings: Vec<String>) -> Result<(), Ended> {
    let (sender, signals) = mpsc::channel();
    let ending = move || {
        // Who does not hear it has ended.
        let _unheard = sender.send(());
    };
    let watching = Watching::start(&settings.agent, ending)?;
    let asker = watching.asker();
    let mut tracker = Tracker::default();
    let mut next = Instant::now();
    let mut first = true;
    loop {
        let Some(snapshot) = asker.snapshot() else {
            return watching.stop().map_err(Ended::Engine);
        };
        let picture = tracker.take(Arc::clone(&snapshot));
        if first {
            // The beginning took the time it took.
            next = Instant::now();
            warnings.extend(asker.limits().iter().cloned());
            warnings.iter().filter(|_| settings.output == Output::Table).for_each(|warning| {
                tracing::warn!("{warning}");
            });
        } else {
            print(&picture, settings.output, &warnings)?;
            if settings.once {
                break;
            }
        }
        first = false;
        next = (next + settings.interval).max(Instant::now() + settings.interval / 2);
        match signals.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    watching.stop().map_err(Ended::Engine)
}

fn print(picture: &Picture, output: Output, warnings: &[String]) -> anyhow::Result<()> {
    let text = match output {
        Output::Table => table(picture, terminal_width(&io::stdout())),
        Output::Json => {
            escape_json(&serde_json::to_string(&IntervalJson::of(picture, warnings))?) + "\n"
        }
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
