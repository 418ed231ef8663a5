//! What keys and the mouse mean.

use ratatui::crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind,
};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// So many rows down; up where it is below zero.
    Move(isize),
    /// So many pages down.
    Page(isize),
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// Into what is selected.
    Enter,
    /// Out again; or drops the filter, the help.
    Back,
    /// Sort by the next column.
    NextColumn,
    /// Sort by the column before.
    PreviousColumn,
    /// Sort the other way round.
    Reverse,
    /// Type a filter.
    Filter,
    /// A letter of it.
    Type(char),
    /// Takes the last letter away.
    Erase,
    /// Takes all letters away.
    EraseAll,
    /// Stand still, or go on.
    Pause,
    /// Show or hide the help.
    Help,
    /// Show or hide the runtime's own goroutines; stacks of the site, or of the whole process.
    All,
    /// Take the dump again.
    Again,
    /// The mouse was pressed there.
    Click {
        /// Column.
        x: u16,
        /// Row.
        y: u16,
    },
    /// The terminal has another size, or has to be drawn anew.
    Redraw,
    /// End.
    Quit,
}

/// Rows for a notch of the mouse's wheel.
const NOTCH: isize = 3;

/// What an event means; `typing`: letters belong to the filter.
#[must_use]
pub fn action(event: &Event, typing: bool) -> Option<Action> {
    match event {
        // Some terminals tell of keys that are let go.
        Event::Key(key) if key.kind == KeyEventKind::Release => None,
        Event::Key(key) if is_control(key, 'c') => Some(Action::Quit),
        Event::Key(key) if is_control(key, 'l') => Some(Action::Redraw),
        Event::Key(key) if typing => while_typing(key),
        Event::Key(key) => on_key(key),
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => {
                Some(Action::Click { x: mouse.column, y: mouse.row })
            }
            MouseEventKind::Down(MouseButton::Right) => Some(Action::Back),
            MouseEventKind::ScrollDown => Some(Action::Move(NOTCH)),
            MouseEventKind::ScrollUp => Some(Action::Move(-NOTCH)),
            _ => None,
        },
        Event::Resize(..) => Some(Action::Redraw),
        _ => None,
    }
}

fn is_control(key: &KeyEvent, letter: char) -> bool {
    key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char(letter)
}

fn while_typing(key: &KeyEvent) -> Option<Action> {
    Some(match key.code {
        _ if is_control(key, 'u') || is_control(key, 'w') => Action::EraseAll,
        KeyCode::Enter => Action::Enter,
        KeyCode::Esc => Action::Back,
        KeyCode::Backspace => Action::Erase,
        KeyCode::Up => Action::Move(-1),
        KeyCode::Down => Action::Move(1),
        KeyCode::Char(letter) if !key.modifiers.contains(KeyModifiers::CONTROL) => {
            Action::Type(letter)
        }
        _ => return None,
    })
}

fn on_key(key: &KeyEvent) -> Option<Action> {
    if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
        return None;
    }
    Some(match key.code {
        KeyCode::Up | KeyCode::Char('k') => Action::Move(-1),
        KeyCode::Down | KeyCode::Char('j') => Action::Move(1),
        KeyCode::PageUp => Action::Page(-1),
        KeyCode::PageDown => Action::Page(1),
        KeyCode::Home | KeyCode::Char('g') => Action::First,
        KeyCode::End | KeyCode::Char('G') => Action::Last,
        KeyCode::Enter => Action::Enter,
        KeyCode::Esc | KeyCode::Backspace => Action::Back,
        KeyCode::Right | KeyCode::Char('>') => Action::NextColumn,
        KeyCode::Left | KeyCode::Char('<') => Action::PreviousColumn,
        KeyCode::Char('r') => Action::Reverse,
        KeyCode::Char('/') => Action::Filter,
        KeyCode::Char(' ' | 'p') => Action::Pause,
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => Action::Help,
        KeyCode::Char('a') => Action::All,
        KeyCode::Char('d') | KeyCode::F(5) => Action::Again,
        KeyCode::Char('q') => Action::Quit,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::{KeyEventState, MouseEvent};

    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Event {
        Event::Key(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn letters_mean_something_else_in_a_filter() {
        let q = key(KeyCode::Char('q'), KeyModifiers::NONE);
        assert_eq!(action(&q, false), Some(Action::Quit));
        assert_eq!(action(&q, true), Some(Action::Type('q')));
        let interrupt = key(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(action(&interrupt, true), Some(Action::Quit));
        assert_eq!(action(&interrupt, false), Some(Action::Quit));
        let erase = key(KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert_eq!((action(&erase, true), action(&erase, false)), (Some(Action::EraseAll), None));
    }

    #[test]
    fn keys_that_are_let_go_mean_nothing() {
        let released = Event::Key(KeyEvent {
            code: KeyCode::Char('q'),
            modifiers: KeyModifiers::NONE,
            kind: KeyEventKind::Release,
            state: KeyEventState::NONE,
        });
        assert_eq!(action(&released, false), None);
    }

    #[test]
    fn the_mouse() {
        let mouse = |kind| {
            Event::Mouse(MouseEvent { kind, column: 3, row: 4, modifiers: KeyModifiers::NONE })
        };
        let click = mouse(MouseEventKind::Down(MouseButton::Left));
        assert_eq!(action(&click, false), Some(Action::Click { x: 3, y: 4 }));
        assert_eq!(action(&mouse(MouseEventKind::ScrollUp), false), Some(Action::Move(-NOTCH)));
        assert_eq!(action(&mouse(MouseEventKind::Moved), false), None);
    }
}
