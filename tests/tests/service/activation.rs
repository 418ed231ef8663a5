//! Sockets that the agent is handed: sd_listen_fds(3).

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, UdpSocket},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    agent::{self, Agent},
    http, poll,
    process::Guard,
    service_manager::handing_over,
    skip_unless,
};
use rustix::process::Signal;

use super::{SOON, Stage, needs};

/// The agent, without probes, for the programs of the stage.
fn command(stage: &Stage) -> Result<Command> {
    let glob = stage.glob("*")?;
    agent::command(&["--probes", "off", "--exe", &glob])
}

#[test]
fn sockets_of_both_kinds_take_the_place_of_listen() -> Result<()> {
    const NAME: &str = "sockets_of_both_kinds_take_the_place_of_listen";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    let tcp = TcpListener::bind("127.0.0.1:0")?;
    let address = tcp.local_addr()?;
    let path = stage.path("handed.sock");
    let unix = UnixListener::bind(&path)?;
    // Whoever connects before the agent runs is answered when it does.
    let mut early = UnixStream::connect(&path)?;
    early.write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")?;

    let sockets = vec![OwnedFd::from(tcp.try_clone()?), OwnedFd::from(unix)];
    let mut command = handing_over(&command(&stage)?, sockets, "http:page")?;
    let agent = Agent::start_command(&mut command)?;
    // Port 0 of --listen would be another.
    ensure!(agent.address() == address, "it serves on {}", agent.address());
    let mut answer = String::new();
    early.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let listening = agent.log().iter().filter(|line| line.contains("listening")).count();
    ensure!(listening == 2, "{}", agent.log().join("\n"));

    let (status, _, _) = agent.end(Signal::TERM)?;
    ensure!(status.success(), "{status}");
    // They are the manager's: the file stays, and so does the address.
    ensure!(path.exists(), "the socket's file is gone");
    ensure!(tcp.local_addr()? == address);
    Ok(())
}

#[test]
fn descriptors_meant_for_another_process_are_left_alone() -> Result<()> {
    const NAME: &str = "descriptors_meant_for_another_process_are_left_alone";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    let mut command = command(&stage)?;
    command.env("LISTEN_PID", "1").env("LISTEN_FDS", "nonsense");
    let agent = Agent::start_command(&mut command)?;
    ensure!(http::get(agent.address(), "/healthz", &[])?.status == 200);
    Ok(())
}

#[test]
fn what_is_no_socket_to_listen_on_is_a_clear_error() -> Result<()> {
    const NAME: &str = "what_is_no_socket_to_listen_on_is_a_clear_error";
    skip_unless!(NAME, needs());
    let stage = Stage::set()?;
    let (connected, _other) = UnixStream::pair()?;
    let wrong: [(OwnedFd, &str); 3] = [
        (fs::File::open("/dev/null")?.into(), "no socket"),
        (UdpSocket::bind("127.0.0.1:0")?.into(), "no stream socket"),
        (connected.into(), "does not listen"),
    ];
    for (descriptor, word) in wrong {
        let mut command = handing_over(&command(&stage)?, vec![descriptor], "http")?;
        fails_saying(&mut command, &["3 (http)", word, "goroscope.socket"])?;
    }
    let listener = || TcpListener::bind("127.0.0.1:0").map(OwnedFd::from);
    for (count, word) in [("9", "number 5"), ("many", "LISTEN_FDS=many"), ("-1", "LISTEN_FDS=-1")] {
        let mut command = handing_over(&command(&stage)?, vec![listener()?, listener()?], "")?;
        fails_saying(command.env("LISTEN_FDS", count), &[word])?;
    }
    Ok(())
}

fn fails_saying(command: &mut Command, words: &[&str]) -> Result<()> {
    let mut guard = Guard::start(command)?;
    let mut stderr = guard.child().stderr.take().context("no pipe")?;
    let status = poll::until("it ends", SOON, || guard.ended())?;
    let mut text = String::new();
    stderr.read_to_string(&mut text)?;
    ensure!(status.code() == Some(1), "{status}: {text}");
    for word in words {
        ensure!(text.contains(word), "no {word:?} in: {text}");
    }
    ensure!(!text.contains("panicked"), "{text}");
    Ok(())
}
