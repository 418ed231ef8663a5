//! The page, in a real browser, of a real agent that watches real programs.

mod browser;

use std::{fs, net::TcpListener, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use browser::Browser;
use goroscope_tests::{
    agent::Agent,
    fixture::{self, Mode},
    requires, skip_unless,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};
use rustix::process::Signal;
use serde_json::Value;

/// What is needed.
fn all() -> Result<(), String> {
    requires::kernel()?;
    requires::go(NEWEST)?;
    requires::chromium()
}

fn built(name: &str) -> Result<std::path::PathBuf> {
    fixture::build(name, &Go::find(NEWEST)?, Mode::Normal)
}

fn leaking() -> Result<Speaker> {
    let mut program = Speaker::start(&built("leak")?, &[] as &[&str])?;
    program.say("go")?;
    Ok(program)
}

fn watching(program: &Speaker, options: &[&str]) -> Result<Agent> {
    let pid = program.pid().to_string();
    let agent = Agent::start(&[&["--pid", &pid], options].concat())?;
    agent.wait_read(program.pid())?;
    Ok(agent)
}

/// The text of the first row of the table with this caption.
fn first_row(caption: &str) -> String {
    format!(
        "const table = [...document.querySelectorAll('table')]
            .find((table) => table.caption?.textContent === '{caption}');
        return table?.tBodies[0].rows[0]?.innerText ?? null"
    )
}

#[test]
fn a_leak_rises_to_the_top_and_shows_its_stacks() -> Result<()> {
    skip_unless!("a_leak_rises_to_the_top_and_shows_its_stacks", all());
    let program = leaking()?;
    let agent = watching(&program, &["--http-dumps"])?;
    let page = format!("http://{}/", agent.address());
    let browser = Browser::start()?;
    browser.open(&page)?;
    browser
        .until("it is live", "return document.getElementById('state').textContent === 'Live'")?;
    browser.until(
        "the process has a verdict",
        "return document.querySelector('.c-verdict .badge.confirmed')?.textContent.includes('Leak')",
    )?;
    browser.is_told_in_words()?;
    let evidence = browser.until(
        "evidence",
        "return document.querySelector('.card[data-verdict=confirmed] .evidence')?.innerText",
    )?;
    for rule in ["growth", "survivors", "waiting"] {
        ensure!(evidence.as_str().is_some_and(|words| words.contains(rule)), "{evidence}");
    }
    browser.pictures("processes")?;

    browser.click(".c-program a")?;
    let top = browser.until("the sites are there", &first_row("Creation sites"))?;
    let top = top.as_str().unwrap_or_default().to_owned();
    ensure!(top.contains("main.lookup") && top.contains("main.go:52"), "{top}");
    // That one has no `go` statement.
    ensure!(
        browser.text()?.contains("the main goroutine"),
        "it is named by the runtime's assembly"
    );
    browser.until(
        "the first site is judged, and grows",
        &format!("{}?.match(/Leak[^]*\\+[0-9]/)", first_row("Creation sites")),
    )?;
    browser.until(
        "the charts are drawn",
        "return document.querySelectorAll('figure canvas').length === 3 &&
            [...document.querySelectorAll('figcaption b')].every((value) => value.textContent !== '–')",
    )?;
    browser
        .until("delays are told", "return document.querySelectorAll('.delays .bar').length > 4")?;
    browser.is_told_in_words()?;
    sorts_by_keys(&browser)?;
    filters_sites(&browser)?;
    browser.pictures("process")?;

    browser.click("table .c-stacks a")?;
    shows_stacks(&browser)?;
    browser.is_told_in_words()?;
    browser.pictures("stacks")?;

    browser.reload()?;
    shows_stacks(&browser)?;
    ensure!(browser.text()?.contains("Only those created by"), "{}", browser.text()?);
    browser.is_quiet()?;
    knows_the_last_minutes(&agent, program.pid())
}

/// What the page was made of: points 5 s apart since the agent came, and growth as the judge has it.
fn knows_the_last_minutes(agent: &Agent, pid: u32) -> Result<()> {
    let series: Value = agent.json(&format!("/api/v1/processes/{pid}/series"))?;
    let column = |name: &str| -> Result<Vec<f64>> {
        let values = series.get(name).and_then(Value::as_array).with_context(|| name.to_owned())?;
        Ok(values.iter().filter_map(Value::as_f64).collect())
    };
    let at = column("at")?;
    ensure!(at.len() >= 7, "{series}");
    let mut steps = at.iter().zip(at.iter().skip(1));
    ensure!(steps.all(|(one, next)| (4.0..=9.0).contains(&(next - one))), "{at:?}");
    let (live, created, exited) = (column("goroutines")?, column("created")?, column("exited")?);
    ensure!(live.len() == at.len() && created.len() == at.len(), "{series}");
    ensure!(created.is_sorted() && exited.is_sorted(), "{series}");
    // Those of the runtime itself are created as well, and live on.
    for ((live, created), exited) in live.iter().zip(&created).zip(&exited) {
        ensure!((0.0..40.0).contains(&(created - exited - live)), "{series}");
    }
    ensure!(column("thread_delay_p99")?.len() > 3 && column("go_delay_p99")?.len() > 3, "{series}");

    let sites: Vec<Value> = agent.json(&format!("/api/v1/processes/{pid}/sites"))?;
    let leaks: Vec<Value> = agent.json("/api/v1/leaks")?;
    ensure!(leaks.len() >= 2, "{leaks:?}");
    for leak in leaks {
        let same = |site: &&Value| site.get("location") == leak.get("location");
        let site = sites.iter().find(same).context("no such site")?;
        let number = |of: &Value, name: &str| of.get(name).and_then(Value::as_f64);
        let growth = number(site, "growth_per_minute").context("no growth")?;
        let judged = number(&leak, "per_minute").context("no growth")?;
        ensure!((judged / 2.0..judged * 2.0).contains(&growth), "{growth}, judged: {judged}");
    }
    Ok(())
}

/// A heading is a button: Enter sorts, and again the other way round.
fn sorts_by_keys(browser: &Browser) -> Result<()> {
    let sorted = "return document.querySelector('th.c-live').getAttribute('aria-sort')";
    browser.keys("th.c-live button", "\u{e007}")?;
    ensure!(browser.run(sorted)? == "descending");
    browser.keys_at_focus("\u{e007}")?;
    ensure!(browser.run(sorted)? == "ascending");
    browser.click("th.c-verdict button")?;
    ensure!(browser.run(sorted)?.is_null());
    Ok(())
}

fn filters_sites(browser: &Browser) -> Result<()> {
    let field = "section[aria-labelledby=sites-title] input[type=search]";
    browser.keys(field, "SUBSCRIBE")?;
    let top = browser.run(&first_row("Creation sites"))?;
    ensure!(top.as_str().is_some_and(|row| row.contains("main.(*topic).subscribe")), "{top}");
    let news = browser.run("return document.getElementById('news').textContent")?;
    ensure!(news.as_str().is_some_and(|news| news.starts_with("1 site of ")), "{news}");
    browser.keys(field, "\u{e009}a\u{e000}\u{e017}")?;
    browser.until("all are back", "return document.querySelectorAll('td.c-live').length > 3")?;
    Ok(())
}

/// The flame graph of the leaking site is shown; it is filtered, and gone through by keys.
fn shows_stacks(browser: &Browser) -> Result<()> {
    let named = |name: &str| {
        format!(
            "return [...document.querySelectorAll('.frame')]
                .some((frame) => frame.textContent.includes('{name}'))"
        )
    };
    browser.until("the flame graph is there", &named("main.lookup.func1"))?;
    browser.until("what they wait for", &named("[chan send]"))?;
    ensure!(browser.run(&named("main.drain"))? == false, "stacks of another site");
    let field = "main input[type=search]";
    browser.keys(field, "nothing is called so")?;
    browser
        .until("nothing is left", "return document.body.innerText.includes('No stack matches')")?;
    browser.keys(field, "\u{e009}a\u{e000}\u{e017}")?;
    browser.until("it is there again", &named("main.lookup.func1"))?;
    // Tab order has one frame; arrows go from there, Enter widens, Escape shows all.
    browser.run("document.querySelector('.frame[tabindex=\"0\"]').focus()")?;
    browser.keys_at_focus("\u{e015}")?;
    let focused = "return document.activeElement.getAttribute('aria-label')";
    let label = browser.run(focused)?;
    ensure!(label.as_str().is_some_and(|label| label.contains("100 %, level 1")), "{label}");
    browser.keys_at_focus("\u{e007}")?;
    ensure!(browser.run(focused)? == label, "the focus stays");
    let whole = "return [...document.querySelectorAll('button')]
        .find((button) => button.textContent === 'Whole graph').disabled";
    ensure!(browser.run(whole)? == false);
    browser.keys_at_focus("\u{e00c}")?;
    ensure!(browser.run(whole)? == true);
    Ok(())
}

#[test]
fn it_says_that_the_agent_is_gone_and_goes_on_when_it_is_back() -> Result<()> {
    skip_unless!("it_says_that_the_agent_is_gone_and_goes_on_when_it_is_back", all());
    let program = leaking()?;
    // A port of our own, which the next agent gets as well.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let listen = format!("127.0.0.1:{port}");
    let options = ["--listen", listen.as_str()];
    let first = watching(&program, &options)?;
    let browser = Browser::start()?;
    browser.open(&format!("http://{listen}/#/process/{}", program.pid()))?;
    let live = "return document.getElementById('state').textContent === 'Live'";
    browser.until("it is live", live)?;
    browser.until("sites are there", &first_row("Creation sites"))?;
    browser.is_quiet()?;

    first.end(Signal::TERM)?;
    browser.until(
        "it says so",
        "return document.getElementById('state').textContent.startsWith('Disconnected')",
    )?;
    ensure!(browser.text()?.contains("main.lookup"), "what was known is still there");
    browser.pictures("disconnected")?;
    let second = watching(&program, &options)?;
    browser.until("it is live again", live)?;
    let lost = browser.console()?;
    ensure!(lost.iter().all(|line| line.contains("ERR_CONNECTION_REFUSED")), "{lost:?}");

    browser.click("#pause")?;
    browser.until(
        "it is paused",
        "return document.getElementById('state').textContent === 'Paused'",
    )?;
    browser.click("#pause")?;
    browser.until("it goes on", live)?;
    drop(program);
    browser.until(
        "the process is gone",
        "return document.body.innerText.includes('is not watched')",
    )?;
    drop(second);
    Ok(())
}

#[test]
fn it_says_how_dumps_are_allowed() -> Result<()> {
    skip_unless!("it_says_how_dumps_are_allowed", all());
    let program = leaking()?;
    let agent = watching(&program, &[])?;
    let browser = Browser::start()?;
    browser.open(&format!("http://{}/#/process/{}/stacks", agent.address(), program.pid()))?;
    browser.until(
        "it says how",
        "return document.querySelector('.notice:not([hidden])')?.textContent.includes('--http-dumps')",
    )?;
    browser.pictures("refused")?;
    // That it was refused is noted by the browser itself.
    let console = browser.console()?;
    ensure!(console.iter().all(|line| line.contains("403 (Forbidden)")), "{console:?}");

    // Colours that are chosen by hand stay.
    let back = "return getComputedStyle(document.body).backgroundColor";
    let light = browser.run(back)?;
    browser.run(
        "const theme = document.getElementById('theme'); theme.value = 'dark';
        theme.dispatchEvent(new Event('change'))",
    )?;
    let dark = browser.run(back)?;
    ensure!(dark != light, "{light}");
    browser.reload()?;
    ensure!(browser.run(back)? == dark);
    Ok(())
}

#[test]
fn names_that_would_do_harm_do_none() -> Result<()> {
    skip_unless!("names_that_would_do_harm_do_none", all());
    let folder = tempfile::tempdir()?;
    let path =
        folder.path().join("<img src=x onerror=document.title='owned'>\u{1b}[31m\u{202e}&lt;");
    fs::copy(built("hostile")?, &path)?;
    let program = Speaker::start_command(&mut Command::new(Path::new(&path)))?;
    let agent = watching(&program, &["--http-dumps"])?;
    let address = agent.address();
    let pid = program.pid();
    let browser = Browser::start()?;
    for (part, telling) in [
        ("".to_owned(), "<img src=x onerror="),
        (format!("#/process/{pid}"), "<script>document.title='owned'"),
        (format!("#/process/{pid}/stacks"), "main.Longabcdefghij"),
        (
            format!("#/process/{pid}/stacks?created_by=%3Cimg%20src%3Dx%3E&start=%1b%E2%80%AE"),
            "Show all",
        ),
    ] {
        browser.open("about:blank")?;
        browser.open(&format!("http://{address}/{part}"))?;
        let telling = format!("return document.body.innerText.includes(\"{telling}\")");
        browser.until("the names are there", &telling)?;
        let text = browser.text()?;
        let harmful = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
        ensure!(!text.contains(harmful), "{text:?}");
        let longest = text.split_whitespace().map(str::len).max().context("no text")?;
        ensure!(longest < 500, "a word of {longest} letters");
        let made =
            browser.run("return document.querySelectorAll('img, main script, iframe').length")?;
        ensure!(made == 0, "{made} elements were made of names");
        let titles = "return [document.title, ...[...document.querySelectorAll('[title]')]
            .map((element) => element.title)].join('')";
        let titles = browser.run(titles)?;
        let titles = titles.as_str().context("no title")?;
        ensure!(!titles.starts_with("owned") && !titles.contains(harmful), "{titles:?}");
        browser.is_quiet()?;
        browser.is_told_in_words()?;
    }
    browser.open(&format!("http://{address}/#/process/{pid}/stacks"))?;
    browser.until("frames", "return document.querySelectorAll('.frame').length")?;
    browser.pictures("hostile-stacks")?;
    browser.open(&format!("http://{address}/#/process/{pid}"))?;
    browser.until("sites", &first_row("Creation sites"))?;
    browser.pictures("hostile-process")
}
