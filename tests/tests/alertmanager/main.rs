//! Alerts reach Alertmanager: one that is as it should be, and one that is not.

mod chain;
mod fake;
mod real;
mod tls;
mod watched;

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use fake::{Alerts as _, Answer, Fake};
use goroscope_tests::{agent, poll, process::Guard, requires, skip_unless, toolchain::NEWEST};
use watched::{HIGH, PATIENCE, Watched, text};

#[test]
fn an_alert_is_sent_again_while_it_fires_and_once_when_it_is_over() -> Result<()> {
    skip_unless!(
        "an_alert_is_sent_again_while_it_fires_and_once_when_it_is_over",
        requires::go(NEWEST)
    );
    let fake = Fake::start()?;
    let mut watched = Watched::start(&format!("    - {}\n", fake.url()), &[])?;
    let pid = watched.program.pid().to_string();
    let alerts = poll::until("the alert comes three times", PATIENCE, || {
        Ok(Some(fake.alerts("pid", &pid)).filter(|alerts| alerts.len() >= 3))
    })?;
    for alert in &alerts {
        ensure!(
            text(alert, "/labels/alertname")? == HIGH && text(alert, "/labels/exe")? == "parked"
        );
        ensure!(text(alert, "/annotations/summary")?.contains("has 21 goroutines"), "{alert}");
        ensure!(text(alert, "/annotations/runbook_url")?.contains(HIGH), "{alert}");
        let (starts, ends) = (text(alert, "/startsAt")?, text(alert, "/endsAt")?);
        // Both in UTC and equally long, so that they can be compared as text.
        ensure!(starts == text(&alerts[0], "/startsAt")? && ends > starts, "{alert}");
    }
    ensure!(text(&alerts[2], "/endsAt")? > text(&alerts[0], "/endsAt")?, "{alerts:?}");
    let first = fake.received().into_iter().next().context("nothing was received")?;
    ensure!(first.path == "/api/v2/alerts", "{first:?}");
    ensure!(first.header("content-type") == Some("application/json"), "{first:?}");
    ensure!(first.header("authorization").is_none(), "{first:?}");
    let url = fake.url();
    let delivered = [("alertmanager", url.as_str()), ("outcome", "delivered")];
    ensure!(watched.count("goroscope_notifications_total", &delivered)? >= 2);
    ensure!(watched.count("goroscope_alerts_firing", &[])? == 1);

    watched.program.say("quit")?;
    watched.program.guard().wait(PATIENCE)?;
    let firing_until = text(&alerts[0], "/endsAt")?.to_owned();
    poll::until("nothing is firing", PATIENCE, || {
        Ok((watched.count("goroscope_alerts_firing", &[])? == 0).then_some(()))
    })?;
    thread::sleep(Duration::from_secs(3));
    let all = fake.alerts("pid", &pid);
    let count = all.len();
    let (last, before) = all.split_last().context("nothing was received")?;
    // Those before it were to last for four resends, the last was over when it was sent.
    ensure!(text(last, "/endsAt")? < text(&before[before.len() - 1], "/endsAt")?, "{all:?}");
    ensure!(text(last, "/endsAt")? > text(&alerts[0], "/startsAt")?, "{all:?} {firing_until}");
    thread::sleep(Duration::from_secs(2));
    ensure!(fake.alerts("pid", &pid).len() == count, "what is over is sent again");
    Ok(())
}

