//! Draws the state.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Text},
    widgets::{Paragraph, Widget as _, Wrap},
};

pub mod theme;
pub(super) mod spark;
pub(super) mod cells;
mod table;
mod border;
mod detail;
mod frames;
mod help;

use self::{cells::Cell, table::Table, theme::Theme};
use super::{
    columns::Column,
    hits::Hits,
    picture::Picture,
    state::{Dumped, Level, State},
};
use crate::model::watch::Watch;

/// Lines that the details take, where there is room for them.
const DETAILS: u16 = 6;
/// Lines that the list keeps.
const LEAST_LIST: u16 = 9;

/// Draws everything; tells what is where.
pub fn draw(frame: &mut Frame<'_>, state: &State, theme: &Theme) -> Hits {
    let area = frame.area();
    let warnings = u16::from(!state.limits.is_empty());
    let parts = Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(0),
        Constraint::Length(warnings),
        Constraint::Length(1),
    ]);
    let [head, body, warning, foot] = parts.areas(area);
    border::head(state, theme, head, frame.buffer_mut());
    border::warning(state, theme, warning, frame.buffer_mut());
    border::foot(state, theme, foot, frame.buffer_mut());
    let hits = if state.help {
        help::draw(state, theme, body, frame.buffer_mut())
    } else {
        content(frame, state, theme, body)
    };
    if state.typing {
        frame.set_cursor_position(border::cursor(state, foot));
    }
    theme.reduce(frame.buffer_mut());
    hits
}

fn content(frame: &mut Frame<'_>, state: &State, theme: &Theme, area: Rect) -> Hits {
    let Some(picture) = state.picture() else {
        return empty(frame, area, "Looking at all processes …", "");
    };
    if let Level::Frames(_, _, index) = state.level {
        return frames::draw(state, index, theme, area, frame.buffer_mut());
    }
    let order = state.order();
    if order.is_empty() {
        let (what, why) = nothing(state, picture);
        return empty(frame, area, &what, &why);
    }
    let details = match state.level {
        Level::Stacks(..) => area.height / 2,
        Level::Sites(_) => {
            DETAILS.saturating_add(3).saturating_add(area.height.saturating_sub(30) / 4)
        }
        _ => DETAILS.saturating_add(area.height.saturating_sub(30) / 4),
    };
    let details = if area.height >= LEAST_LIST + DETAILS { details } else { 0 };
    let [list, below] =
        Layout::vertical([Constraint::Min(0), Constraint::Length(details)]).areas(area);
    let selected = state.position(&order);
    let (first, sort) = match state.level {
        Level::Processes => (state.processes.first, state.processes.sort),
        Level::Sites(_) => (state.sites.first, state.sites.sort),
        Level::Stacks(..) | Level::Frames(..) => (state.stacks.first, state.stacks.sort),
    };
    let table = Table { specs: state.specs(), sort, rows: order.len(), selected, first, theme };
    let cell = |row: usize, column, width| {
        let cell =
            order.get(row).and_then(|index| cell(state, picture, *index, column, width, theme));
        cell.unwrap_or(Cell { text: String::new(), style: theme.faint() })
    };
    let hits = table.draw(list, frame.buffer_mut(), cell);
    if let Some(index) = order.get(selected).filter(|_| below.height > 0) {
        detail::draw(state, picture, *index, theme, below, frame.buffer_mut());
    }
    hits
}

fn cell(
    state: &State,
    picture: &Picture,
    index: usize,
    column: Column,
    width: usize,
    theme: &Theme,
) -> Option<Cell> {
    Some(match &state.level {
        Level::Processes => {
            let row = (picture.snapshot.processes.get(index)?, picture.figures.get(index)?);
            cells::of_process(column, width, row, theme)
        }
        Level::Sites(id) => {
            let (process, figures) = picture.process(*id)?;
            let row = (process.sites.get(index)?, figures.sites.get(index)?);
            cells::of_site(column, width, process, row, theme)
        }
        Level::Stacks(..) | Level::Frames(..) => {
            cells::of_group(column, width, state.grouped.groups.get(index)?, theme)
        }
    })
}

/// Why the list is empty: what, and what to do.
fn nothing(state: &State, picture: &Picture) -> (String, String) {
    let filter = state.filter_text();
    let filtered = || {
        let what = format!("Nothing here contains \"{}\".", super::name::harmless(filter));
        (what, "Esc drops the filter.".to_owned())
    };
    match &state.level {
        Level::Processes if !picture.snapshot.processes.is_empty() => filtered(),
        Level::Processes => (
            "No Go process in sight.".to_owned(),
            "It appears here as soon as one starts. `goroscope ps` tells of processes that cannot be \
             looked at."
                .to_owned(),
        ),
        Level::Sites(id) => match picture.process(*id) {
            None => ("The process has ended.".to_owned(), "Esc goes back.".to_owned()),
            Some((process, _)) if process.sites.iter().any(|site| state.system || !site.system) => {
                filtered()
            }
            Some((process, _)) => {
                let why = match &process.watch.runtime {
                    Watch::Ok | Watch::Off => "its goroutines have not been looked at yet".to_owned(),
                    watch => super::name::harmless(watch.as_str()),
                };
                ("No creation sites are known.".to_owned(), format!("Of this process: {why}."))
            }
        },
        Level::Stacks(..) | Level::Frames(..) => match &state.dumped {
            Dumped::Not | Dumped::Taking(_) => ("Reading the stacks …".to_owned(), String::new()),
            Dumped::Failed(_, reason) => (
                "The stacks could not be read.".to_owned(),
                super::name::harmless(reason),
            ),
            Dumped::Taken(..) if !filter.is_empty() => filtered(),
            Dumped::Taken(..) => (
                "No goroutine of this creation site is alive.".to_owned(),
                "a shows those of the whole process, d looks again.".to_owned(),
            ),
        },
    }
}

/// A sentence or two in the middle.
fn empty(frame: &mut Frame<'_>, area: Rect, what: &str, why: &str) -> Hits {
    let above = Rect { y: area.y.saturating_add(area.height / 3), ..area };
    let text = Text::from(vec![Line::from(what), Line::default(), Line::from(why)]);
    let middle = above.intersection(area);
    Paragraph::new(text).centered().wrap(Wrap { trim: true }).render(middle, frame.buffer_mut());
    Hits::default()
}
