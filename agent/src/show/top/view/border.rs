//! What is above and below the list: where one is, what does not work, which keys there are.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    text::{Line, Span},
    widgets::Widget as _,
};
use unicode_width::UnicodeWidthStr as _;

use super::theme::Theme;
use crate::show::top::{
    name,
    state::{Dumped, Level, State},
    units,
};

const FILTER: &str = "filter: ";
/// From so many columns on there is room for what is nice to know.
const WIDE: u16 = 80;

/// Two lines: the whole, and where one is.
pub(super) fn head(state: &State, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let mut rows = area.rows();
    let (Some(first), Some(second)) = (rows.next(), rows.next()) else { return };
    let clock = state.picture().map(|picture| {
        let every = picture.seconds.filter(|_| first.width >= WIDE);
        let every =
            every.map(|seconds| format!("{} · ", units::seconds((seconds * 10.0).round() / 10.0)));
        format!("{}{}", every.unwrap_or_default(), theme.clock(picture.snapshot.taken_at))
    });
    let clock = clock.unwrap_or_default();
    let right = if state.paused { format!("PAUSED · {clock}") } else { clock };
    let room = usize::from(first.width).saturating_sub(right.width()).saturating_sub(1);
    let [longer, shorter] = [true, false].map(|growth| whole(state, growth));
    let left = [format!("goroscope top{longer}"), format!("goroscope top{shorter}")];
    let left = left.into_iter().find(|left| left.width() <= room);
    let left = left.unwrap_or_else(|| cut(&format!("top{shorter}"), room));
    let blanks =
        usize::from(first.width).saturating_sub(left.width()).saturating_sub(right.width());
    let style = if state.paused { theme.doubtful() } else { theme.faint() };
    let line = vec![
        Span::styled(left, theme.strong()),
        Span::raw(" ".repeat(blanks)),
        Span::styled(right, style),
    ];
    Line::from(line).render(first, buffer);
    Line::from(path(state, second.width.into())).render(second, buffer);
}

/// All processes in a few words.
fn whole(state: &State, with_growth: bool) -> String {
    let Some(picture) = state.picture() else { return String::new() };
    let processes = u64::try_from(picture.snapshot.processes.len()).unwrap_or(u64::MAX);
    let goroutines = picture.processes().filter_map(|(process, _)| process.goroutines());
    let goroutines = goroutines.fold(0_u64, u64::saturating_add);
    let growth: f64 = picture.figures.iter().filter_map(|figures| figures.pace.growth).sum();
    let leaks = picture.processes().map(|(process, _)| process.leaks.len()).sum::<usize>();
    let leaks = u64::try_from(leaks).unwrap_or(u64::MAX);
    let growth = with_growth.then(|| format!(" ({}/s)", units::growth(growth)));
    let leaks = (leaks > 0).then(|| format!(" · {}", units::several(leaks, "leak")));
    format!(
        " · {} · {}{}{}",
        units::several(processes, "process"),
        units::several(goroutines, "goroutine"),
        growth.unwrap_or_default(),
        leaks.unwrap_or_default()
    )
}

/// Where one is.
fn path(state: &State, width: usize) -> String {
    let mut parts = vec!["processes".to_owned()];
    if let Some(id) = state.level.process() {
        let process = state.picture().and_then(|picture| picture.process(id));
        let exe =
            process.map_or_else(String::new, |(process, _)| name::harmless(process.exe_base()));
        parts.push(format!("{} ({})", name::shorten(&exe, 30), id.pid));
    }
    if let Level::Stacks(_, site) | Level::Frames(_, site, _) = &state.level {
        let used: usize = parts.iter().map(|part| part.width() + 3).sum();
        let room = width.saturating_sub(used).saturating_sub(20).max(20);
        parts.push(
            site.as_ref()
                .map_or_else(|| "all goroutines".to_owned(), |site| name::site(site, room)),
        );
        if matches!(state.dumped, Dumped::Taken(..)) {
            let here = &state.grouped;
            let stacks = u64::try_from(here.groups.len()).unwrap_or(u64::MAX);
            parts.push(format!("{} in {}", here.goroutines, units::several(stacks, "stack")));
        }
    }
    let mut path = parts.join(" › ");
    let filter = state.filter_text();
    if !filter.is_empty() && !state.typing {
        path.push_str(&format!("   {FILTER}{}", name::harmless(filter)));
    }
    name::shorten(&path, width)
}

