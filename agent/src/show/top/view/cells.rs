//! The cells of the lists.

use ratatui::style::Style;

use super::{
    spark::{self, Base},
    theme::Theme,
};
use crate::{
    model::{leak::Verdict, process::Process, site::Site},
    show::top::{
        columns::Column,
        name,
        picture::{Figures, SiteFigures, leak_of, verdict},
        stacks::Group,
        units,
    },
};

/// What stands for what is not known.
pub(in crate::show::top) const UNKNOWN: &str = "-";

/// A text with its style.
pub(in crate::show::top) struct Cell {
    pub(in crate::show::top) text: String,
    pub(in crate::show::top) style: Style,
}

impl Cell {
    fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::new() }
    }

    fn known(text: Option<String>) -> Self {
        Self::plain(text.unwrap_or_else(|| UNKNOWN.to_owned()))
    }

    fn verdict(verdict: Option<Verdict>, theme: &Theme) -> Self {
        let Some(verdict) = verdict else { return Self::plain("") };
        let style = match verdict {
            Verdict::Confirmed => theme.bad(),
            Verdict::Suspected => theme.doubtful(),
        };
        Self { text: verdict.as_str().to_owned(), style }
    }

    fn growth(per_second: Option<f64>, theme: &Theme) -> Self {
        let style = match per_second {
            Some(growth) if growth >= 0.005 => theme.doubtful(),
            _ => Style::new(),
        };
        Self { style, ..Self::known(per_second.map(units::growth)) }
    }

    fn curve(values: &[f64], width: usize, theme: &Theme) -> Self {
        Self { text: spark::line(values, width, Base::Least), style: theme.curve() }
    }
}

/// Of a process.
pub(in crate::show::top) fn of_process(
    column: Column,
    width: usize,
    (process, figures): (&Process, &Figures),
    theme: &Theme,
) -> Cell {
    let goroutines = figures.goroutine_delay;
    let threads = figures.thread_delay;
    match column {
        Column::Pid => Cell::plain(process.id.pid.to_string()),
        Column::Leak => Cell::verdict(verdict(process), theme),
        Column::Live => Cell::known(process.goroutines().map(units::count)),
        Column::Trend => Cell::curve(&figures.lately.live, width, theme),
        Column::Growth => Cell::growth(figures.pace.growth, theme),
        Column::Born => Cell::known(figures.pace.born.map(units::rate)),
        Column::Died => Cell::known(figures.pace.died.map(units::rate)),
        Column::GoP50 => Cell::known(goroutines.map(|delay| units::seconds(delay.p50_seconds))),
        Column::GoP99 => Cell::known(goroutines.map(|delay| units::seconds(delay.p99_seconds))),
        Column::CpuP50 => Cell::known(threads.map(|delay| units::seconds(delay.p50_seconds))),
        Column::CpuP99 => Cell::known(threads.map(|delay| units::seconds(delay.p99_seconds))),
        Column::Threads => Cell::known(process.threads.map(units::count)),
        Column::Owner => Cell::known(process.origin.owner().map(name::harmless)),
        Column::Name => Cell::plain(name::harmless(process.exe_base())),
        Column::Doing | Column::Wait | Column::Stacks => Cell::plain(UNKNOWN),
    }
}

/// Of a creation site.
pub(in crate::show::top) fn of_site(
    column: Column,
    width: usize,
    process: &Process,
    (site, figures): (&Site, &SiteFigures),
    theme: &Theme,
) -> Cell {
    let held = &site.held;
    match column {
        Column::Leak => Cell::verdict(leak_of(process, site).map(|leak| leak.verdict), theme),
        Column::Trend => Cell::curve(&figures.live, width, theme),
        Column::Growth => Cell::growth(figures.pace.growth, theme),
        Column::Born => Cell::known(figures.pace.born.map(units::rate)),
        Column::Died => Cell::known(figures.pace.died.map(units::rate)),
        Column::Wait => Cell::known(held.longest_wait_nanoseconds.map(waited)),
        Column::Stacks => {
            Cell::known((held.stack_bytes > 0).then(|| units::bytes(held.stack_bytes)))
        }
        Column::Doing => Cell::known(held.doing.first().map(|(doing, _)| name::harmless(doing))),
        Column::Name => match &site.name {
            Some(name) => Cell::plain(name::site(name, width)),
            None => Cell { text: "(all other sites)".to_owned(), style: theme.faint() },
        },
        _ => Cell::plain(units::count(site.live)),
    }
}

/// Of goroutines with the same stack.
pub(in crate::show::top) fn of_group(
    column: Column,
    width: usize,
    group: &Group,
    theme: &Theme,
) -> Cell {
    match column {
        Column::Doing => Cell::plain(name::harmless(&group.doing)),
        Column::Wait => Cell::known(group.longest_wait.map(units::seconds)),
        Column::Name if group.stack.is_empty() => {
            let why = if group.torn { "(it ran whenever it was looked at)" } else { "(no stack)" };
            Cell { text: why.to_owned(), style: theme.faint() }
        }
        Column::Name => Cell::plain(calls(group, width)),
        _ => Cell::plain(units::count(group.count)),
    }
}

/// In seconds.
fn waited(nanoseconds: u64) -> String {
    units::seconds(nanoseconds as f64 / 1e9)
}

/// The innermost calls that are the program's own, as many as there is room for.
fn calls(group: &Group, width: usize) -> String {
    let own = |function: &str| !function.starts_with("runtime.");
    let names = || group.stack.iter().map(|frame| &*frame.place.function);
    let mut names: Vec<&str> = names().filter(|name| own(name)).collect();
    if names.is_empty() {
        names = group.stack.iter().map(|frame| &*frame.place.function).collect();
    }
    let mut text = String::new();
    for function in names {
        let function = name::harmless(function);
        let more = if text.is_empty() { function } else { format!("{text} < {function}") };
        if more.chars().count() > width && !text.is_empty() {
            break;
        }
        text = more;
    }
    text
}
