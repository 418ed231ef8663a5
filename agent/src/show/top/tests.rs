//! The view as it is drawn, at three sizes.

use std::sync::Arc;

use jiff::tz::TimeZone;
use ratatui::{Terminal, backend::TestBackend, style::Color};
use unicode_width::UnicodeWidthStr as _;

use super::{
    columns::Column,
    keys::Action,
    made_up,
    state::{Level, State, Wish},
    view::{self, theme::Theme},
};
use crate::model::{
    dump::{Dump, Frame, Goroutine, Place},
    leak::Verdict,
    process::Process,
    snapshot::Snapshot,
    watch::Watch,
};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (60, 15)];

fn theme() -> Theme {
    Theme { colour: true, unicode: true, zone: TimeZone::UTC }
}

/// What is on the screen, line by line.
struct Screen {
    lines: Vec<String>,
    colours: Vec<Color>,
}

impl Screen {
    fn has(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.contains(text))
    }

    /// The line with a text.
    fn line(&self, text: &str) -> usize {
        let found = self.lines.iter().position(|line| line.contains(text));
        found.unwrap_or_else(|| panic!("{text:?} is not on\n{self}"))
    }
}

impl std::fmt::Display for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

fn draw_with(state: &mut State, (width, height): (u16, u16), theme: &Theme) -> Screen {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut hits = None;
    let drawn = terminal.draw(|frame| hits = Some(view::draw(frame, state, theme))).unwrap();
    let buffer = drawn.buffer.clone();
    state.drawn(hits.unwrap());
    let line = |row: u16| {
        let cells = (0..width).map(|x| buffer.cell((x, row)).unwrap().symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    let colours = buffer.content.iter().map(|cell| cell.fg).collect();
    Screen { lines: (0..height).map(line).collect(), colours }
}

fn draw(state: &mut State, size: (u16, u16)) -> Screen {
    draw_with(state, size, &theme())
}

/// Two processes; the smaller one leaks.
fn processes(leaking: u64) -> Vec<Process> {
    let mut sick = made_up::process(9, leaking + 2);
    sick.exe = "/srv/shop/checkout".to_owned();
    sick.comm = "checkout".to_owned();
    let runtime = sick.runtime.as_mut().unwrap();
    (runtime.counts.created, runtime.counts.exited) = (1000 + leaking, 1000);
    sick.sites = vec![
        made_up::site("main.serve", leaking + 50),
        made_up::site("main.lookup", leaking),
        made_up::site("runtime.gc", 4),
    ];
    sick.sites[2].system = true;
    sick.leaks = vec![made_up::leak(&sick.sites[1], Verdict::Confirmed)];
    vec![made_up::process(7, 500), sick]
}

fn fed() -> State {
    let mut state = State::default();
    for second in 0..20_u32 {
        let leaking = 10 + 5 * u64::from(second);
        state.feed(made_up::snapshot(100.0 + f64::from(second), processes(leaking)));
    }
    state
}

fn act(state: &mut State, actions: &[Action]) -> Option<Wish> {
    actions.iter().fold(None, |_, action| state.act(*action))
}

fn dump() -> Dump {
    let place = |function: &str, line| Place {
        function: function.into(),
        file: "/src/main.go".into(),
        line,
    };
    let goroutine = |goid| Goroutine {
        goid,
        state: "waiting".into(),
        wait_reason: Some("chan send".into()),
        wait_seconds: Some(65.0),
        created_by: Some(place("main.lookup", 52)),
        start: Some(place("main.lookup.func1", 53)),
        stack: ["runtime.gopark", "runtime.chansend", "main.lookup.func1"]
            .map(|function| Frame { place: place(function, 54), ..Frame::default() })
            .to_vec()
            .into(),
        count: 1,
        ..Goroutine::default()
    };
    Dump { pid: 9, goroutines: (20..31).map(goroutine).collect(), ..Dump::default() }
}

#[test]
fn before_anything_is_known() {
    for size in SIZES {
        let screen = draw(&mut State::default(), size);
        assert!(screen.has("Looking at all processes …"), "{screen}");
        assert!(screen.has("q quit"), "{screen}");
    }
}

#[test]
fn nothing_in_sight() {
    let mut state = State::default();
    state.feed(Arc::new(Snapshot { taken_at: 1.0, ..Snapshot::default() }));
    for size in SIZES {
        let screen = draw(&mut state, size);
        assert!(screen.has("No Go process in sight."), "{screen}");
        assert!(screen.has("0 processes"), "{screen}");
    }
}

#[test]
fn the_leaking_process_is_the_first() {
    let mut state = fed();
    for size in SIZES {
        let screen = draw(&mut state, size);
        assert!(screen.line("checkout") < screen.line("app7"), "{screen}");
        for text in ["confirmed", "+5.0", "1 leak", "2 processes"] {
            assert!(screen.has(text), "{text}\n{screen}");
        }
        assert!(screen.lines.iter().all(|line| line.width() <= size.0.into()), "{screen}");
    }
    let screen = draw(&mut state, (80, 24));
    for text in
        ["GO p99", "CPU p99", "BORN/s", "DIED/s", "GO delay", "CPU delay", "main.lookup main.go:52"]
    {
        assert!(screen.has(text), "{text}\n{screen}");
    }
}

#[test]
fn into_the_sites_and_back() {
    for size in SIZES {
        let mut state = fed();
        act(&mut state, &[Action::Enter]);
        let screen = draw(&mut state, size);
        assert!(screen.has("processes › checkout (9)"), "{screen}");
        assert!(screen.line("main.lookup") < screen.line("main.serve"), "{screen}");
        assert!(screen.has("confirmed") && !screen.has("runtime.gc"), "{screen}");
        act(&mut state, &[Action::All]);
        assert!(draw(&mut state, size).has("runtime.gc"));
        act(&mut state, &[Action::Back]);
        assert!(draw(&mut state, size).has("app7"));
    }
    let mut state = fed();
    act(&mut state, &[Action::Enter]);
    let screen = draw(&mut state, (80, 24));
    assert!(screen.has("387 goroutines more in 35 s"), "{screen}");
}

#[test]
fn stacks_of_a_site_and_of_the_whole_process() {
    for size in SIZES {
        let mut state = fed();
        let id = state.picture().unwrap().snapshot.processes[1].id;
        let wish = act(&mut state, &[Action::Enter, Action::Enter]);
        assert_eq!(wish, Some(Wish::Dump(id)));
        assert!(draw(&mut state, size).has("Reading the stacks …"));
        // None is under way twice.
        assert_eq!(act(&mut state, &[Action::Again]), None);
        state.dumped(id, Ok(dump()));
        let screen = draw(&mut state, size);
        assert!(screen.has("11 in 1 stack") || size.0 < 80, "{screen}");
        assert!(screen.has("chan send") && screen.has("main.lookup.func1"), "{screen}");
        act(&mut state, &[Action::Enter]);
        let screen = draw(&mut state, size);
        assert!(screen.line("runtime.gopark") < screen.line("runtime.chansend"), "{screen}");
        assert!(screen.has("    /src/main.go:54") && screen.has("longest 1 min"), "{screen}");
        assert!(screen.has("created by main.lookup"), "{screen}");
        act(&mut state, &[Action::Back, Action::All]);
        assert!(draw(&mut state, size).has("all goroutines"));
        act(&mut state, &[Action::Back]);
        assert_eq!(state.level, Level::Sites(id));
    }
}

#[test]
fn a_dump_that_failed_says_why() {
    let mut state = fed();
    let id = state.picture().unwrap().snapshot.processes[1].id;
    act(&mut state, &[Action::Enter, Action::Enter]);
    state.dumped(id, Err("process 9 ended \x1b[2J".to_owned()));
    let screen = draw(&mut state, (80, 24));
    assert!(screen.has(r"process 9 ended \u{1b}[2J"), "{screen}");
    assert_eq!(act(&mut state, &[Action::Again]), Some(Wish::Dump(id)));
}

#[test]
fn a_filter() {
    let mut state = fed();
    act(&mut state, &[Action::Filter, Action::Type('A'), Action::Type('p'), Action::Type('P')]);
    let screen = draw(&mut state, (80, 24));
    assert!(
        screen.has("filter: ApP") && screen.has("app7") && !screen.has("checkout "),
        "{screen}"
    );
    act(&mut state, &[Action::Type('x')]);
    let screen = draw(&mut state, (80, 24));
    assert!(screen.has("Nothing here contains \"ApPx\""), "{screen}");
    act(&mut state, &[Action::Erase, Action::Enter]);
    assert!(!state.typing && draw(&mut state, (80, 24)).has("filter: ApP"));
    act(&mut state, &[Action::Back]);
    assert!(draw(&mut state, (80, 24)).has("checkout"));
}

#[test]
fn sorted_by_keys_and_by_the_mouse() {
    let mut state = fed();
    act(&mut state, &[Action::NextColumn]);
    assert_eq!(state.sort().column, Column::Live);
    let screen = draw(&mut state, (80, 24));
    assert!(screen.has("vGOROUT") && screen.line("app7") < screen.line("   9 "), "{screen}");
    act(&mut state, &[Action::Reverse]);
    let screen = draw(&mut state, (80, 24));
    assert!(screen.has("^GOROUT") && screen.line("   9 ") < screen.line("app7"), "{screen}");
    // The head of the first column, which is in the third line.
    act(&mut state, &[Action::Click { x: 5, y: 2 }]);
    assert_eq!(state.sort().column, Column::Pid);
    let screen = draw(&mut state, (80, 24));
    assert!(screen.has("^PID") && screen.line("      7") < screen.line("      9"), "{screen}");
}

#[test]
fn the_mouse_selects_and_goes_in() {
    let mut state = fed();
    draw(&mut state, (80, 24));
    let id = state.picture().unwrap().snapshot.processes[0].id;
    act(&mut state, &[Action::Click { x: 30, y: 4 }]);
    assert_eq!((state.processes.selected, &state.level), (Some(id), &Level::Processes));
    draw(&mut state, (80, 24));
    act(&mut state, &[Action::Click { x: 30, y: 4 }]);
    assert_eq!(state.level, Level::Sites(id));
    draw(&mut state, (80, 24));
    // Below the list there is nothing to click.
    assert_eq!(act(&mut state, &[Action::Click { x: 30, y: 15 }]), None);
    assert_eq!(state.level, Level::Sites(id));
}

#[test]
fn the_selection_stays_where_it_was_put() {
    let mut state = fed();
    act(&mut state, &[Action::Move(1)]);
    let id = state.picture().unwrap().snapshot.processes[0].id;
    assert_eq!(state.processes.selected, Some(id));
    act(&mut state, &[Action::Move(-10), Action::Last, Action::Move(100), Action::Page(1)]);
    assert_eq!(state.processes.selected, Some(id));
    act(&mut state, &[Action::First]);
    assert_ne!(state.processes.selected, Some(id));
}

#[test]
fn paused_it_stands_still() {
    let mut state = fed();
    act(&mut state, &[Action::Pause]);
    let before = draw(&mut state, (80, 24));
    assert!(before.has("PAUSED"), "{before}");
    state.feed(made_up::snapshot(500.0, processes(9000)));
    assert_eq!(draw(&mut state, (80, 24)).lines, before.lines);
    act(&mut state, &[Action::Pause]);
    assert!(draw(&mut state, (80, 24)).has("9002"));
}

#[test]
fn help_can_be_read_at_every_size() {
    for size in SIZES {
        let mut state = fed();
        state.limits = vec!["no eBPF, only what the runtimes say: not permitted".to_owned()];
        act(&mut state, &[Action::Help]);
        let mut seen = String::new();
        for _ in 0..40 {
            seen.push_str(&draw(&mut state, size).to_string());
            act(&mut state, &[Action::Move(1)]);
        }
        for text in ["not permitted", "Space", "Ctrl-C", "CPU p50 p99", "GOMAXPROCS"] {
            assert!(seen.contains(text), "{text}\n{seen}");
        }
        act(&mut state, &[Action::Back]);
        assert!(!state.help);
    }
}

#[test]
fn what_does_not_work_is_said() {
    let mut state = fed();
    state.limits = vec!["no eBPF: not permitted".to_owned(), "own processes only".to_owned()];
    for size in SIZES {
        assert!(draw(&mut state, size).has("no eBPF: not permitted (and 1 more: ?)"));
    }
    let mut degraded = made_up::process(5, 1);
    degraded.watch.probes = Watch::Failed("uprobes are not permitted".to_owned());
    degraded.runtime = None;
    degraded.probed = None;
    state.feed(made_up::snapshot(200.0, vec![degraded]));
    let screen = draw(&mut state, (80, 24));
    assert!(screen.has("uprobes are not permitted"), "{screen}");
}

#[test]
fn a_process_that_ended_is_missed() {
    let mut state = fed();
    act(&mut state, &[Action::Enter]);
    state.feed(made_up::snapshot(200.0, vec![made_up::process(7, 1)]));
    let screen = draw(&mut state, (80, 24));
    assert!(screen.has("The process has ended."), "{screen}");
    act(&mut state, &[Action::Enter, Action::Move(1), Action::Back]);
    assert!(draw(&mut state, (80, 24)).has("app7"));
}

#[test]
fn hostile_names_are_harmless() {
    let evil = format!("a\x1b[2J\x07\u{202e}<b>\n{}", "x".repeat(4000));
    let mut process = made_up::process(9, 10);
    process.exe = format!("/srv/{evil}");
    process.comm.clone_from(&evil);
    process.origin.unit = Some(evil.clone());
    process.sites = vec![made_up::site(&evil, 10)];
    process.sites[0].held.doing = vec![(evil.as_str().into(), 10)];
    process.leaks = vec![made_up::leak(&process.sites[0], Verdict::Suspected)];
    process.leaks[0].wait_reason = evil.as_str().into();
    process.leaks[0].evidence[0].words.clone_from(&evil);
    process.watch.probes = Watch::Failed(evil.clone());
    let id = process.id;
    let mut evil_dump = dump();
    for goroutine in &mut evil_dump.goroutines {
        goroutine.created_by.as_mut().unwrap().function = evil.as_str().into();
        goroutine.start.as_mut().unwrap().function = format!("{evil}.func1").into();
        goroutine.wait_reason = Some(evil.as_str().into());
        goroutine.stack = vec![Frame {
            place: Place { function: evil.as_str().into(), file: evil.as_str().into(), line: 3 },
            ..Frame::default()
        }]
        .into();
    }
    for size in SIZES {
        let mut state = State::default();
        state.limits = vec![evil.clone()];
        state.feed(made_up::snapshot(1.0, vec![process.clone()]));
        let screens = [
            draw(&mut state, size),
            {
                act(&mut state, &[Action::Enter]);
                draw(&mut state, size)
            },
            {
                act(&mut state, &[Action::Enter]);
                draw(&mut state, size)
            },
            {
                state.dumped(id, Ok(evil_dump.clone()));
                draw(&mut state, size)
            },
            {
                act(&mut state, &[Action::Enter]);
                draw(&mut state, size)
            },
            {
                act(&mut state, &[Action::Help]);
                draw(&mut state, size)
            },
        ];
        for (number, screen) in screens.iter().enumerate() {
            let text = screen.to_string();
            let lines = || text.chars().filter(|c| *c != '\n');
            assert!(
                !lines().any(char::is_control) && !text.contains('\u{202e}'),
                "{number}\n{screen}"
            );
        }
        for number in [1, 3, 4] {
            assert!(screens[number].has("\\u{1b}[2J"), "{number}\n{}", screens[number]);
        }
        assert!(screens[4].has("xxx.func1") || screens[4].has("xxxx"), "{}", screens[4]);
    }
}

#[test]
fn without_colour_and_without_unicode() {
    let mut state = fed();
    let bare = Theme { colour: false, unicode: false, zone: TimeZone::UTC };
    state.limits = vec!["naïve 日本".to_owned()];
    let screen = draw_with(&mut state, (120, 40), &bare);
    assert!(screen.colours.iter().all(|colour| *colour == Color::Reset), "{screen}");
    assert!(screen.to_string().is_ascii(), "{screen}");
    assert!(screen.has("confirmed") && screen.has("> main.lookup.func1"), "{screen}");
}

#[test]
fn every_size_can_be_drawn() {
    let mut state = fed();
    state.limits = vec!["x".repeat(300)];
    let id = state.picture().unwrap().snapshot.processes[1].id;
    for step in 0..6 {
        for size in [(1, 1), (2, 3), (10, 4), (20, 5), (40, 10), (79, 23), (300, 100)] {
            draw(&mut state, size);
        }
        match step {
            0 => drop(act(&mut state, &[Action::Enter])),
            1 => drop(act(&mut state, &[Action::Enter])),
            2 => state.dumped(id, Ok(dump())),
            3 => drop(act(&mut state, &[Action::Enter])),
            4 => drop(act(&mut state, &[Action::Help])),
            _ => state.typing = true,
        }
    }
}

#[test]
fn a_long_list_scrolls() {
    let mut state = State::default();
    let many = (1..=500).map(|pid| made_up::process(pid, pid.into())).collect();
    state.feed(made_up::snapshot(1.0, many));
    act(&mut state, &[Action::Move(250)]);
    let screen = draw(&mut state, (80, 24));
    // The largest first: the 251st of 500 has 250.
    assert!(screen.has("app250"), "{screen}");
    let first = state.processes.first;
    assert!(first > 200, "{first}");
    // Within what is in sight nothing scrolls.
    act(&mut state, &[Action::Move(-3)]);
    draw(&mut state, (80, 24));
    assert_eq!(state.processes.first, first);
    act(&mut state, &[Action::Last]);
    assert!(draw(&mut state, (60, 15)).has("app1"), "{}", draw(&mut state, (60, 15)));
    act(&mut state, &[Action::First]);
    assert!(draw(&mut state, (80, 24)).has("app500"));
}
