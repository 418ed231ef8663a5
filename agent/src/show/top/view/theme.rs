//! Colours and signs, as far as the terminal has them. Nothing is told by colour alone.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use ratatui::{
    buffer::Buffer,
    style::{Color, Modifier, Style},
};
use unicode_width::UnicodeWidthStr as _;

/// What the terminal can do, and where it stands.
#[derive(Clone, Debug)]
pub struct Theme {
    /// Colours of the terminal's own palette.
    pub colour: bool,
    /// Letters beyond ASCII.
    pub unicode: bool,
    /// In which times are told.
    pub zone: TimeZone,
}

impl Theme {
    /// What matters.
    #[must_use]
    pub fn strong(&self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What matters less.
    #[must_use]
    pub fn faint(&self) -> Style {
        if self.colour { Style::new().fg(Color::DarkGray) } else { Style::new() }
    }

    /// The heads of columns.
    #[must_use]
    pub fn head(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The row that is selected.
    #[must_use]
    pub fn selected(&self) -> Style {
        self.strong().add_modifier(Modifier::REVERSED)
    }

    /// Something is wrong.
    #[must_use]
    pub fn bad(&self) -> Style {
        self.of(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Something may be wrong.
    #[must_use]
    pub fn doubtful(&self) -> Style {
        self.of(Color::Yellow)
    }

    /// Curves.
    #[must_use]
    pub fn curve(&self) -> Style {
        self.of(Color::Cyan)
    }

    fn of(&self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    /// The time of the day.
    #[must_use]
    pub fn clock(&self, since_epoch: f64) -> String {
        let time = SignedDuration::try_from_secs_f64(since_epoch).ok();
        let time = time.and_then(|time| Timestamp::from_duration(time).ok());
        let zoned = time.map(|time| time.to_zoned(self.zone.clone()));
        zoned.map(|zoned| zoned.strftime("%H:%M:%S").to_string()).unwrap_or_default()
    }

    /// Brings what was drawn down to what the terminal has.
    pub fn reduce(&self, buffer: &mut Buffer) {
        if self.unicode {
            return;
        }
        for cell in &mut buffer.content {
            let symbol = cell.symbol();
            if symbol.is_ascii() {
                continue;
            }
            let plain = match symbol {
                "▁" => "_",
                "▂" | "▃" => ".",
                "▄" | "▅" => "-",
                "▆" | "▇" => "=",
                "█" => "#",
                "µ" => "u",
                "…" => "~",
                "→" | "›" => ">",
                "·" => "|",
                "─" => "-",
                // One that takes two columns hides the next cell.
                wide if wide.width() > 1 => "??",
                _ => "?",
            };
            cell.set_symbol(plain);
        }
    }
}
