//! What is said at the start: configurations that do not do, and listeners that are open to all.

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::{self, Agent},
    authority::{authority, issue, issue_expired},
    poll,
    process::Guard,
    requires, skip_unless,
    toolchain::NEWEST,
    workspace,
};
use rustix::process::Signal;

use crate::served::{PASSWORD, TLS, USER, program, users};

/// The agent with these options, of which it is expected that they do not do.
fn refused(options: &[&str]) -> Result<Output> {
    let own = std::process::id().to_string();
    let output = Command::new(workspace::goroscope()?)
        .args(["agent", "--pid", &own, "--probes", "off"])
        .args(options)
        .stdin(Stdio::null())
        .output()?;
    Ok(output)
}

#[test]
fn what_is_wrong_ends_the_start_with_file_and_line() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ca = authority("ours")?;
    let (certificate, key) = issue(&ca, "a.test")?;
    fs::write(folder.path().join("server.pem"), certificate.pem())?;
    fs::write(folder.path().join("server.key"), key.serialize_pem())?;
    fs::write(folder.path().join("other.key"), issue(&ca, "a.test")?.1.serialize_pem())?;
    let path = folder.path().join("web.yml");
    for (text, place, why) in [
        ("tls_config: {}\n".to_owned(), ":1:1: ", "unknown key `tls_config`"),
        ("basic_auth_users: 5\n".to_owned(), ":1:19: ", "mapping of names"),
        ("basic_auth_users:\n  ann: open sesame\n".to_owned(), ":2:8: ", "bcrypt"),
        (TLS.replace("server.key", "none.key"), ":3: ", "none.key: No such file"),
        (TLS.replace("  key_file: server.key\n", ""), ":1: ", "neither key nor key_file"),
        (TLS.replace("server.key", "other.key"), ":3: ", "not that of the certificate"),
        (format!("{TLS}  min_version: TLS10\n"), ":4:16: ", "TLS12 or TLS13"),
    ] {
        fs::write(&path, &text)?;
        let path = path.to_str().context("not UTF-8")?;
        let output = refused(&["--listen", "127.0.0.1:0", "--web-config", path])?;
        let said = String::from_utf8(output.stderr)?;
        let line = format!("error: web configuration {path}{place}");
        ensure!(output.status.code() == Some(2), "{:?}: {said}", output.status);
        ensure!(said.contains(&line) && said.contains(why), "{text}: {said}");
        ensure!(said.contains("\nhint: ") && !said.contains("sesame"), "{said}");
    }
    let none = folder.path().join("none.yml");
    let none = none.to_str().context("not UTF-8")?;
    let output = refused(&["--listen", "127.0.0.1:0", "--web-config", none])?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(2) && said.contains("none.yml: No such file"), "{said}");
    Ok(())
}

/// The agent on all addresses of a network in which there is nobody else.
fn open(options: &[&str]) -> Result<Command> {
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--"])
        .arg(workspace::goroscope()?)
        .args(["agent", "--listen", "0.0.0.0:0", "--probes", "off"])
        .args(options)
        .stdin(Stdio::null());
    Ok(command)
}

#[test]
fn stacks_are_not_given_to_a_whole_network() -> Result<()> {
    skip_unless!("stacks_are_not_given_to_a_whole_network", requires::root());
    let own = std::process::id().to_string();
    let output = open(&["--pid", &own, "--http-dumps"])?.output()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(2), "{:?}: {said}", output.status);
    for word in ["--http-dumps", "nobody has to say who they are", "hint: ", "--web-config"] {
        ensure!(said.contains(word), "{word}: {said}");
    }
    Ok(())
}

/// As at the start, where they are asked for later.
#[test]
fn stacks_are_not_given_to_a_whole_network_later() -> Result<()> {
    skip_unless!(
        "stacks_are_not_given_to_a_whole_network_later",
        requires::root().and_then(|()| requires::go(NEWEST))
    );
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("goroscope.yaml");
    fs::write(&config, "http_dumps: false\n")?;
    let (_program, pid) = program()?;
    let log = tempfile::NamedTempFile::new()?;
    let config_path = config.to_str().context("not UTF-8")?;
    let mut command = open(&["--pid", &pid, "--config", config_path])?;
    let mut guard = Guard::start(command.stderr(log.reopen()?))?;
    let logged = |words: &str| {
        poll::until(&format!("{words:?} is logged"), agent::PATIENCE, || {
            Ok(fs::read_to_string(log.path())?.contains(words).then_some(()))
        })
        .with_context(|| fs::read_to_string(log.path()).unwrap_or_default())
    };
    logged("listening")?;
    fs::write(&config, "http_dumps: true\n")?;
    guard.signal(Signal::HUP)?;
    logged("the configuration is refused")?;
    logged("nobody has to say who they are")?;
    guard.signal(Signal::TERM)?;
    ensure!(guard.wait(agent::PATIENCE)?.success());
    Ok(())
}

#[test]
fn an_open_listener_is_warned_of_once() -> Result<()> {
    skip_unless!(
        "an_open_listener_is_warned_of_once",
        requires::root().and_then(|()| requires::go(NEWEST))
    );
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (certificate, key) = issue_expired(&authority("ours")?, "a.test")?;
    fs::write(path("server.pem"), certificate.pem())?;
    fs::write(path("server.key"), key.serialize_pem())?;
    let with_users = users(USER, PASSWORD)?;
    fs::write(path("users.yml"), &with_users)?;
    fs::write(path("tls.yml"), TLS)?;
    fs::write(path("both.yml"), format!("{TLS}{with_users}"))?;
    let (_program, pid) = program()?;
    for (web, words) in [
        (None, &["without a password and without TLS"][..]),
        (Some("users.yml"), &["passwords go to"]),
        (Some("tls.yml"), &["has expired", "without a password,"]),
        (Some("both.yml"), &["has expired"]),
    ] {
        let web = web.map(&path);
        let web: Vec<_> = web.iter().flat_map(|web| ["--web-config", web]).collect();
        let said = warnings(&[&["--pid", &pid][..], &web].concat())?;
        ensure!(said.len() == words.len(), "{web:?}: {said:?}");
        for (line, word) in said.iter().zip(words) {
            ensure!(line.contains(word), "{web:?}: {said:?}");
        }
    }
    Ok(())
}

/// What an open agent warns of until it is told to end.
fn warnings(options: &[&str]) -> Result<Vec<String>> {
    let log = tempfile::NamedTempFile::new()?;
    let mut guard = Guard::start(open(options)?.stderr(log.reopen()?))?;
    let written = || -> Result<String> { Ok(fs::read_to_string(log.path())?) };
    poll::until("the agent listens", agent::PATIENCE, || {
        Ok(written()?.contains("listening").then_some(()))
    })?;
    guard.signal(Signal::TERM)?;
    ensure!(guard.wait(agent::PATIENCE)?.success(), "{}", written()?);
    Ok(written()?.lines().filter(|line| line.contains("WARN")).map(str::to_owned).collect())
}

#[test]
fn nothing_is_said_of_the_loopback() -> Result<()> {
    skip_unless!("nothing_is_said_of_the_loopback", requires::go(NEWEST));
    let (_program, pid) = program()?;
    let quiet = Agent::start(&["--pid", &pid, "--probes", "off", "--http-dumps"])?;
    ensure!(!quiet.log().iter().any(|line| line.contains("WARN")), "{:?}", quiet.log());
    Ok(())
}
