//! Runtimes that are honest, absent, restarted, that hang, fail or lie.

use std::{
    collections::HashMap,
    convert::Infallible,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Request, Response, body::Incoming, header::HeaderValue, service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::{Message as _, bytes::Bytes};
use tokio::{
    io::AsyncWriteExt as _,
    net::{UnixListener, UnixStream},
    runtime::Runtime,
};

use super::{
    cri::api::{Container, ContainerMetadata, Containers, ListRequest, Pod, PodMetadata, Pods},
    *,
};
use crate::{
    discover::{identity::Pid, proc_fs::ProcFs},
    names::settings::{CriSocket, NamesSettings},
};

/// Longer than any look-up may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn id(number: u32) -> String {
    format!("{number:064x}")
}

fn wanted(number: u32) -> Wanted {
    Wanted { container_id: Some(id(number)), pod_uid: Some("uid".to_owned()) }
}

/// What a made-up runtime does with who connects.
#[derive(Clone)]
enum Manner {
    /// Answers by these.
    Answer { container: fn(&str) -> Containers, pod: fn(&str) -> Pods },
    /// Answers every request with this status.
    Refuse(&'static str),
    /// Takes the connection, and is silent.
    Hang,
    /// Says something else.
    Babble,
}

/// A made-up runtime; gone when dropped.
struct Fake {
    _runtime: Runtime,
}

impl Fake {
    fn start(path: &Path, manner: Manner) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let _stale = fs::remove_file(path);
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(path).unwrap()
        };
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manner.clone()));
            }
        });
        Self { _runtime: runtime }
    }
}

async fn serve(mut stream: UnixStream, manner: Manner) {
    match &manner {
        Manner::Hang => tokio::time::sleep(Duration::from_secs(600)).await,
        Manner::Babble => {
            let _gone = stream.write_all(&b"HTTP/1.1 200 OK\r\n\r\nhello\n".repeat(100)).await;
        }
        Manner::Answer { .. } | Manner::Refuse(_) => {
            let service = service_fn(|request| answer(request, manner.clone()));
            let _ended = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        }
    }
}

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

async fn answer(request: Request<Incoming>, manner: Manner) -> Result<Response<Body>, Infallible> {
    let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
    let sent = request.into_body().collect().await.unwrap().to_bytes();
    // A message begins with a byte of flags and its length.
    let asked = ListRequest::decode(&sent[5..]).unwrap().filter.unwrap_or_default().id;
    let mut trailers = HeaderMap::new();
    let mut message = Vec::new();
    match manner {
        Manner::Answer { container, pod } => {
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let list = match method.as_str() {
                "ListContainers" => container(&asked).encode_to_vec(),
                _ => pod(&asked).encode_to_vec(),
            };
            message.push(0);
            message.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
            message.extend(list);
        }
        Manner::Refuse(status) => {
            trailers.insert("grpc-status", HeaderValue::from_static(status));
            trailers.insert("grpc-message", HeaderValue::from_static("broken%0A%1B[2J"));
        }
        Manner::Hang | Manner::Babble => {}
    }
    let body = Full::new(Bytes::from(message));
    let body = body.with_trailers(std::future::ready(Some(Ok(trailers)))).boxed_unsync();
    let response = Response::builder().header("content-type", "application/grpc");
    Ok(response.body(body).unwrap())
}

fn named_container(id: &str, name: &[u8]) -> Containers {
    let metadata = ContainerMetadata { name: name.to_vec() };
    let pod_sandbox_id = format!("pod-of-{id}").into_bytes();
    let id = id.as_bytes().to_vec();
    Containers { containers: vec![Container { id, pod_sandbox_id, metadata: Some(metadata) }] }
}

fn named_pod(id: &str, namespace: &[u8], name: &[u8]) -> Pods {
    let metadata = PodMetadata { name: name.to_vec(), namespace: namespace.to_vec() };
    Pods { items: vec![Pod { id: id.as_bytes().to_vec(), metadata: Some(metadata) }] }
}

