//! Tables that fit the terminal.

use std::{iter, os::fd::AsFd};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Blanks between columns.
const GAP: usize = 2;
/// A column that is made narrower keeps at least so much.
const NARROWEST: usize = 8;

/// On which side a column is filled up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table; its cells are safe to show already.
#[derive(Clone, Debug)]
pub struct Table {
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these columns.
    #[must_use]
    pub fn new(columns: &[(&str, Align)]) -> Self {
        let heads = columns.iter().map(|(head, _)| (*head).to_owned()).collect();
        Self { align: columns.iter().map(|(_, align)| *align).collect(), rows: vec![heads] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The text, each line with its end. Where a width is given, the widest columns are cut until
    /// the lines fit.
    #[must_use]
    pub fn render(&self, width: Option<usize>) -> String {
        let mut widths = self.natural_widths();
        if let Some(width) = width {
            fit(&mut widths, width);
        }
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).zip(&self.align);
            let padded: Vec<String> =
                cells.map(|((cell, width), align)| pad(cell, *width, *align)).collect();
            text.push_str(padded.join(&" ".repeat(GAP)).trim_end());
            text.push('\n');
        }
        text
    }

    fn natural_widths(&self) -> Vec<usize> {
        let column = |number: usize| self.rows.iter().filter_map(move |row| row.get(number));
        (0..self.align.len())
            .map(|number| column(number).map(|cell| cell.width()).max().unwrap_or(0))
            .collect()
    }
}

/// Takes from the widest until all fit, or all are as narrow as they may be.
fn fit(widths: &mut [usize], available: usize) {
    let gaps = GAP.saturating_mul(widths.len().saturating_sub(1));
    let mut over = widths.iter().sum::<usize>().saturating_add(gaps).saturating_sub(available);
    while over > 0 {
        let Some(widest) = widths.iter_mut().filter(|width| **width > NARROWEST).max() else {
            return;
        };
        *widest = widest.saturating_sub(1);
        over = over.saturating_sub(1);
    }
}

/// Fills up, or cuts, to a width.
fn pad(cell: &str, width: usize, align: Align) -> String {
    let cell = cut(cell, width);
    let blanks: String = iter::repeat_n(' ', width.saturating_sub(cell.width())).collect();
    match align {
        Align::Left => cell + &blanks,
        Align::Right => blanks + &cell,
    }
}

fn cut(cell: &str, width: usize) -> String {
    if cell.width() <= width {
        return cell.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let mut kept = String::new();
    for c in cell.chars() {
        match room.checked_sub(c.width().unwrap_or(0)) {
            Some(left) => room = left,
            None => break,
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

/// Columns of the terminal, where it is one.
#[must_use]
pub fn terminal_width(stream: &impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table =
            Table::new(&[("PID", Align::Right), ("EXE", Align::Left), ("N", Align::Left)]);
        table.row(vec!["7".into(), "/opt/日本/worker".into(), "x".into()]);
        table.row(vec!["12345".into(), "/a".into(), String::new()]);
        table
    }

    #[test]
    fn aligned_by_what_is_seen() {
        assert_eq!(
            table().render(None),
            "  PID  EXE               N\n    7  /opt/日本/worker  x\n12345  /a\n"
        );
    }

    #[test]
    fn fits() {
        let text = table().render(Some(20));
        assert_eq!(text, "  PID  EXE         N\n    7  /opt/日本…  x\n12345  /a\n");
        assert!(text.lines().all(|line| line.width() <= 20));
        // Too narrow for anything: lines are longer rather than empty.
        assert!(table().render(Some(1)).contains("/opt/"));
        assert!(table().render(Some(0)).contains("12345"));
    }

    #[test]
    fn wide_characters_are_not_cut_in_half() {
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(pad("日本語", 4, Align::Right), " 日…");
    }

    #[test]
    fn no_terminal() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(terminal_width(&file), None);
    }
}
