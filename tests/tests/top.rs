//! `top` in a real terminal, with real keys, at three sizes; and without a terminal, for scripts.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt as _,
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    census::Census,
    fixture::{self, Mode},
    requires, skip_unless,
    speaker::Speaker,
    tmux::{self, Tmux},
    toolchain::{Go, NEWEST},
    user::{self, SOMEBODY},
    workspace,
};
use serde_json::Value;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (60, 15)];

/// Until something is on the screen; generous, for a busy machine.
const SOON: Duration = Duration::from_secs(30);
/// Until the judge is sure.
const SURE: Duration = Duration::from_secs(150);

fn needs() -> Result<(), String> {
    requires::kernel().and_then(|()| requires::go(NEWEST)).and_then(|()| tmux::usable())
}

/// `top` on one process, in a terminal; what becomes of that is told behind its end.
fn top(width: u16, height: u16, options: &str) -> Result<Tmux> {
    let goroscope = workspace::goroscope()?;
    Tmux::start(width, height, &format!("{} top {options}; {AFTERWARDS}", goroscope.display()))
}

/// Tells how it ended, and how many of the terminal's usual settings there are.
const AFTERWARDS: &str = "echo \"it gave $?\"; \
    stty -a | tr ' ' '\\n' | grep -cx -e icanon -e isig -e echo -e opost -e icrnl; cat";

/// Leaves `top`; the terminal is as it was.
fn leave(tmux: &Tmux, key: &str) -> Result<()> {
    tmux.press(&[key])?;
    is_given_back(tmux)
}

fn is_given_back(tmux: &Tmux) -> Result<()> {
    let screen = tmux.wait("top has ended", SOON, |screen| {
        let mut lines = screen.lines().skip_while(|line| *line != "it gave 0");
        lines.nth(1).is_some_and(|line| !line.is_empty())
    })?;
    ensure!(screen.contains("it gave 0\n5\n"), "settings are missing:\n{screen}");
    // What was drawn is gone, and the mouse is the terminal's again.
    ensure!(!screen.contains("top · 1 process"), "{screen}");
    for (name, value) in [("alternate_on", "0"), ("mouse_any_flag", "0"), ("cursor_flag", "1")] {
        let found = tmux.variable(name)?;
        ensure!(found == value, "{name} is {found}:\n{screen}");
    }
    Ok(())
}

fn line_of(screen: &str, text: &str) -> Result<usize> {
    let found = screen.lines().position(|line| line.contains(text));
    found.with_context(|| format!("{text:?} is not on the screen:\n{screen}"))
}

fn leaking() -> Result<Speaker> {
    let path = fixture::build("leak", &Go::find(NEWEST)?, Mode::Normal)?;
    let mut target = Speaker::start(&path, &[] as &[&str])?;
    target.say("go")?;
    Ok(target)
}

#[test]
fn the_leaking_site_rises_to_the_top() -> Result<()> {
    skip_unless!("the_leaking_site_rises_to_the_top", needs());
    let target = leaking()?;
    let pid = target.pid().to_string();
    let tops: Vec<Tmux> = SIZES
        .into_iter()
        .map(|(width, height)| top(width, height, &format!("--pid {pid}")))
        .collect::<Result<_>>()?;
    for (tmux, size) in tops.iter().zip(SIZES) {
        walk(tmux, &pid).with_context(|| format!("at {size:?}"))?;
    }
    target.quit()?;
    Ok(())
}

