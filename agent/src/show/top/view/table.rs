//! A list with heads, of which one row is selected.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Widget as _,
};
use unicode_width::UnicodeWidthStr as _;

use super::{cells::Cell, theme::Theme};
use crate::show::top::{
    columns::{Column, GAP, Spec, fit},
    hits::Hits,
    name,
    sort::Sort,
};

/// What is drawn.
pub(super) struct Table<'a> {
    pub(super) specs: &'a [Spec],
    pub(super) sort: Sort,
    /// How many rows there are, which is selected, and which was in the first line.
    pub(super) rows: usize,
    pub(super) selected: usize,
    pub(super) first: usize,
    pub(super) theme: &'a Theme,
}

impl Table<'_> {
    /// Draws it; `cell` gives what is in a row and column, of a width.
    pub(super) fn draw(
        &self,
        area: Rect,
        buffer: &mut Buffer,
        cell: impl Fn(usize, Column, usize) -> Cell,
    ) -> Hits {
        let columns = fit(self.specs, area.width.into());
        let mut columns_at = Vec::new();
        let mut x = area.x;
        let mut heads = Vec::new();
        for (spec, width) in &columns {
            let wide = u16::try_from(*width).unwrap_or(u16::MAX);
            columns_at.push((x..x.saturating_add(wide), spec.column));
            x = x.saturating_add(wide).saturating_add(gap());
            heads.push(self.head(*spec, *width));
        }
        let [heads_area, list] = split(area);
        let style = self.theme.head();
        buffer.set_style(heads_area, style);
        Line::from(heads.join(" ")).style(style).render(heads_area, buffer);

        let height = usize::from(list.height);
        let least = self.selected.saturating_add(1).saturating_sub(height);
        let last = self.rows.saturating_sub(height);
        let first = self.first.clamp(least.min(self.selected), self.selected).min(last);
        for (line, row) in list.rows().zip(first..self.rows) {
            let cells = columns.iter().map(|(spec, width)| {
                let cell = cell(row, spec.column, *width);
                let text = pad(&cell.text, *width, spec.right);
                let style = if row == self.selected { Style::new() } else { cell.style };
                [Span::styled(text, style), Span::raw(" ")]
            });
            let style = if row == self.selected { self.theme.selected() } else { Style::new() };
            buffer.set_style(line, style);
            Line::from(cells.flatten().collect::<Vec<_>>()).style(style).render(line, buffer);
        }
        let lines = list.y..list.bottom();
        Hits { heads: Some(heads_area.y), columns: columns_at, lines, first, ..Hits::default() }
    }

    /// The head of a column; the one that is sorted by has a mark.
    fn head(&self, spec: Spec, width: usize) -> String {
        if spec.column != self.sort.column {
            return pad(spec.title, width, spec.right);
        }
        let up = spec.column.ascends() != self.sort.reversed;
        let mark = if up { '^' } else { 'v' };
        let title = spec.title.get(..width.saturating_sub(1)).unwrap_or(spec.title);
        let text = if spec.right { format!("{mark}{title}") } else { format!("{title}{mark}") };
        pad(&text, width, spec.right)
    }
}

fn gap() -> u16 {
    u16::try_from(GAP).unwrap_or(1)
}

fn split(area: Rect) -> [Rect; 2] {
    let head = Rect { height: area.height.min(1), ..area };
    let height = area.height.saturating_sub(head.height);
    [head, Rect { y: area.y.saturating_add(head.height), height, ..area }]
}

/// Fills up, or shortens, to a width.
fn pad(text: &str, width: usize, right: bool) -> String {
    let text = name::shorten(text, width);
    let blanks = " ".repeat(width.saturating_sub(text.width()));
    if right { blanks + &text } else { text + &blanks }
}
