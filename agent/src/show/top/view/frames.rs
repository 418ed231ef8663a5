//! A stack, call by call.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
    widgets::Widget as _,
};

use super::theme::Theme;
use crate::{
    model::dump::Place,
    show::top::{hits::Hits, name, stacks::Group, state::State, units},
};

/// Lines of a stack that are shown at most.
const MOST: usize = 10_000;

/// One stack in the whole area.
pub(super) fn draw(
    state: &State,
    index: usize,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) -> Hits {
    let Some(group) = state.grouped.groups.get(index) else { return Hits::default() };
    let width = usize::from(area.width);
    let waits = group.longest_wait.map(|wait| format!(", longest {}", units::seconds(wait)));
    let title = format!(
        "{}, {}{}, as goroutine {}",
        units::several(group.count, "goroutine"),
        name::harmless(&group.doing),
        waits.unwrap_or_default(),
        group.goid
    );
    let title = Line::styled(name::shorten(&title, width), theme.strong());
    let lines: Vec<Line<'_>> = std::iter::once(title).chain(lines(group, width, theme)).collect();
    scrolled(&lines, state.scrolled, area, buffer)
}

/// Draws lines from one on, as far as there is something to see.
pub(super) fn scrolled(lines: &[Line<'_>], first: usize, area: Rect, buffer: &mut Buffer) -> Hits {
    let first = first.min(lines.len().saturating_sub(area.height.into()));
    for (line, row) in lines.iter().skip(first).zip(area.rows()) {
        line.render(row, buffer);
    }
    Hits { lines: area.y..area.bottom(), first, ..Hits::default() }
}

/// The calls of a stack as Go's own dump has them, the innermost first.
pub(super) fn lines(group: &Group, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for frame in group.stack.iter().take(MOST) {
        let inlined = if frame.inlined { " (inlined)" } else { "" };
        lines.extend(call("", &frame.place, inlined, width, theme));
    }
    if group.stack.is_empty() {
        let why = if group.torn { "it ran whenever it was looked at" } else { "no stack is known" };
        lines.push(Line::styled(why, theme.faint()));
    }
    if group.truncated {
        lines.push(Line::styled("… the stack goes on", theme.faint()));
    }
    if let Some(place) = &group.created_by {
        lines.extend(call("created by ", place, "", width, theme));
    }
    lines
}

fn call(
    before: &str,
    place: &Place,
    behind: &str,
    width: usize,
    theme: &Theme,
) -> [Line<'static>; 2] {
    let room = width.saturating_sub(before.len()).saturating_sub(behind.len());
    let function = name::shorten(&name::harmless(&place.function), room);
    let function = vec![
        Span::styled(before.to_owned(), theme.faint()),
        Span::raw(function),
        Span::styled(behind.to_owned(), theme.faint()),
    ];
    let file = format!("{}:{}", name::harmless(&place.file), place.line);
    let file = name::shorten(&file, width.saturating_sub(4));
    [Line::from(function), Line::styled(format!("    {file}"), theme.faint())]
}
