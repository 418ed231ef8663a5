//! More of what is selected, below the list.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::{Paragraph, Widget as _, Wrap},
};
use unicode_width::UnicodeWidthStr as _;

use super::{
    cells::UNKNOWN,
    frames,
    spark::{self, Base},
    theme::Theme,
};
use crate::{
    model::{
        leak::{Leak, Verdict},
        process::Process,
        site::Site,
        watch::Watch,
    },
    show::top::{
        delay::Spread,
        name,
        picture::{Figures, Picture, SiteFigures, leak_of},
        state::{Level, State},
        units,
    },
};

/// Columns of what is said before a value.
const LABEL: usize = 10;

/// Draws what is known of a row of the list.
pub(super) fn draw(
    state: &State,
    picture: &Picture,
    index: usize,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let width = usize::from(area.width);
    let (title, lines) = match &state.level {
        Level::Processes => {
            let Some(process) = picture.snapshot.processes.get(index) else { return };
            let Some(figures) = picture.figures.get(index) else { return };
            (of_process(process), process_lines(process, figures, width, theme))
        }
        Level::Sites(id) => {
            let Some((process, figures)) = picture.process(*id) else { return };
            let Some(site) = process.sites.get(index) else { return };
            let Some(figures) = figures.sites.get(index) else { return };
            let title = site.name.as_ref().map(|name| name::site(name, width.saturating_sub(6)));
            let title = title.unwrap_or_else(|| "all other sites".to_owned());
            (title, site_lines(process, site, figures, width, theme))
        }
        Level::Stacks(..) | Level::Frames(..) => {
            let Some(group) = state.grouped.groups.get(index) else { return };
            let title = format!(
                "{}, {}, as goroutine {}",
                units::several(group.count, "goroutine"),
                name::harmless(&group.doing),
                group.goid
            );
            (title, frames::lines(group, width, theme))
        }
    };
    let title = name::shorten(&title, width.saturating_sub(6));
    let ruler = "─".repeat(width.saturating_sub(title.width()).saturating_sub(4));
    let heading = Line::from(vec![
        Span::styled("── ", theme.faint()),
        Span::styled(title, theme.strong()),
        Span::styled(format!(" {ruler}"), theme.faint()),
    ]);
    let lines: Vec<Line<'_>> = std::iter::once(heading).chain(lines).collect();
    Paragraph::new(lines).wrap(Wrap { trim: false }).render(area, buffer);
}

fn of_process(process: &Process) -> String {
    let version = process.binary.as_ref().map(|binary| name::harmless(&binary.go_version));
    let owner = process.origin.owner().map(name::harmless);
    let threads = process.threads.map(|threads| units::several(threads, "thread"));
    let parts = [Some(name::harmless(&process.exe)), version, threads, owner];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn process_lines(
    process: &Process,
    figures: &Figures,
    width: usize,
    theme: &Theme,
) -> Vec<Line<'static>> {
    let half = width.saturating_sub(2) / 2;
    let lately = &figures.lately;
    let known = |text: Option<String>| text.unwrap_or_else(|| UNKNOWN.to_owned());
    let live = known(process.goroutines().map(units::count));
    let growth = known(figures.pace.growth.map(units::growth));
    let curve = |label: &str, value: String, values: &[f64], base| {
        with_curve(label, &value, values, base, half, theme)
    };
    let a_second =
        |value: Option<f64>| known(value.map(|value| format!("{}/s", units::rate(value))));
    let mut lines = vec![
        beside(
            curve("goroutines", format!("{live} ({growth}/s)"), &lately.live, Base::Least),
            gc_and_heap(process, half),
        ),
        beside(
            curve("born", a_second(figures.pace.born), &lately.born, Base::Zero),
            curve("died", a_second(figures.pace.died), &lately.died, Base::Zero),
        ),
        beside(
            curve("GO delay", delay(figures.goroutine_delay), &lately.goroutine_delay, Base::Zero),
            curve("CPU delay", delay(figures.thread_delay), &lately.thread_delay, Base::Zero),
        ),
    ];
    let Some(leak) = process.leaks.first() else {
        return lines.into_iter().chain(troubles(process, theme)).collect();
    };
    lines.extend(leak_lines(leak, process.leaks.len(), width, theme));
    lines.extend(troubles(process, theme));
    lines
}

/// What the collector and the heap do, where that is known.
fn gc_and_heap(process: &Process, width: usize) -> Vec<Span<'static>> {
    let runtime = process.runtime.as_ref();
    let procs = runtime.map(|runtime| format!("GOMAXPROCS {}", runtime.counts.gomaxprocs));
    // There is none before the first collection.
    let heap = runtime.and_then(|runtime| runtime.heap_goal.as_ref());
    let heap = heap.filter(|heap| heap.live_bytes > 0);
    let heap = heap.map(|heap| format!("heap {}", units::bytes(heap.live_bytes)));
    let text = [heap, procs].into_iter().flatten().collect::<Vec<_>>().join(", ");
    vec![Span::raw(name::shorten(&text, width))]
}

fn delay(spread: Option<Spread>) -> String {
    spread.map_or_else(
        || UNKNOWN.to_owned(),
        |spread| {
            let [p50, p99] = [spread.p50_seconds, spread.p99_seconds].map(units::seconds);
            format!("p50 {p50}, p99 {p99}")
        },
    )
}

