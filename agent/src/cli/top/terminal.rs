//! The terminal: taken, and given back whatever happens.

use std::{
    env,
    io::{self, IsTerminal as _, Stdout},
    panic,
    sync::atomic::{AtomicBool, Ordering},
};

use jiff::tz::TimeZone;
use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::Show,
        execute,
        style::Print,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
};

use crate::{
    cli::failure::Failure,
    show::{paint::Paint, top::view::theme::Theme},
};

/// The terminal tells of buttons and of the wheel, and not of each move, which would be a flood over
/// ssh: <https://invisible-island.net/xterm/ctlseqs/ctlseqs.html#h2-Mouse-Tracking>.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";

/// Is it ours now?
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal while it is ours; given back when this is dropped.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

/// Whether there is a terminal that can be drawn on.
pub(super) fn check() -> Result<(), Failure> {
    let hint = "`goroscope top --once` prints one table, `--output json` an object each interval";
    for (what, is_terminal) in
        [("output", io::stdout().is_terminal()), ("input", io::stdin().is_terminal())]
    {
        if !is_terminal {
            let failure = format!("top needs a terminal, and its standard {what} is none");
            return Err(Failure::new(failure).hint(hint));
        }
    }
    if env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return Err(Failure::new("top cannot draw on this terminal (TERM is \"dumb\")").hint(hint));
    }
    Ok(())
}

/// What the terminal can show, by the environment.
pub(super) fn theme() -> Theme {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(env::var_os);
    let locale = locale.map(|value| value.to_string_lossy().to_lowercase());
    let locale = locale.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
    Theme {
        colour: Paint::on(&io::stdout()).is_on(),
        unicode: locale.contains("utf-8") || locale.contains("utf8"),
        zone: TimeZone::system(),
    }
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    ///
    /// Where it cannot be had; it is as it was then.
    pub(super) fn take() -> io::Result<Self> {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            // So that the words are seen, and the shell behind it can be used.
            give_back();
            before(what);
        }));
        TAKEN.store(true, Ordering::SeqCst);
        let took = || {
            enable_raw_mode()?;
            execute!(io::stdout(), EnterAlternateScreen, Print(MOUSE_ON))?;
            Terminal::new(CrosstermBackend::new(io::stdout()))
        };
        let terminal = took().inspect_err(|_| give_back())?;
        Ok(Self { terminal })
    }

    /// A thread that panicked gives it back.
    pub(super) fn is_ours(&self) -> bool {
        TAKEN.load(Ordering::SeqCst)
    }

    /// To draw on.
    pub(super) fn terminal(&mut self) -> &mut Terminal<CrosstermBackend<Stdout>> {
        &mut self.terminal
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, if it is ours.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Where it is gone already there is nothing to give back.
        let _ = execute!(io::stdout(), Print(MOUSE_OFF), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}
