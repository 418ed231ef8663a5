//! What keys and the mouse do to the state.

use super::{
    columns::Column,
    hits::{Hit, Hits},
    keys::Action,
    list::List,
    stacks::Stacks,
    state::{Dumped, Level, State, Wish},
};

impl State {
    /// Does what a key or the mouse asks for.
    pub fn act(&mut self, action: Action) -> Option<Wish> {
        match action {
            Action::Quit => return Some(Wish::Quit),
            Action::Redraw => {}
            _ if self.help => self.read_help(action),
            Action::Help => (self.help, self.scrolled) = (true, 0),
            Action::Move(by) => self.go(|row| row.saturating_add_signed(by)),
            Action::Page(by) => {
                let page = isize::try_from(self.hits.page()).unwrap_or(isize::MAX);
                self.go(|row| row.saturating_add_signed(page.saturating_mul(by)));
            }
            Action::First => self.go(|_| 0),
            Action::Last => self.go(|_| usize::MAX),
            Action::Enter if self.typing => self.typing = false,
            Action::Enter => return self.enter(),
            Action::Back => self.back(),
            Action::NextColumn => self.turn(1),
            Action::PreviousColumn => self.turn(-1),
            Action::Reverse => self.choose(None),
            Action::Filter => self.typing = !matches!(self.level, Level::Frames(..)),
            Action::Type(letter) => self.filter(|filter| filter.letter(letter)),
            Action::Erase => self.filter(|filter| filter.erase()),
            Action::EraseAll => self.filter(|filter| filter.clear()),
            Action::Pause => self.pause(),
            Action::All => return self.all(),
            Action::Again => return self.again(),
            Action::Click { x, y } => return self.click(x, y),
        }
        None
    }

    fn read_help(&mut self, action: Action) {
        match action {
            Action::Help | Action::Back | Action::Enter | Action::Click { .. } => {
                (self.help, self.scrolled) = (false, 0);
            }
            Action::Move(by) => self.scrolled = self.scrolled.saturating_add_signed(by),
            Action::Page(by) => {
                let page = isize::try_from(self.hits.page()).unwrap_or(isize::MAX);
                self.scrolled = self.scrolled.saturating_add_signed(page.saturating_mul(by));
            }
            Action::First => self.scrolled = 0,
            Action::Last => self.scrolled = usize::MAX,
            _ => {}
        }
    }

    /// To another row of the list, or of the stack.
    fn go(&mut self, to: impl FnOnce(usize) -> usize) {
        if matches!(self.level, Level::Frames(..)) {
            self.scrolled = to(self.scrolled);
            return;
        }
        let order = self.order();
        let row = to(self.position(&order));
        self.select(&order, row);
    }

    fn enter(&mut self) -> Option<Wish> {
        self.hits = Hits::default();
        let order = self.order();
        let row = self.position(&order);
        let index = *order.get(row)?;
        match self.level.clone() {
            Level::Processes => {
                let id = self.process_at(index)?;
                // It stays selected, whatever comes to be above it.
                self.select(&order, row);
                self.sites = List { sort: self.sites.sort, ..List::by(Column::Leak) };
                self.level = Level::Sites(id);
            }
            Level::Sites(id) => {
                let site = self.site_at(index)?.name.clone();
                self.select(&order, row);
                self.stacks = List { sort: self.stacks.sort, ..List::by(Column::Live) };
                self.level = Level::Stacks(id, site);
                return self.again();
            }
            Level::Stacks(id, site) => {
                self.select(&order, row);
                self.scrolled = 0;
                self.level = Level::Frames(id, site, index);
            }
            Level::Frames(..) => {}
        }
        None
    }

    fn back(&mut self) {
        if self.typing {
            self.typing = false;
            return self.filter(|filter| filter.clear());
        }
        if !self.filter_text().is_empty() && !matches!(self.level, Level::Frames(..)) {
            return self.filter(|filter| filter.clear());
        }
        self.level = match self.level.clone() {
            Level::Processes | Level::Sites(_) => Level::Processes,
            Level::Stacks(id, _) => {
                (self.dumped, self.grouped) = (Dumped::Not, Stacks::default());
                Level::Sites(id)
            }
            Level::Frames(id, site, _) => Level::Stacks(id, site),
        };
    }

    fn turn(&mut self, by: isize) {
        let specs = self.specs();
        match self.level {
            Level::Processes => self.processes.turn(specs, by),
            Level::Sites(_) => self.sites.turn(specs, by),
            Level::Stacks(..) => self.stacks.turn(specs, by),
            Level::Frames(..) => {}
        }
    }

    /// Sorts by a column; where none is given, the other way round.
    fn choose(&mut self, column: Option<Column>) {
        let column = column.unwrap_or(self.sort().column);
        match self.level {
            Level::Processes => self.processes.choose(column),
            Level::Sites(_) => self.sites.choose(column),
            Level::Stacks(..) => self.stacks.choose(column),
            Level::Frames(..) => {}
        }
    }

    fn filter(&mut self, change: impl FnOnce(&mut dyn Letters)) {
        match self.level {
            Level::Processes => change(&mut self.processes),
            Level::Sites(_) => change(&mut self.sites),
            Level::Stacks(..) | Level::Frames(..) => change(&mut self.stacks),
        }
    }

    fn pause(&mut self) {
        self.paused = !self.paused;
        self.held = if self.paused { self.newest.clone() } else { None };
    }

    fn all(&mut self) -> Option<Wish> {
        match self.level.clone() {
            Level::Sites(_) => self.system = !self.system,
            Level::Stacks(id, site) => {
                // Back to the site that one came from.
                let of_site = self.sites.selected.clone().flatten();
                let site = if site.is_some() { None } else { of_site };
                self.level = Level::Stacks(id, site);
                self.stacks.selected = None;
                self.group();
            }
            Level::Processes | Level::Frames(..) => {}
        }
        None
    }

    /// Wishes for a dump, where stacks are shown and none is under way.
    fn again(&mut self) -> Option<Wish> {
        let Level::Stacks(id, _) = self.level else { return None };
        if matches!(self.dumped, Dumped::Taking(_)) {
            return None;
        }
        (self.dumped, self.grouped) = (Dumped::Taking(id), Stacks::default());
        Some(Wish::Dump(id))
    }

    /// Groups the dump anew.
    pub(super) fn group(&mut self) {
        let site = match &self.level {
            Level::Stacks(_, site) | Level::Frames(_, site, _) => site.clone(),
            Level::Processes | Level::Sites(_) => None,
        };
        if let Dumped::Taken(_, dump) = &self.dumped {
            self.grouped = Stacks::of(dump, site.as_ref());
        }
    }

    fn click(&mut self, x: u16, y: u16) -> Option<Wish> {
        match self.hits.at(x, y)? {
            Hit::Head(column) => self.choose(Some(column)),
            Hit::Row(row) => {
                let order = self.order();
                let before = self.position(&order);
                if row >= order.len() {
                    return None;
                }
                // A second click goes in.
                if row == before && self.hits.was_clicked(row) {
                    return self.enter();
                }
                self.select(&order, row);
                self.hits.clicked(row);
            }
        }
        None
    }
}

/// What is typed into a filter.
trait Letters {
    fn letter(&mut self, letter: char);
    fn erase(&mut self);
    fn clear(&mut self);
}

impl<K> Letters for List<K> {
    fn letter(&mut self, letter: char) {
        Self::letter(self, letter);
    }

    fn erase(&mut self) {
        self.filter.pop();
    }

    fn clear(&mut self) {
        self.filter.clear();
    }
}
