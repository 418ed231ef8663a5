//! The help: keys, columns, and what does not work here.

use super::{frames::scrolled, theme::Theme};
use crate::show::top::{hits::Hits, name, state::State};
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};

/// Columns of keys and names.
const LABEL: usize = 16;

const KEYS: &[(&str, &str)] = &[
    (
        "Up Down j k",
        "select; PageUp, PageDown, Home, End; mouse wheel (with Shift the mouse selects text)",
    ),
    ("Enter", "into what is selected: its creation sites, their stacks, one stack; second click"),
    ("Esc Backspace", "out again, or drop the filter; right click"),
    ("< > Left Right", "sort by the next column; or click on its head"),
    ("r", "sort the other way round"),
    ("/", "filter: what contains a text, in any of its names; \"confirmed\" finds leaks"),
    ("Space", "stand still, and go on"),
    ("a", "sites: with the runtime's own goroutines; stacks: of the whole process"),
    ("d", "stacks: look again"),
    ("? h", "this help"),
    ("q Ctrl-C", "end"),
];

const COLUMNS: &[(&str, &str)] = &[
    (
        "LEAK",
        "suspected: goroutines of a site grow, do not end, do not run and wait for others; \
              confirmed: that has held",
    ),
    ("GOROUT LIVE", "goroutines alive, as runtime.NumGoroutine() has it"),
    ("GROWTH/s", "how many more there are each second, over ten seconds"),
    ("BORN/s DIED/s", "births and ends each second; by site they need probes"),
    (
        "GO p50 p99",
        "how long goroutines that could run waited in Go's own queue, this interval: \
                    long while CPU is short means too small a GOMAXPROCS, or goroutines that do not yield",
    ),
    (
        "CPU p50 p99",
        "how long threads waited for a CPU, this interval: long means that the host is \
                     busy, or the CPU limit is reached",
    ),
    ("WAIT", "how long the goroutine that waits longest has waited; noted at collections"),
    ("STACKS", "memory of the goroutines' stacks"),
];

/// Draws it over the list.
pub(super) fn draw(state: &State, theme: &Theme, area: Rect, buffer: &mut Buffer) -> Hits {
    let width = usize::from(area.width);
    let mut lines = Vec::new();
    if !state.limits.is_empty() {
        lines.push(Line::styled("What does not work here", theme.strong()));
        for limit in &state.limits {
            for part in name::wrapped(&name::harmless(limit), width) {
                lines.push(Line::styled(part, theme.doubtful()));
            }
        }
        lines.push(Line::raw("`goroscope doctor` tells what is missing."));
        lines.push(Line::default());
    }
    for (title, entries) in [("Keys", KEYS), ("Columns", COLUMNS)] {
        lines.push(Line::styled(title, theme.strong()));
        for (label, words) in entries {
            let parts = name::wrapped(words, width.saturating_sub(LABEL));
            for (number, part) in parts.into_iter().enumerate() {
                let label = if number == 0 { label } else { "" };
                let label = Span::styled(format!("{label:LABEL$}"), theme.strong());
                lines.push(Line::from(vec![label, Span::raw(part)]));
            }
        }
        lines.push(Line::default());
    }
    scrolled(&lines, state.scrolled, area, buffer)
}