const HONEST: Manner = Manner::Answer {
    container: |id| named_container(id, b"app"),
    pod: |id| named_pod(id, b"shop", id.as_bytes()),
};

/// Somebody who looks for names.
struct Asker {
    folder: tempfile::TempDir,
    finder: Finder,
    answers: Receiver<Answer>,
}

impl Asker {
    fn socket(folder: &tempfile::TempDir) -> PathBuf {
        folder.path().join("cri.sock")
    }

    /// Asks at a socket in this folder, which is the host's root as well.
    fn new(folder: tempfile::TempDir) -> Self {
        let settings = NamesSettings {
            cri: CriSocket::At(Self::socket(&folder)),
            host_root: folder.path().to_owned(),
        };
        let (sender, answers) = channel();
        let tell = move |answer| drop(sender.send(answer));
        let procfs = ProcFs::new(folder.path().join("proc"));
        let finder = Finder::start(&settings, procfs, tell).unwrap();
        Self { folder, finder, answers }
    }

    fn ask(&self, number: u32) {
        self.finder.ask(wanted(number), Pid(1));
    }

    fn answer(&self) -> Answer {
        self.answers.recv_timeout(PATIENCE).unwrap()
    }

    /// The next answer that has names.
    fn names(&self) -> Names {
        loop {
            let names = self.answer().names;
            if names != Names::default() {
                return names;
            }
        }
    }
}

fn whole(number: u32) -> Names {
    Names::of_pod("shop", &format!("pod-of-{}", id(number)), Some("app"))
}

#[test]
fn an_honest_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let _fake = Fake::start(&Asker::socket(&folder), HONEST);
    let asker = Asker::new(folder);
    asker.ask(7);
    let expected = Answer { wanted: wanted(7), names: whole(7), settled: true };
    assert_eq!(asker.answer(), expected);
    assert_eq!(asker.finder.failures().cri, 0);
}

#[test]
fn what_holds_a_pod_has_no_name_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let manner = Manner::Answer {
        container: |_| Containers::default(),
        pod: |id| named_pod(id, b"shop", b"web-0"),
    };
    let _fake = Fake::start(&Asker::socket(&folder), manner);
    let asker = Asker::new(folder);
    asker.ask(1);
    assert_eq!(asker.names(), Names::of_pod("shop", "web-0", None));
}

#[test]
fn thousands_of_containers() {
    const COUNT: u32 = 3000;
    let folder = tempfile::tempdir().unwrap();
    let _fake = Fake::start(&Asker::socket(&folder), HONEST);
    let asker = Asker::new(folder);
    (0..COUNT).for_each(|number| asker.ask(number));
    let mut named = HashMap::new();
    while named.len() < usize::try_from(COUNT).unwrap() {
        let answer = asker.answer();
        named.insert(answer.wanted, answer.names);
    }
    assert!((0..COUNT).all(|number| named[&wanted(number)] == whole(number)));
}

#[test]
fn a_runtime_that_was_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let socket = Asker::socket(&folder);
    let first = Fake::start(&socket, HONEST);
    let asker = Asker::new(folder);
    asker.ask(1);
    assert_eq!(asker.names(), whole(1));
    drop(first);
    let _second = Fake::start(&socket, HONEST);
    asker.ask(2);
    assert_eq!(asker.names(), whole(2));
    assert_eq!(asker.finder.failures().cri, 0, "a closed connection is none");
}

#[test]
fn a_runtime_that_comes_late() {
    let folder = tempfile::tempdir().unwrap();
    let asker = Asker::new(folder);
    asker.ask(1);
    let answer = asker.answer();
    assert!(answer.settled && answer.names == Names::default());
    assert!(asker.finder.failures().cri > 0);
    let _fake = Fake::start(&Asker::socket(&asker.folder), HONEST);
    assert_eq!(asker.names(), whole(1));
}