/// Through all levels and keys.
fn walk(tmux: &Tmux, pid: &str) -> Result<()> {
    tmux.wait("the process is listed", SOON, |screen| {
        screen.contains(pid) && screen.contains("GROWTH/s") && screen.contains("leak")
    })?;
    tmux.press(&["Enter"])?;
    let title = format!("processes › leak ({pid})");
    tmux.wait("its sites are listed", SOON, |screen| {
        screen.contains(&title) && screen.contains("main.lookup main.go:52")
    })?;
    // The heads are in the third line. Two sites leak; which of them is larger depends on the machine.
    let screen = tmux.wait("the leaking sites are the first, with a verdict", SURE, |screen| {
        let first: Vec<&str> = screen.lines().skip(3).take(2).collect();
        let confirmed = first.iter().find(|line| line.contains("main.lookup main.go:52"));
        confirmed.is_some_and(|line| line.starts_with("confirmed"))
            && first.iter().any(|line| line.contains("subscribe"))
    })?;
    let leaking = line_of(&screen, "main.lookup main.go:52")?;
    ensure!(screen.lines().nth(leaking).is_some_and(|line| line.contains(" +")), "{screen}");

    // Another order, by a key and by the mouse.
    tmux.press(&[">"])?;
    tmux.wait("sorted by what lives", SOON, |screen| screen.contains("vLIVE"))?;
    tmux.press(&["r"])?;
    tmux.wait("sorted the other way round", SOON, |screen| screen.contains("^LIVE"))?;
    tmux.click(3, 2)?;
    let screen = tmux.wait("sorted by the mouse", SOON, |screen| screen.contains("LEAKv"))?;
    ensure!(line_of(&screen, "main.lookup main.go:52")? <= 4, "{screen}");

    // A filter.
    tmux.press(&["/", "s", "u", "b", "S", "c", "r"])?;
    let shown = |screen: &str| screen.contains("subscribe") && !screen.contains("main.lookup");
    tmux.wait("filtered", SOON, |screen| shown(screen) && screen.contains("filter: subScr"))?;
    tmux.press(&["Enter"])?;
    tmux.wait("the filter stays", SOON, |screen| shown(screen) && screen.contains("? help"))?;
    tmux.press(&["Escape"])?;
    tmux.wait("the filter is dropped", SOON, |screen| screen.contains("main.lookup main.go:52"))?;

    // The help.
    tmux.press(&["?"])?;
    let screen = tmux.wait("the help", SOON, |screen| screen.contains("Keys"))?;
    ensure!(!screen.contains("main.lookup"), "{screen}");
    tmux.press(&["End"])?;
    tmux.wait("its end", SOON, |screen| screen.contains("memory of the goroutines' stacks"))?;
    tmux.press(&["Escape"])?;

    // It stands still, while the program goes on.
    tmux.press(&["Space"])?;
    let before = tmux.wait("paused", SOON, |screen| {
        screen.contains("PAUSED") && screen.contains("main.lookup")
    })?;
    thread::sleep(Duration::from_millis(2500));
    let after = tmux.screen()?;
    ensure!(before == after, "it moved:\n{before}\n{after}");
    tmux.press(&["Space"])?;
    tmux.wait("it goes on", SOON, |screen| !screen.contains("PAUSED") && screen != before)?;

    // The first row again, whatever the mouse had selected: its stacks, then one of them.
    tmux.press(&["Home", "Enter"])?;
    tmux.wait("stacks", SOON, |screen| {
        screen.contains("vCOUNT")
            && (screen.contains("main.lookup.func1") || screen.contains("main.drain"))
    })?;
    tmux.press(&["Enter"])?;
    let screen = tmux.wait("a stack", SOON, |screen| screen.contains("created by main."))?;
    ensure!(screen.contains("/main.go:"), "{screen}");
    tmux.press(&["Escape"])?;
    tmux.wait("back at the stacks", SOON, |screen| screen.contains("vCOUNT"))?;
    tmux.press(&["Escape"])?;
    tmux.wait("back at the sites", SOON, |screen| screen.contains("main.lookup main.go:52"))?;
    tmux.press(&["Escape"])?;
    tmux.wait("back at the processes", SOON, |screen| screen.contains("GOROUT"))?;
    leave(tmux, "q")
}

#[test]
fn sizes_change_while_it_runs() -> Result<()> {
    skip_unless!("sizes_change_while_it_runs", needs());
    let target = leaking()?;
    let tmux = top(80, 24, &format!("--pid {} --interval 200ms", target.pid()))?;
    tmux.wait("both delays", SOON, |screen| {
        screen.contains("GO p99") && screen.contains("GO delay")
    })?;
    tmux.resize(60, 15)?;
    tmux.wait("what fits", SOON, |screen| {
        screen.contains("GOROUT") && !screen.contains("GO delay") && screen.lines().count() <= 15
    })?;
    tmux.resize(140, 45)?;
    tmux.wait("more of it", SOON, |screen| screen.contains("CPU p50") && screen.contains("TREND"))?;
    for _ in 0..20 {
        tmux.resize(61, 16)?;
        tmux.resize(100, 30)?;
    }
    tmux.wait("the last size", SOON, |screen| screen.contains("GO delay"))?;
    leave(&tmux, "C-c")
}