/// What does not work here.
pub(super) fn warning(state: &State, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    let Some(first) = state.limits.first().filter(|_| area.height > 0) else { return };
    let more = state.limits.len().saturating_sub(1);
    let more = if more > 0 { format!(" (and {more} more: ?)") } else { String::new() };
    let width = usize::from(area.width);
    let text = name::harmless(first);
    // The beginning says what; the end is in the help.
    let room = width.saturating_sub(more.width());
    let text = cut(&text, room);
    Line::styled(format!("{text}{more}"), theme.doubtful()).render(area, buffer);
}

fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// The keys; while a filter is typed, that.
pub(super) fn foot(state: &State, theme: &Theme, area: Rect, buffer: &mut Buffer) {
    if state.typing {
        let typed = shown_filter(state, area);
        let hint = "   Enter keeps it, Esc drops it";
        let line = vec![
            Span::styled(FILTER, theme.strong()),
            Span::raw(typed),
            Span::styled(hint, theme.faint()),
        ];
        return Line::from(line).render(area, buffer);
    }
    // The later ones go first where there is no room for all.
    let into = match state.level {
        Level::Processes => Some(("Enter", "sites")),
        Level::Sites(_) => Some(("Enter", "stacks")),
        Level::Stacks(..) => Some(("Enter", "frames")),
        Level::Frames(..) => None,
    };
    let back = (!matches!(state.level, Level::Processes)).then_some(("Esc", "back"));
    let further = match state.level {
        Level::Sites(_) => Some(("a", if state.system { "hide system" } else { "all" })),
        Level::Stacks(_, Some(_)) => Some(("a", "whole process")),
        Level::Stacks(_, None) => Some(("a", "site only")),
        _ => None,
    };
    let again = matches!(state.level, Level::Stacks(..)).then_some(("d", "again"));
    let pause = Some(("Space", if state.paused { "go on" } else { "pause" }));
    let keys = [
        Some(("?", "help")),
        Some(("q", "quit")),
        into,
        back,
        Some(("/", "filter")),
        pause,
        Some(("<>", "sort")),
        Some(("r", "reverse")),
        further,
        again,
    ];
    let mut room = usize::from(area.width);
    let mut spans = Vec::new();
    for (key, what) in keys.into_iter().flatten() {
        let needed = key.width() + what.width() + 3;
        // Two blanks stand between them, not behind the last.
        if needed > room + 2 {
            break;
        }
        room = room.saturating_sub(needed);
        spans.push(Span::styled(key, theme.strong()));
        spans.push(Span::raw(format!(" {what}  ")));
    }
    Line::from(spans).render(area, buffer);
}

/// The end of the filter, where it is too long to be seen.
fn shown_filter(state: &State, area: Rect) -> String {
    let room = usize::from(area.width).saturating_sub(FILTER.width()).saturating_sub(2);
    let text = name::harmless(state.filter_text());
    let length = text.chars().count();
    text.chars().skip(length.saturating_sub(room / 2)).collect()
}

/// Where the next letter of the filter goes.
pub(super) fn cursor(state: &State, area: Rect) -> Position {
    let before = FILTER.width() + shown_filter(state, area).width();
    let x = area.x.saturating_add(u16::try_from(before).unwrap_or(u16::MAX));
    Position { x: x.min(area.right().saturating_sub(1)), y: area.y }
}
