//! Requests one after the other over a connection that is kept open, and how long they took.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};

/// Longer than any dump makes anybody wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long requests took, in seconds.
#[derive(Clone, Copy)]
pub(super) struct Waits {
    /// The longest.
    pub(super) longest: f64,
    /// How many were answered in a second.
    pub(super) per_second: f64,
}

/// Sends requests while `work` is done.
pub(super) fn during<T>(
    address: SocketAddr,
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, Waits)> {
    let over = AtomicBool::new(false);
    let mut stream = connect(address)?;
    stream.set_nodelay(true)?;
    // The first is the connection's, not the dump's.
    ask(&mut stream)?;
    thread::scope(|scope| {
        let client = scope.spawn(|| -> Result<Waits> {
            let (began, mut longest, mut number) = (Instant::now(), Duration::ZERO, 0_u32);
            while !over.load(Ordering::Relaxed) {
                let sent = Instant::now();
                ask(&mut stream)?;
                longest = longest.max(sent.elapsed());
                number += 1;
            }
            let per_second = f64::from(number) / began.elapsed().as_secs_f64();
            Ok(Waits { longest: longest.as_secs_f64(), per_second })
        });
        let done = work();
        over.store(true, Ordering::Relaxed);
        let waits = client.join().map_err(|_| anyhow!("the client panicked"))??;
        Ok((done?, waits))
    })
}

/// Gets what there is at a path.
pub(super) fn get(address: SocketAddr, path: &str) -> Result<Vec<u8>> {
    let mut stream = connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(|| format!("reading {path}"))?;
    ensure!(answer.starts_with(b"HTTP/1.1 200 "), "{path} is not answered");
    Ok(answer)
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).context("connecting to the program")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn ask(stream: &mut TcpStream) -> Result<()> {
    stream.write_all(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = [0; 1024];
    let mut length = 0;
    loop {
        let room = answer.get_mut(length..).filter(|room| !room.is_empty());
        let read = stream.read(room.context("the answer is too long")?)?;
        ensure!(read > 0, "the program has hung up");
        length += read;
        if answer.get(..length).is_some_and(|answer| answer.ends_with(b"pong")) {
            return Ok(());
        }
    }
}