#[test]
fn the_terminal_is_given_back_when_it_is_ended() -> Result<()> {
    skip_unless!("the_terminal_is_given_back_when_it_is_ended", needs());
    let target = leaking()?;
    for signal in ["TERM", "INT", "HUP"] {
        let folder = tempfile::tempdir()?;
        let note = folder.path().join("pid");
        let goroscope = workspace::goroscope()?;
        let command = format!(
            "sh -c 'echo $$ > {}; exec {} top --pid {}'; {AFTERWARDS}",
            note.display(),
            goroscope.display(),
            target.pid()
        );
        let tmux = Tmux::start(80, 24, &command)?;
        tmux.wait("it runs", SOON, |screen| screen.contains("GOROUT"))?;
        for name in ["alternate_on", "mouse_any_flag"] {
            ensure!(tmux.variable(name)? == "1", "{name}");
        }
        let pid = fs::read_to_string(&note)?.trim().to_owned();
        let killed = Command::new("kill").args(["-s", signal, &pid]).status()?;
        ensure!(killed.success(), "kill -s {signal} {pid}");
        is_given_back(&tmux).with_context(|| format!("after SIG{signal}"))?;
    }
    Ok(())
}

#[test]
fn hostile_names_are_harmless_in_a_terminal() -> Result<()> {
    skip_unless!("hostile_names_are_harmless_in_a_terminal", needs());
    let path = fixture::build("longname", &Go::find(NEWEST)?, Mode::Normal)?;
    let folder = tempfile::tempdir()?;
    let mut name = b"a\x1b[2J\x07\x1b]0;owned\x07\n<b>\xe2\x80\xae".to_vec();
    name.resize(240, b'x');
    let copy = folder.path().join(OsStr::from_bytes(&name));
    // By another process, as no descriptor that is open for writing may be inherited.
    ensure!(Command::new("cp").arg(&path).arg(&copy).status()?.success());
    let target = Speaker::start(&copy, &[] as &[&str])?;
    for (width, height) in SIZES {
        let tmux = top(width, height, &format!("--pid {}", target.pid()))?;
        let screen =
            tmux.wait("it is listed", SOON, |screen| screen.contains(&target.pid().to_string()))?;
        is_whole(&tmux, &screen, height)?;
        tmux.press(&["Enter"])?;
        let screen = tmux.wait("the long name", SOON, |screen| {
            screen.contains("LongLong") && screen.contains("main.go:")
        })?;
        is_whole(&tmux, &screen, height)?;
        if height >= 24 {
            ensure!(screen.contains(r"\u{1b}[2"), "{screen}");
        }
        tmux.press(&["Enter"])?;
        let screen = tmux.wait("its stacks", SOON, |screen| screen.contains("LongLong"))?;
        is_whole(&tmux, &screen, height)?;
        leave(&tmux, "q")?;
    }
    let output = script(&["--pid", &target.pid().to_string(), "--once"])?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(text.lines().count() == 2 && text.contains(r"\u{1b}[2J"), "{text:?}");
    ensure!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    target.quit()?;
    Ok(())
}

/// The frame is where it belongs, and nothing is in it that does not belong there.
fn is_whole(tmux: &Tmux, screen: &str, height: u16) -> Result<()> {
    let lines: Vec<&str> = screen.lines().collect();
    ensure!(lines.len() == usize::from(height), "{} lines:\n{screen}", lines.len());
    ensure!(lines.first().is_some_and(|line| line.contains("top · 1 process")), "{screen}");
    ensure!(lines.last().is_some_and(|line| line.starts_with("? help")), "{screen}");
    ensure!(!screen.contains('\u{202e}') && !screen.contains('\x07'), "{screen:?}");
    // No code of the name's got through: one of them sets the title.
    ensure!(!tmux.variable("pane_title")?.contains("owned"), "{screen:?}");
    Ok(())
}