/// A label, a value, and a curve in the rest of the width.
fn with_curve(
    label: &str,
    value: &str,
    values: &[f64],
    base: Base,
    width: usize,
    theme: &Theme,
) -> Vec<Span<'static>> {
    const LEAST: usize = 4;
    let text = format!("{label:LABEL$} {value}");
    let room = width.saturating_sub(text.width()).saturating_sub(1);
    if room < LEAST {
        return vec![Span::raw(fill(&text, width))];
    }
    let curve = spark::line(values, room, base);
    vec![Span::raw(text), Span::raw(" "), Span::styled(curve, theme.curve())]
}

fn fill(text: &str, width: usize) -> String {
    let text = name::shorten(text, width);
    let blanks = " ".repeat(width.saturating_sub(text.width()));
    text + &blanks
}

fn beside(left: Vec<Span<'static>>, right: Vec<Span<'static>>) -> Line<'static> {
    Line::from(left.into_iter().chain([Span::raw("  ")]).chain(right).collect::<Vec<_>>())
}

/// The largest leak of a process: where, and how large.
fn leak_lines(leak: &Leak, of: usize, width: usize, theme: &Theme) -> [Line<'static>; 2] {
    let more = match of {
        0 | 1 => String::new(),
        more => format!(" (and {} more)", more.saturating_sub(1)),
    };
    let room = width.saturating_sub(LABEL).saturating_sub(1).saturating_sub(more.width());
    let site = format!("{}{more}", name::site(&leak.site, room));
    let label = format!("{:LABEL$}", leak.verdict.as_str());
    [
        labelled(label, weight(leak.verdict, theme), &site),
        Line::raw(format!("{:LABEL$} {}", "", leak_facts(leak, theme))),
    ]
}

fn weight(verdict: Verdict, theme: &Theme) -> Style {
    match verdict {
        Verdict::Confirmed => theme.bad(),
        Verdict::Suspected => theme.doubtful(),
    }
}

fn leak_facts(leak: &Leak, theme: &Theme) -> String {
    format!(
        "{}, {:+.0}/min since {}, {} of stacks, {}",
        units::several(leak.goroutines, "goroutine"),
        leak.per_minute,
        theme.clock(leak.since),
        units::bytes(leak.stack_bytes),
        name::harmless(&leak.wait_reason)
    )
}

fn labelled(label: String, style: Style, text: &str) -> Line<'static> {
    Line::from(vec![Span::styled(label, style), Span::raw(format!(" {text}"))])
}

/// Why something of a process cannot be watched.
fn troubles(process: &Process, theme: &Theme) -> Vec<Line<'static>> {
    let watches = [("runtime", &process.watch.runtime), ("probes", &process.watch.probes)];
    let failing = watches.into_iter().filter(|(_, watch)| !matches!(watch, Watch::Ok | Watch::Off));
    let line = |(what, watch): (&str, &Watch)| {
        let why = name::harmless(watch.as_str());
        labelled(format!("{what:LABEL$}"), theme.doubtful(), &why)
    };
    failing.map(line).collect()
}

fn site_lines(
    process: &Process,
    site: &Site,
    figures: &SiteFigures,
    width: usize,
    theme: &Theme,
) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let room = width.saturating_sub(LABEL).saturating_sub(1);
    let text = |text: &str| name::shorten(&name::harmless(text), room);
    let plain = |label: &str, value: &str| labelled(format!("{label:LABEL$}"), Style::new(), value);
    let held = &site.held;
    let live = format!(
        "{} ({}/s)",
        units::count(site.live),
        figures.pace.growth.map_or_else(|| UNKNOWN.to_owned(), units::growth)
    );
    lines.push(Line::from(with_curve("live", &live, &figures.live, Base::Least, width, theme)));
    if let Some(leak) = leak_of(process, site) {
        let label = format!("{:LABEL$}", leak.verdict.as_str());
        lines.push(labelled(label, weight(leak.verdict, theme), &leak_facts(leak, theme)));
        let words: Vec<&str> = leak.evidence.iter().map(|evidence| &*evidence.words).collect();
        let words = name::wrapped(&name::harmless(&words.join("; ")), room);
        lines.extend(words.iter().map(|words| plain("", words)));
    }
    if !held.doing.is_empty() {
        const MOST: usize = 4;
        let doing = held.doing.iter().take(MOST);
        let doing: Vec<String> = doing
            .map(|(doing, count)| format!("{} {}", units::count(*count), name::harmless(doing)))
            .collect();
        let mut facts = vec![doing.join(", ")];
        facts.extend(
            (held.stack_bytes > 0).then(|| format!("{} of stacks", units::bytes(held.stack_bytes))),
        );
        facts.extend(
            held.longest_wait_nanoseconds
                .map(|wait| format!("longest wait {}", units::seconds(wait as f64 / 1e9))),
        );
        lines.push(plain("doing", &name::shorten(&facts.join("; "), room)));
    }
    if let Some(site) = &site.name {
        lines.push(plain("started", &text(&site.start)));
        lines.push(plain("created by", &text(&site.created_by)));
        if !site.file.is_empty() {
            let place = format!("{}:{}", name::harmless(&site.file), site.line);
            lines.push(plain("at", &name::shorten(&place, room)));
        }
    }
    lines
}
