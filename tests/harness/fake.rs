//! A server of HTTP for the tests, which keeps what it is told and answers what a test wants.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What it answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This status and body.
    Status(u16, String),
    /// The same with headers, and with a body that need not be text.
    Whole(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Nothing, for as long as it runs.
    Silence,
}

/// A request that it got.
#[derive(Clone, Debug)]
pub struct Received {
    /// The path, with the query.
    pub path: String,
    /// Lines of the head, in lower case but for their values.
    pub headers: Vec<(String, String)>,
    /// What came behind it.
    pub body: Vec<u8>,
}

impl Received {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

struct Shared {
    answer: Mutex<Answer>,
    received: Mutex<Vec<Received>>,
    ending: AtomicBool,
    end: Condvar,
    tls: Option<Arc<ServerConfig>>,
}

/// The server; ended when dropped.
pub struct Fake {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fake {
    /// On a free port.
    ///
    /// # Errors
    /// Where there is none.
    pub fn start() -> Result<Self> {
        Self::listen(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, None)
    }

    /// Where it is to be.
    ///
    /// # Errors
    /// Where that is taken.
    pub fn start_at(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).with_context(|| format!("at {address}"))?;
        Self::listen(listener, None)
    }

    /// On a free port, with TLS.
    ///
    /// # Errors
    /// Where there is none.
    pub fn start_tls(config: ServerConfig) -> Result<Self> {
        Self::listen(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, Some(Arc::new(config)))
    }

    fn listen(listener: TcpListener, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            answer: Mutex::new(Answer::Status(200, String::new())),
            received: Mutex::default(),
            ending: AtomicBool::new(false),
            end: Condvar::new(),
            tls,
        });
        let accepting = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepting.ending.load(Ordering::SeqCst) {
                    break;
                }
                let shared = Arc::clone(&accepting);
                // A handshake that fails is what some tests are about.
                thread::spawn(move || shared.converse(stream));
            }
        });
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Answers this from now on.
    pub fn answer(&self, answer: Answer) {
        *lock(&self.shared.answer) = answer;
    }

    /// All requests so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        self.shared.end.notify_all();
        // Wakes who waits for a connection.
        let _woken = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _joined = thread.join();
        }
    }
}

impl Shared {
    fn converse(&self, stream: TcpStream) -> Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        match &self.tls {
            None => self.exchange(stream),
            Some(config) => {
                let connection = ServerConnection::new(Arc::clone(config))?;
                let mut stream = StreamOwned::new(connection, stream);
                let done = self.exchange(&mut stream);
                stream.conn.send_close_notify();
                stream.flush()?;
                done
            }
        }
    }

    fn exchange(&self, mut stream: impl Read + Write) -> Result<()> {
        let received = match read(&mut stream) {
            Ok(received) => received,
            // As servers do that are spoken to in TLS and do not speak it.
            Err(error) => {
                stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n")?;
                return Err(error);
            }
        };
        lock(&self.received).push(received);
        let answer = lock(&self.answer).clone();
        match answer {
            Answer::Status(status, body) => reply(&mut stream, status, &[], body.as_bytes())?,
            Answer::Whole(status, headers, body) => reply(&mut stream, status, &headers, &body)?,
            Answer::Silence => {
                let mut held = lock(&self.answer);
                while !self.ending.load(Ordering::SeqCst) {
                    let wait = self.end.wait_timeout(held, Duration::from_secs(1));
                    held = wait.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
        Ok(())
    }
}

fn reply(
    stream: &mut impl Write,
    status: u16,
    headers: &[(&str, String)],
    body: &[u8],
) -> Result<()> {
    let mut head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
    stream.write_all(body)?;
    Ok(stream.flush()?)
}

fn read(stream: &mut impl Read) -> Result<Received> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        ensure!(byte[0].is_ascii() && byte[0] != 0x16, "that is no HTTP");
        head.extend(byte);
    }
    let head = String::from_utf8(head)?;
    let mut lines = head.lines();
    let path = lines.next().and_then(|line| line.split(' ').nth(1)).context("no request line")?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.context("no length")?.1.parse()?];
    stream.read_exact(&mut body)?;
    Ok(Received { path: path.to_owned(), headers, body })
}