#[test]
fn refused_alerts_are_dropped_and_others_kept() -> Result<()> {
    skip_unless!("refused_alerts_are_dropped_and_others_kept", requires::go(NEWEST));
    let fake = Fake::start()?;
    fake.answer(Answer::Status(400, "the first line\nthe second line\n".to_owned()));
    let watched = Watched::start(&format!("    - {}\n", fake.url()), &[])?;
    poll::until("three are refused", PATIENCE, || {
        let rejected = [("outcome", "rejected")];
        let rejected = watched.count("goroscope_notifications_total", &rejected)?;
        let dropped = watched.count("goroscope_notifications_dropped_total", &[])?;
        Ok((rejected >= 3 && dropped >= 3).then_some(()))
    })?;
    watched.logged(&["refused, and dropped", "400", "the first line"])?;
    let log = watched.agent.log();
    let lines: Vec<_> = log.iter().filter(|line| line.contains("refused, and dropped")).collect();
    ensure!(lines.len() == 1 && !lines[0].contains("second"), "{lines:?}");

    fake.answer(Answer::Status(503, "busy".to_owned()));
    poll::until("two fail", PATIENCE, || {
        let failed = watched.count("goroscope_notifications_total", &[("outcome", "failed")])?;
        Ok((failed >= 2).then_some(()))
    })?;
    let dropped = watched.count("goroscope_notifications_dropped_total", &[])?;
    fake.answer(Answer::Status(200, String::new()));
    watched.logged(&["takes alerts again"])?;
    ensure!(watched.count("goroscope_notifications_dropped_total", &[])? == dropped);
    Ok(())
}

#[test]
fn one_that_cannot_be_reached_holds_up_nothing() -> Result<()> {
    skip_unless!("one_that_cannot_be_reached_holds_up_nothing", requires::go(NEWEST));
    let (well, silent) = (Fake::start()?, Fake::start()?);
    silent.answer(Answer::Silence);
    let reserved = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let down = reserved.local_addr()?;
    drop(reserved);
    let urls = [
        silent.url(),
        format!("http://{down}"),
        "http://alertmanager.invalid:9093".to_owned(),
        well.url(),
    ];
    let lines: String = urls.iter().map(|url| format!("    - {url}\n")).collect();
    let watched = Watched::start(&lines, &[])?;
    poll::until("the one that is well is told", PATIENCE, || {
        Ok((well.alerts("alertname", HIGH).len() >= 2).then_some(()))
    })?;
    watched.logged(&["are kept", &urls[1], "nothing listens there"])?;
    watched.logged(&["are kept", &urls[2], "resolver"])?;
    let asked = Instant::now();
    watched.agent.scrape()?;
    ensure!(asked.elapsed() < Duration::from_secs(5), "a scrape took {:?}", asked.elapsed());
    watched.logged(&["are kept", &urls[0], "no answer within 10 s"])?;

    // Up at last: it hears of what began before.
    let back = Fake::start_at(down)?;
    poll::until("the one that was down is told", PATIENCE * 2, || {
        Ok((!back.alerts("alertname", HIGH).is_empty()).then_some(()))
    })?;
    ensure!(back.address() == down);
    watched.logged(&["takes alerts again", &urls[1]])?;
    ensure!(watched.count("goroscope_notifications_dropped_total", &[])? == 0);
    let log = watched.agent.log();
    let told = log.iter().filter(|line| line.contains("are kept"));
    ensure!(told.clone().count() <= 6, "the log is flooded: {:#?}", told.collect::<Vec<_>>());
    // The end does not wait for those that do not answer.
    let (status, took, log) = watched.agent.end(rustix::process::Signal::TERM)?;
    ensure!(status.success() && took < Duration::from_secs(8), "{status} {took:?} {log:?}");
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused_at_the_start() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("goroscope.yaml");
    let path = config.display().to_string();
    for (lines, code, words) in [
        ("    - {url: https://a, tls: {ca_file: /nonexistent.pem}}\n", 1, "/nonexistent.pem"),
        ("    - {url: https://a, tls: {ca_file: $DIR/goroscope.yaml}}\n", 1, "no certificate"),
        ("    - {url: https://a, tls: {ca: x}}\n", 2, "goroscope.yaml:6:"),
        ("    - alertmanager:9093\n", 2, "http://HOST:PORT"),
    ] {
        fs::write(&config, watched::configuration(lines, folder.path()))?;
        let mut command = agent::command(&["--pid", "1", "--probes", "off", "--config", &path])?;
        let mut guard = Guard::start(&mut command)?;
        let status = guard.wait(PATIENCE)?;
        let mut errors = String::new();
        let mut pipe = guard.child().stderr.take().context("no pipe")?;
        std::io::Read::read_to_string(&mut pipe, &mut errors)?;
        ensure!(status.code() == Some(code), "{lines}: {status}: {errors}");
        ensure!(errors.contains(words), "{lines}: {errors}");
    }
    Ok(())
}
