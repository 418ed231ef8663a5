//! A container runtime that is none: it lies, or says nothing.

use std::{convert::Infallible, path::Path};

use anyhow::Result;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::{net::UnixListener, runtime::Runtime};

/// Longer than any name may be.
pub(crate) const LONG: usize = 4000;
/// Ends a label, a line and an escape of a terminal.
pub(crate) const EVIL: &str = "x\"} 1\nup{a=\"\x1b[2J\\";

/// What it does with who asks.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    /// Whatever it is asked for has names that nobody should have.
    Lie,
    /// It takes the connection, and is silent.
    Hang,
}

/// A runtime behind a socket; gone when dropped.
pub(crate) struct FakeRuntime {
    _runtime: Runtime,
}

#[derive(Clone, PartialEq, Message)]
struct Asked {
    #[prost(message, optional, tag = "1")]
    filter: Option<Id>,
}

#[derive(Clone, PartialEq, Message)]
struct Id {
    #[prost(string, tag = "1")]
    id: String,
}

/// A list of containers or of pods: what the agent reads of both has the same places.
#[derive(Clone, PartialEq, Message)]
struct Listed {
    #[prost(message, repeated, tag = "1")]
    items: Vec<Item>,
}

#[derive(Clone, PartialEq, Message)]
struct Item {
    #[prost(string, tag = "1")]
    id: String,
    /// Of a container the id of its pod; of a pod its names.
    #[prost(message, optional, tag = "2")]
    second: Option<PodNames>,
    /// Of a container its name.
    #[prost(message, optional, tag = "3")]
    third: Option<Name>,
}

#[derive(Clone, PartialEq, Message)]
struct PodNames {
    #[prost(bytes = "vec", tag = "1")]
    name: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    namespace: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Name {
    #[prost(bytes = "vec", tag = "1")]
    name: Vec<u8>,
}

impl FakeRuntime {
    /// Listens.
    pub(crate) fn start(path: &Path, manner: Manner) -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(path)?
        };
        runtime.spawn(async move {
            let mut silent = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                match manner {
                    Manner::Hang => silent.push(stream),
                    Manner::Lie => {
                        let serving = http2::Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(stream), service_fn(lie));
                        tokio::spawn(serving);
                    }
                }
            }
        });
        Ok(Self { _runtime: runtime })
    }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

async fn lie(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let of_pods = request.uri().path().ends_with("ListPodSandbox");
    let sent = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    // A message begins with a byte of flags and its length.
    let asked = sent.get(5..).and_then(|sent| Asked::decode(sent).ok()).unwrap_or_default();
    let id = asked.filter.unwrap_or_default().id;
    let names =
        PodNames { name: vec![b'p'; LONG], namespace: [EVIL.as_bytes(), b"\xff\xfe"].concat() };
    let item = Item {
        id,
        second: of_pods.then_some(names),
        third: (!of_pods).then(|| Name { name: EVIL.as_bytes().to_vec() }),
    };
    let list = Listed { items: vec![item] }.encode_to_vec();
    let length = u32::try_from(list.len()).unwrap_or_default().to_be_bytes();
    let message = [&[0], &length[..], &list].concat();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from(message));
    let body = body.with_trailers(std::future::ready(Some(Ok(trailers)))).boxed_unsync();
    let mut response = Response::new(body);
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", grpc);
    Ok(response)
}