#[test]
fn a_runtime_that_hangs_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let _fake = Fake::start(&Asker::socket(&folder), Manner::Hang);
    let links = folder.path().join("var/log/containers");
    fs::create_dir_all(&links).unwrap();
    symlink("/x", links.join(format!("web_shop_app-{}.log", id(2)))).unwrap();
    let asker = Asker::new(folder);
    let start = Instant::now();
    asker.ask(1);
    asker.ask(2);
    // Who can be named without it is.
    let answer = asker.answer();
    assert_eq!(answer.names, Names::of_pod("shop", "web", Some("app")));
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
    // Who cannot hears so; and from then on it is not waited for.
    let answer = asker.answer();
    assert!(answer.settled && answer.wanted == wanted(1) && answer.names == Names::default());
    assert_eq!(asker.finder.failures().cri, 1);
    let start = Instant::now();
    asker.ask(3);
    while asker.answer().wanted != wanted(3) {}
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
}

#[test]
fn a_runtime_that_fails() {
    // Permission denied, internal error, and what has no such service.
    for manner in [Manner::Refuse("7"), Manner::Refuse("13"), Manner::Refuse("12"), Manner::Babble]
    {
        let folder = tempfile::tempdir().unwrap();
        let _fake = Fake::start(&Asker::socket(&folder), manner);
        let asker = Asker::new(folder);
        asker.ask(1);
        let answer = asker.answer();
        assert!(answer.settled && answer.names == Names::default());
        assert!(asker.finder.failures().cri > 0);
    }
}

#[test]
fn a_runtime_that_lies() {
    const EVIL: &[u8] = b"a\"} 1\nup 0\x1b[2J\xff\xfe";
    let lies: [Manner; 4] = [
        Manner::Answer {
            container: |id| named_container(id, EVIL),
            pod: |id| named_pod(id, EVIL, &b"x".repeat(4000)),
        },
        // Of another container, another pod.
        Manner::Answer {
            container: |_| named_container("other", b"app"),
            pod: |_| named_pod("other", b"shop", b"web"),
        },
        // No names at all.
        Manner::Answer {
            container: |id| named_container(id, b""),
            pod: |id| named_pod(id, b"", b""),
        },
        // More than fits.
        Manner::Answer {
            container: |id| named_container(id, &b"x".repeat(1 << 20)),
            pod: |id| named_pod(id, b"shop", b"web"),
        },
    ];
    let answers = lies.map(|manner| {
        let folder = tempfile::tempdir().unwrap();
        let _fake = Fake::start(&Asker::socket(&folder), manner);
        let asker = Asker::new(folder);
        asker.ask(1);
        asker.answer()
    });
    let [odd, other, empty, large] = answers.map(|answer| answer.names);
    // As it was told, as far as it is text; it is escaped where it is shown.
    let evil = String::from_utf8_lossy(EVIL).into_owned();
    assert_eq!((odd.namespace.as_ref(), odd.container.as_ref()), (Some(&evil), Some(&evil)));
    assert_eq!(odd.pod.unwrap().len(), 253);
    assert_eq!(
        [other, empty, large],
        [const { Names { namespace: None, pod: None, container: None } }; 3]
    );
}

#[test]
fn bounded_time_for_who_waits() {
    let folder = tempfile::tempdir().unwrap();
    let _fake = Fake::start(&Asker::socket(&folder), Manner::Hang);
    let settings = NamesSettings {
        cri: CriSocket::At(Asker::socket(&folder)),
        host_root: folder.path().to_owned(),
    };
    let start = Instant::now();
    let ask = HashMap::from([(wanted(1), Pid(1))]);
    let time = Duration::from_millis(300);
    let found = find_all(&settings, ProcFs::new(folder.path()), ask, time).unwrap();
    assert!(found.unsettled == 1 && found.names.is_empty());
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
}
