//! Many clients, and slow ones.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use goroscope_tests::{
    agent::PATIENCE, http, https::Way, requires, skip_unless, toolchain::NEWEST,
};

use crate::served::{NAME, Served, USER, login};

const CROWD: usize = 1_000;
/// More than there are places.
const GUESSERS: u64 = 150;
const GUESSES: u64 = 3;

/// A scrape may take that long, as Prometheus has it.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);

/// It answers who may ask, in time for Prometheus.
fn answers_in_time(served: &mut Served) -> Result<()> {
    for _ in 0..3 {
        let asked = Instant::now();
        served.watches()?;
        let took = asked.elapsed();
        ensure!(took < SCRAPE_TIMEOUT, "it took {took:?}");
    }
    Ok(())
}

/// Each begins in its own way and does not go on.
#[test]
fn a_thousand_connections_that_ask_nothing() -> Result<()> {
    skip_unless!("a_thousand_connections_that_ask_nothing", requires::go(NEWEST));
    let mut served = Served::with_password()?;
    let memory = served.agent.scrape()?.count("process_resident_memory_bytes", &[])?;
    let beginnings: [&[u8]; 4] = [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01", b"G"];
    let mut crowd = Vec::new();
    for beginning in beginnings.iter().cycle().take(CROWD) {
        let mut stream = TcpStream::connect_timeout(&served.address(), PATIENCE)?;
        let _cut = stream.write_all(beginning);
        crowd.push(stream);
    }
    answers_in_time(&mut served)?;
    let scrape = served.agent.scrape()?;
    let (files, grown) = (
        scrape.count("process_open_fds", &[])?,
        scrape.count("process_resident_memory_bytes", &[])?.saturating_sub(memory),
    );
    ensure!(files < 300, "{files} files");
    ensure!(grown < 64 << 20, "{grown} bytes more");
    drop(crowd);
    served.watches()
}

/// They know each other's pace: a byte now and then, of a handshake or of a request.
#[test]
fn slow_clients() -> Result<()> {
    skip_unless!("slow_clients", requires::go(NEWEST));
    let mut served = Served::with_password()?;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut begun = TcpStream::connect_timeout(&served.address(), PATIENCE)?;
        begun.write_all(b"\x16\x03\x01")?;
        begun.set_read_timeout(Some(Duration::from_secs(30)))?;
        slow.push(begun);
    }
    let mut asking = Vec::new();
    for _ in 0..20 {
        let mut stream = served.good.connect(served.address())?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nX: ")?;
        stream.flush()?;
        asking.push(stream);
    }
    for _ in 0..8 {
        for stream in &mut slow {
            let _cut = stream.write_all(b"\x02");
        }
        for stream in &mut asking {
            let _cut = stream.write_all(b"x").and_then(|()| stream.flush());
        }
        served.watches()?;
        thread::sleep(Duration::from_secs(1));
    }
    // A handshake may take ten seconds, and so may the head of a request.
    for mut stream in slow {
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        let waits = read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        ensure!(!waits, "a handshake goes on for too long");
    }
    ensure!(served.refused("handshake")? >= 100);
    answers_in_time(&mut served)
}

/// Guesses of a password cost the agent time; who is known does not wait for that.
#[test]
fn a_crowd_that_guesses() -> Result<()> {
    skip_unless!("a_crowd_that_guesses", requires::go(NEWEST));
    let mut served = Served::with_password()?;
    let tls = Way::tls(&served.authority, NAME, None)?;
    let address = served.address();
    thread::scope(|scope| {
        let guessing: Vec<_> = (0..GUESSERS)
            .map(|guesser| {
                let tls = &tls;
                scope.spawn(move || -> Result<()> {
                    for guess in 0..GUESSES {
                        let wrong = tls.with_login(login(USER, &format!("{guesser} {guess}")));
                        let status = wrong.get(address, "/metrics")?.status;
                        ensure!([401, 503].contains(&status), "{status}");
                    }
                    Ok(())
                })
            })
            .collect();
        answers_in_time(&mut served)?;
        guessing.into_iter().try_for_each(|guesser| {
            guesser.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a guesser panicked")))
        })
    })?;
    let refused = served.refused("login")?;
    ensure!(refused == GUESSERS * GUESSES, "{refused}");
    served.watches()
}

#[test]
fn heads_that_are_too_big() -> Result<()> {
    skip_unless!("heads_that_are_too_big", requires::go(NEWEST));
    let mut served = Served::with_password()?;
    let big = "x".repeat(200_000);
    let many: Vec<(String, String)> =
        (0..500).map(|number| (format!("X-{number}"), "y".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    for (path, headers) in
        [("/metrics", &[("X-Big", big.as_str())][..]), (&*format!("/{big}"), &[]), ("/", &many)]
    {
        let mut stream = served.good.connect(served.address())?;
        if let Ok(answer) = http::exchange(&mut stream, "a", path, headers) {
            ensure!([414, 431].contains(&answer.status), "{}", answer.status);
        }
    }
    served.watches()
}
