//! Collectors that are down, refuse, do not answer, or are not who they should be.

use std::{
    fs,
    io::Read as _,
    net::{Ipv4Addr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::{self, Agent},
    authority::{authority, issue, server_config},
    fake::{Answer, Fake},
    fixture::{self, Mode},
    poll,
    process::Guard,
    requires, skip_unless,
    speaker::Speaker,
    toolchain::{Go, NEWEST},
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use prost::Message as _;

use crate::collector::of_process;

/// How long anything may take; generous, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program, and an agent that pushes what it sees of it.
struct Pushed {
    program: Speaker,
    agent: Agent,
}

impl Pushed {
    fn start(url: &str, options: &[&str]) -> Result<Self> {
        let path = fixture::build("parked", &Go::find(NEWEST)?, Mode::Normal)?;
        let program = Speaker::start(&path, &["20"])?;
        let pid = program.pid().to_string();
        let common = ["--pid", &pid, "--probes", "off", "--otlp-endpoint", url];
        let agent = Agent::start(&[&common[..], options].concat())?;
        agent.wait_read(program.pid())?;
        Ok(Self { program, agent })
    }

    /// Waits until the log has a line with all of these.
    fn logged(&self, words: &[&str]) -> Result<()> {
        poll::until(&format!("the log has {words:?}"), PATIENCE, || {
            let log = self.agent.log();
            let found = log.iter().any(|line| words.iter().all(|word| line.contains(word)));
            Ok(found.then_some(()))
        })
        .with_context(|| self.agent.log().join("\n"))
    }

    fn exports(&self, outcome: &str) -> Result<u64> {
        self.agent.scrape()?.count("goroscope_otlp_exports_total", &[("outcome", outcome)])
    }

    fn wait_for(&self, outcome: &str, more: u64) -> Result<()> {
        let before = self.exports(outcome)?;
        poll::until(&format!("{more} more are {outcome}"), PATIENCE, || {
            Ok((self.exports(outcome)? >= before + more).then_some(()))
        })
        .with_context(|| self.agent.log().join("\n"))
    }

    /// It goes on watching, and answers at once.
    fn watches(&self) -> Result<()> {
        let asked = Instant::now();
        let pid = self.program.pid().to_string();
        self.agent.scrape()?.count("goroscope_goroutines", &[("pid", &pid)])?;
        let took = asked.elapsed();
        ensure!(took < Duration::from_secs(3), "a scrape took {took:?}");
        Ok(())
    }
}

fn protobuf(status: u16, body: Vec<u8>) -> Answer {
    Answer::Whole(status, vec![("Content-Type", "application/x-protobuf".to_owned())], body)
}

#[test]
fn a_collector_that_is_down_gets_what_is_new_when_it_is_back() -> Result<()> {
    skip_unless!("a_collector_that_is_down_gets_what_is_new_when_it_is_back", requires::go(NEWEST));
    let reserved = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let down = reserved.local_addr()?;
    drop(reserved);
    let pushed = Pushed::start(&format!("http://{down}"), &["--otlp-interval", "4s"])?;
    pushed.logged(&["sent again", &down.to_string(), "nothing listens there"])?;
    pushed.wait_for("failed", 1)?;
    pushed.watches()?;
    let retries = pushed.agent.scrape()?.count("goroscope_otlp_retries_total", &[])?;
    ensure!(retries >= 1, "{retries}");

    let back = Fake::start_at(down)?;
    poll::until("something comes", PATIENCE, || {
        Ok((!of_process(&back, pushed.program.pid())?.is_empty()).then_some(()))
    })?;
    pushed.logged(&["takes measurements again", &down.to_string()])?;
    let log = pushed.agent.log();
    let told = log.iter().filter(|line| line.contains("cannot be delivered"));
    ensure!(told.clone().count() == 1, "{:#?}", told.collect::<Vec<_>>());
    Ok(())
}

#[test]
fn what_is_refused_is_dropped_and_told() -> Result<()> {
    skip_unless!("what_is_refused_is_dropped_and_told", requires::go(NEWEST));
    let fake = Fake::start()?;
    // Code 3 and a message, as google.rpc.Status has them.
    let status = [&[8, 3, 18, 14][..], b"no such tenant"].concat();
    fake.answer(protobuf(400, status));
    let pushed = Pushed::start(&fake.url(), &["--otlp-interval", "300ms"])?;
    pushed.wait_for("rejected", 3)?;
    pushed.logged(&["refused, and dropped", "400", "no such tenant"])?;
    let told = pushed.agent.log();
    ensure!(told.iter().filter(|line| line.contains("refused, and dropped")).count() == 1);

    for answer in [
        Answer::Status(500, "oh".to_owned()),
        Answer::Whole(307, vec![("Location", format!("{}/elsewhere", fake.url()))], Vec::new()),
    ] {
        fake.answer(answer);
        pushed.wait_for("rejected", 2)?;
    }
    ensure!(!fake.received().iter().any(|received| received.path.contains("elsewhere")));
    ensure!(pushed.exports("failed")? == 0 && pushed.exports("delivered")? == 0);

    let partial_success = Some(ExportMetricsPartialSuccess {
        rejected_data_points: 3,
        error_message: "too old".to_owned(),
    });
    let partly = ExportMetricsServiceResponse { partial_success };
    fake.answer(protobuf(200, partly.encode_to_vec()));
    pushed.wait_for("partial", 2)?;
    let points = pushed.agent.scrape()?.count("goroscope_otlp_points_refused_total", &[])?;
    ensure!(points >= 6 && points % 3 == 0, "{points}");

    fake.answer(Answer::Status(200, String::new()));
    pushed.logged(&["takes measurements again"])?;
    pushed.watches()
}

#[test]
fn a_collector_that_wants_a_pause_gets_it() -> Result<()> {
    skip_unless!("a_collector_that_wants_a_pause_gets_it", requires::go(NEWEST));
    let fake = Fake::start()?;
    fake.answer(Answer::Whole(429, vec![("Retry-After", "4".to_owned())], b"slow down".to_vec()));
    let pushed = Pushed::start(&fake.url(), &["--otlp-interval", "200ms"])?;
    poll::until("it asked", PATIENCE, || Ok((!fake.received().is_empty()).then_some(())))?;
    let asked = Instant::now();
    fake.answer(Answer::Status(200, String::new()));
    poll::until("it asks again", PATIENCE, || Ok((fake.received().len() > 1).then_some(())))?;
    let pause = asked.elapsed();
    ensure!(pause > Duration::from_secs(3), "it asked again after {pause:?}");
    pushed.logged(&["429", "slow down"])?;
    pushed.logged(&["takes measurements again"])?;
    ensure!(pushed.exports("failed")? == 1);
    Ok(())
}

#[test]
fn one_that_does_not_answer_holds_up_nothing() -> Result<()> {
    skip_unless!("one_that_does_not_answer_holds_up_nothing", requires::go(NEWEST));
    let fake = Fake::start()?;
    fake.answer(Answer::Silence);
    let pushed = Pushed::start(&fake.url(), &["--otlp-interval", "300ms"])?;
    poll::until("it asked", PATIENCE, || Ok((!fake.received().is_empty()).then_some(())))?;
    for _ in 0..5 {
        pushed.watches()?;
        thread::sleep(Duration::from_millis(200));
    }
    ensure!(fake.received().len() == 1, "requests pile up");
    pushed.logged(&["cannot be delivered", "no answer within 10 s"])?;
    // The end does not wait for it.
    let (status, took, log) = pushed.agent.end(rustix::process::Signal::TERM)?;
    ensure!(status.success() && took < Duration::from_secs(8), "{status} {took:?} {log:?}");
    Ok(())
}

#[test]
fn a_name_that_nobody_knows_is_told() -> Result<()> {
    skip_unless!("a_name_that_nobody_knows_is_told", requires::go(NEWEST));
    let pushed = Pushed::start("http://collector.invalid:4318", &["--otlp-interval", "300ms"])?;
    pushed.logged(&["cannot be delivered", "collector.invalid", "resolver"])?;
    pushed.wait_for("failed", 1)?;
    pushed.watches()
}

#[test]
fn only_who_is_vouched_for_is_told_and_secrets_stay_secret() -> Result<()> {
    skip_unless!("only_who_is_vouched_for_is_told_and_secrets_stay_secret", requires::go(NEWEST));
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (ours, other) = (authority("ours")?, authority("other")?);
    let (agent, key) = issue(&ours, "agent")?;
    for (name, text) in [
        ("ours.pem", ours.pem()),
        ("other.pem", other.pem()),
        ("agent.pem", agent.pem()),
        ("agent.key", key.serialize_pem()),
        ("headers", "# secret\napi-key = open-sesame\n".to_owned()),
    ] {
        fs::write(file(name), text)?;
    }
    let open = Fake::start_tls(server_config(&ours, "127.0.0.1", None)?)?;
    let closed = Fake::start_tls(server_config(&ours, "127.0.0.1", Some(&ours))?)?;
    let plain = Fake::start()?;
    let [ours, other, agent, key, headers] =
        ["ours.pem", "other.pem", "agent.pem", "agent.key", "headers"].map(file);
    let interval = ["--otlp-interval", "300ms"];
    for (fake, url, options, reason, hint) in [
        (&open, open.url(), vec![], "UnknownIssuer", "--otlp-ca-file"),
        (&open, open.url(), vec!["--otlp-ca-file", &other], "UnknownIssuer", "--otlp-ca-file"),
        (&closed, closed.url(), vec!["--otlp-ca-file", &ours], "ertificate", "--otlp-cert-file"),
        (
            &plain,
            plain.url().replace("http:", "https:"),
            vec!["--otlp-ca-file", &ours],
            "corrupt message",
            "with http://",
        ),
    ] {
        let pushed = Pushed::start(&url, &[&interval[..], &options].concat())?;
        pushed.logged(&["cannot be delivered", reason, hint])?;
        pushed.watches()?;
        ensure!(fake.received().is_empty(), "{url} was told although it should not be");
    }
    let tls = ["--otlp-ca-file", &ours, "--otlp-cert-file", &agent, "--otlp-key-file", &key];
    let secrets = ["--otlp-headers-file", &headers, "--otlp-header", "x-tenant=shop"];
    let pushed = Pushed::start(&closed.url(), &[&interval[..], &tls, &secrets, &["-vv"]].concat())?;
    let received = poll::until("something comes", PATIENCE, || Ok(closed.received().pop()))?;
    ensure!(received.header("api-key") == Some("open-sesame"), "{received:?}");
    ensure!(received.header("x-tenant") == Some("shop"), "{received:?}");
    // Secrets change.
    fs::write(&headers, "api-key=changed\n")?;
    poll::until("the new one is used", PATIENCE, || {
        let last = closed.received().pop();
        Ok(last.filter(|received| received.header("api-key") == Some("changed")))
    })?;
    let log = pushed.agent.log().join("\n");
    ensure!(!log.contains("sesame"), "a secret is in the log: {log}");
    Ok(())
}

#[test]
fn what_makes_no_sense_is_refused_at_the_start() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("headers").display().to_string();
    fs::write(&file, "api-key=1\nsesame\n")?;
    let endpoint = ["--otlp-endpoint", "https://127.0.0.1:1"];
    for (options, code, words) in [
        (vec!["--otlp-endpoint", "127.0.0.1:4318"], 2, "http://HOST:PORT"),
        ([&endpoint[..], &["--otlp-header", "sesame"]].concat(), 2, "NAME=VALUE"),
        ([&endpoint[..], &["--otlp-cert-file", "/c"]].concat(), 2, "--otlp-key-file"),
        ([&endpoint[..], &["--otlp-interval", "never"]].concat(), 2, "time span"),
        ([&endpoint[..], &["--otlp-ca-file", "/nonexistent.pem"]].concat(), 1, "/nonexistent.pem"),
        ([&endpoint[..], &["--otlp-ca-file", &file]].concat(), 1, "no certificate"),
        ([&endpoint[..], &["--otlp-headers-file", &file]].concat(), 1, ":2: NAME=VALUE"),
    ] {
        let common = ["--pid", "1", "--probes", "off"];
        let mut command = agent::command(&[&common[..], &options].concat())?;
        let mut guard = Guard::start(&mut command)?;
        let status = guard.wait(PATIENCE)?;
        let mut errors = String::new();
        guard.child().stderr.take().context("no pipe")?.read_to_string(&mut errors)?;
        ensure!(status.code() == Some(code), "{options:?}: {status}: {errors}");
        ensure!(errors.contains(words) && !errors.contains("sesame"), "{options:?}: {errors}");
    }
    Ok(())
}
