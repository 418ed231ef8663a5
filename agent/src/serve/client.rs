//! A server on a port of its own and a plain client, for the tests.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use super::{
    gate::{Gate, GateSettings},
    listen::Listener,
    serve,
    source::{BoxFuture, NoDump, Source},
};
use crate::{
    discover::identity::Pid,
    model::{
        dump::Dump,
        sample::{bare, snapshot, whole},
        series::Series,
        snapshot::Snapshot,
    },
};

/// Longer than anything here takes; a test that waits so long fails.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// Always the same snapshot.
pub(super) struct Fixed {
    snapshot: Arc<Snapshot>,
    pub(super) ready: AtomicBool,
    pub(super) dumps: AtomicBool,
}

impl Source for Fixed {
    fn snapshot(&self) -> BoxFuture<'_, Arc<Snapshot>> {
        Box::pin(async { Arc::clone(&self.snapshot) })
    }

    fn series(&self, pid: Pid) -> BoxFuture<'_, Option<Arc<Series>>> {
        let known = self.snapshot.processes.iter().any(|process| process.id.pid == pid);
        Box::pin(async move { known.then(Arc::default) })
    }

    fn dump(&self, pid: Pid) -> BoxFuture<'_, Result<Dump, NoDump>> {
        let dump = match pid.0 {
            _ if !self.dumps.load(Ordering::Relaxed) => Err(NoDump::NotAllowed),
            7 => Ok(crate::model::sample::dump(pid.0)),
            8 => Err(NoDump::Busy),
            _ => Err(NoDump::Unwatched(pid)),
        };
        Box::pin(async move { dump })
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}

/// A server of two processes, pids 7 and 8.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) source: Arc<Fixed>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Running {
    pub(super) async fn start() -> Self {
        let listener = Listener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.tcp_address().unwrap();
        let (source, stop, server) = start(listener);
        Self { address, source, stop, server }
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(super) async fn ask(&self, request: &str) -> Answer {
        exchange(self.connect().await, request).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
            .await
    }

    pub(super) async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(LONG, self.server).await.unwrap().unwrap();
    }
}

pub(super) fn start(listener: Listener) -> (Arc<Fixed>, oneshot::Sender<()>, JoinHandle<()>) {
    start_with(listener, snapshot(vec![whole(7), bare(8)]))
}

pub(super) fn start_with(
    listener: Listener,
    snapshot: Snapshot,
) -> (Arc<Fixed>, oneshot::Sender<()>, JoinHandle<()>) {
    start_behind(Gate::open(&GateSettings::default()).unwrap(), listener, snapshot)
}

pub(super) fn start_behind(
    gate: Arc<Gate>,
    listener: Listener,
    snapshot: Snapshot,
) -> (Arc<Fixed>, oneshot::Sender<()>, JoinHandle<()>) {
    let snapshot = Arc::new(snapshot);
    let source =
        Arc::new(Fixed { snapshot, ready: AtomicBool::new(false), dumps: AtomicBool::new(false) });
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { stopped.await.unwrap_or_default() };
    let server = tokio::spawn(serve(vec![listener], Arc::clone(&source) as _, gate, shutdown));
    (source, stop, server)
}

/// An answer, taken apart.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = BTreeMap::<String, String>::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            let all = headers.entry(name.to_lowercase()).or_default();
            *all = format!("{all}{}{value}", if all.is_empty() { "" } else { ", " });
        }
        Self { status, headers, body: bytes[end..].to_vec() }
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub(super) async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    timeout(LONG, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    Answer::parse(&bytes)
}