/// `top` without a terminal.
fn script(options: &[&str]) -> Result<Output> {
    let mut command = Command::new(workspace::goroscope()?);
    Ok(command.arg("top").args(options).stdin(Stdio::null()).output()?)
}

fn ended_well(output: &Output) -> Result<String> {
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {errors}", output.status);
    Ok(String::from_utf8(output.stdout.clone())?)
}

#[test]
fn once_says_what_the_program_says_of_itself() -> Result<()> {
    let needed = requires::kernel().and_then(|()| requires::go(NEWEST));
    skip_unless!("once_says_what_the_program_says_of_itself", needed);
    let path = fixture::build("parked", &Go::find(NEWEST)?, Mode::Normal)?;
    // The fixture says that it is ready when there are so many, and the main goroutine.
    let target = Speaker::start(&path, &["3000"])?;
    let pid = target.pid().to_string();
    let text = ended_well(&script(&["--pid", &pid, "--once", "--interval", "500ms"])?)?;
    ensure!(text.lines().count() == 2, "{text}");
    ensure!(text.lines().next().is_some_and(|line| line.trim_start().starts_with("PID")), "{text}");
    let row: Vec<&str> = text.lines().nth(1).context("no row")?.split_whitespace().collect();
    ensure!(row.first() == Some(&&*pid) && row.get(2) == Some(&"3001"), "{text}");

    let text = ended_well(&script(&["--pid", &pid, "--once", "--output", "json"])?)?;
    ensure!(text.lines().count() == 1, "{text}");
    let interval: Value = serde_json::from_str(&text)?;
    let process = &interval["processes"][0];
    ensure!(process["pid"] == target.pid() && process["goroutines"] == 3001, "{process}");
    ensure!(process["watch"]["runtime"] == "ok" && process["watch"]["probes"] == "ok", "{process}");
    ensure!(process["growth_per_second"] == 0.0, "{process}");
    ensure!(process["created_per_second"] == 0.0, "{process}");
    let sites = process["sites"].as_array().context("no sites")?;
    let live = |doing: &str| {
        let at = sites.iter().filter(|site| site["created_by"] == "main.main");
        at.filter_map(|site| site["doing"][doing].as_u64()).sum::<u64>()
    };
    for doing in ["chan receive", "select", "sync.WaitGroup.Wait"] {
        ensure!(live(doing) == 1000, "{doing}: {}", live(doing));
    }
    ensure!(interval["warnings"].as_array().is_some_and(Vec::is_empty), "{interval}");
    target.quit()?;
    Ok(())
}

#[test]
fn intervals_add_up() -> Result<()> {
    let needed = requires::kernel().and_then(|()| requires::go(NEWEST));
    skip_unless!("intervals_add_up", needed);
    let target = leaking()?;
    let pid = target.pid().to_string();
    let mut command = Command::new(workspace::goroscope()?);
    let mut top = goroscope_tests::process::Guard::start(
        command
            .args(["top", "--pid", &pid, "--output", "json", "--interval", "500ms"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped()),
    )?;
    let stdout = top.child().stdout.take().context("no pipe")?;
    let lines = std::io::BufRead::lines(std::io::BufReader::new(stdout)).take(8);
    let intervals: Vec<Value> =
        lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect::<Result<_>>()?;
    let number = |value: &Value| value.as_f64().with_context(|| format!("{value} is no number"));
    for pair in intervals.windows(2) {
        let [before, after] = pair else { continue };
        let seconds = number(&after["interval_seconds"])?;
        let process = &after["processes"][0];
        let born =
            number(&process["created_total"])? - number(&before["processes"][0]["created_total"])?;
        let told = number(&process["created_per_second"])? * seconds;
        ensure!((born - told).abs() < 0.01, "{born} were born, {told} are told");
        // It takes 200 requests a second, with three goroutines each, as far as the machine lets it.
        ensure!(born / seconds > 10.0, "{process}");
        let delay = &process["thread_delay"];
        ensure!(number(&delay["p50_seconds"])? <= number(&delay["p99_seconds"])?, "{process}");
        ensure!(number(&process["goroutine_delay"]["count"])? > 0.0, "{process}");
    }
    // Who has seen enough closes the pipe; who has had enough sends a signal.
    top.signal(rustix::process::Signal::TERM)?;
    ensure!(top.wait(SOON)?.success(), "it did not end well");
    target.quit()?;
    Ok(())
}

#[test]
fn without_rights_it_says_so_and_goes_on() -> Result<()> {
    let name = "without_rights_it_says_so_and_goes_on";
    let needed = requires::root()
        .and_then(|()| requires::command("setpriv"))
        .and_then(|()| requires::go(NEWEST))
        .and_then(|()| user::yama_allows());
    skip_unless!(name, needed);
    let built = fixture::build("census", &Go::find(NEWEST)?, Mode::Normal)?;
    let (_folder, copies) = user::public_copies(&[&workspace::goroscope()?, &built])?;
    let [goroscope, census] = &copies[..] else { anyhow::bail!("two copies") };
    let mut target = Speaker::start_command(&mut user::command(SOMEBODY, &[], census))?;
    let census = Census::take(&mut target)?;
    let pid = target.pid().to_string();
    let mut command = user::command(SOMEBODY, &[], goroscope);
    let output = command
        .args(["top", "--pid", &pid, "--once", "--output", "json", "--interval", "300ms"])
        .output()?;
    let interval: Value = serde_json::from_str(&ended_well(&output)?)?;
    let warnings = interval["warnings"].to_string();
    ensure!(warnings.contains("no eBPF") && warnings.contains("this user only"), "{warnings}");
    let process = &interval["processes"][0];
    ensure!(process["goroutines"] == census.num_goroutine, "{process}");
    ensure!(process["thread_delay"].is_null(), "{process}");
    if let Ok(()) = tmux::usable() {
        let command = format!(
            "setpriv --reuid {SOMEBODY} --regid {SOMEBODY} --clear-groups --bounding-set=-all \
             --inh-caps=-all {} top --pid {pid}; echo gave $?; cat",
            goroscope.display()
        );
        let tmux = Tmux::start(80, 24, &command)?;
        let screen = tmux.wait("it is listed", SOON, |screen| screen.contains(&pid))?;
        ensure!(screen.contains("processes of this user only"), "{screen}");
    }
    target.quit()?;
    Ok(())
}

#[test]
fn a_process_that_is_not_there() -> Result<()> {
    let needed = requires::kernel().and_then(|()| tmux::usable());
    skip_unless!("a_process_that_is_not_there", needed);
    let output = script(&["--pid", "4294967295", "--once"])?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1) && output.stdout.is_empty(), "{output:?}");
    ensure!(text.contains("4294967295") && text.contains("hint: "), "{text}");
    let tmux = top(80, 24, "--pid 4294967295")?;
    let screen = tmux.wait("it says so", SOON, |screen| screen.contains("it gave 1"))?;
    ensure!(screen.contains("4294967295") && screen.contains("hint: "), "{screen}");
    Ok(())
}

#[test]
fn colours_are_left_out_where_nobody_wants_them() -> Result<()> {
    skip_unless!("colours_are_left_out_where_nobody_wants_them", needs());
    let target = leaking()?;
    let goroscope = workspace::goroscope()?;
    // Cyan, in either of the ways to say it.
    let is_painted = |screen: &str| screen.contains("\x1b[36m") || screen.contains("38;5;6");
    for (variable, painted) in [("NO_COLOR=", true), ("NO_COLOR=1", false)] {
        let command = format!("env {variable} {} top --pid {}", goroscope.display(), target.pid());
        let tmux = Tmux::start(120, 40, &command)?;
        tmux.wait("it is listed", SOON, |screen| {
            screen.contains("CPU delay") && screen.contains('▁')
        })?;
        let screen = tmux.painted()?;
        ensure!(is_painted(&screen) == painted, "{variable}:\n{screen:?}");
        ensure!(
            screen.contains("\x1b[7m") || screen.contains(";7m"),
            "nothing is selected:\n{screen:?}"
        );
    }
    Ok(())
}
