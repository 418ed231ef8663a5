//! One connection: the handshake, where there is TLS, and what is asked and answered.

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, http::Response};
use hyper::{
    Request,
    body::Incoming,
    server::conn::{http1, http2},
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    sync::watch,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    gate::{Gate, Reach, Refusal},
    places::Place,
    web::H2,
};

/// Time for a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a client to send the head of a request, also of the next one on the same connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// The same for HTTP/2.
const MAX_HEAD_H2: u32 = 16 * 1024;
/// Requests at once on a connection of HTTP/2.
const MAX_STREAMS: u32 = 16;
/// Bytes that a client may send before they are read; nobody sends us any.
const WINDOW: u32 = 64 * 1024;
/// Longest life of a connection: one whose client does not read must not keep its place forever.
const MAX_LIFE: Duration = Duration::from_secs(120);
/// Time for the answer under way when a connection's life is over.
const LAST_ANSWER: Duration = Duration::from_secs(10);
/// Time for who spoke no TLS to read that it should.
const LAST_WORD: Duration = Duration::from_secs(1);

/// The first byte of a record of TLS that begins a handshake.
const HANDSHAKE: u8 = 22;
/// As servers written in Go say it.
const NO_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// Who answers, and who stands at the entrance.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) router: Router,
    pub(super) gate: Arc<Gate>,
    pub(super) reach: Reach,
}

impl Service {
    /// Answers on a connection, until it ends, its place is needed, or `stopping` closes.
    pub(super) async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        place: Place,
        mut stopping: watch::Receiver<()>,
    ) {
        let place = Arc::new(place);
        let gate = Arc::clone(&self.gate);
        let served = async {
            let rules = self.gate.rules().await;
            let Some(config) = rules.tls().cloned() else {
                return self.http1(stream, &place, stopping).await;
            };
            let shaken = tokio::select! {
                shaken = timeout(HANDSHAKE_TIMEOUT, self.handshake(stream, config)) => shaken,
                _ = stopping.changed() => return,
            };
            match shaken {
                Ok(Some(stream)) if stream.get_ref().1.alpn_protocol() == Some(H2) => {
                    self.http2(stream, &place, stopping).await;
                }
                Ok(Some(stream)) => self.http1(stream, &place, stopping).await,
                Ok(None) => {}
                Err(_) => self.gate.refuse(Refusal::Handshake),
            }
        };
        tokio::select! {
            () = served => {}
            () = place.needed() => gate.refuse(Refusal::Place),
        }
    }

    async fn handshake<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &self,
        mut stream: S,
        config: Arc<ServerConfig>,
    ) -> Option<TlsStream<Begun<S>>> {
        // Who has nothing to say was not refused.
        let first = stream.read_u8().await.ok()?;
        if first != HANDSHAKE {
            self.gate.refuse(Refusal::Plain);
            let _unheard = timeout(LAST_WORD, say_no_tls(stream)).await;
            return None;
        }
        let accepted = TlsAcceptor::from(config).accept(Begun { first: Some(first), stream }).await;
        if let Err(error) = &accepted {
            self.gate.refuse(Refusal::Handshake);
            tracing::debug!(%error, "no TLS with a client");
        }
        accepted.ok()
    }

    async fn http1(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        place: &Arc<Place>,
        stopping: watch::Receiver<()>,
    ) {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
        let service = service_fn(|request| self.clone().answer(Arc::clone(place), request));
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        drive(connection, |connection| connection.graceful_shutdown(), stopping).await;
    }

    async fn http2(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        place: &Arc<Place>,
        stopping: watch::Receiver<()>,
    ) {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(HEAD_TIMEOUT)
            .keep_alive_timeout(HEAD_TIMEOUT)
            .max_header_list_size(MAX_HEAD_H2)
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW);
        let (own, place) = (self.clone(), Arc::clone(place));
        let service = service_fn(move |request| own.clone().answer(Arc::clone(&place), request));
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        drive(connection, |connection| connection.graceful_shutdown(), stopping).await;
    }

    /// Answers one request. The rules may have changed since the connection was made.
    async fn answer(
        self,
        place: Arc<Place>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, std::convert::Infallible> {
        let _busy = place.busy();
        let rules = self.gate.rules().await;
        let mut response = match self.gate.turn_away(&rules, self.reach, &request).await {
            Some(refused) => refused,
            None => TowerToHyperService::new(self.router).call(request).await?,
        };
        rules.adorn(response.headers_mut());
        Ok(response)
    }
}

/// Lets a connection run, ends it in order when it is time, and cuts it when it does not end.
async fn drive<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    end: impl FnOnce(Pin<&mut C>),
    mut stopping: watch::Receiver<()>,
) {
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = &mut connection => Some(result),
        _ = stopping.changed() => None,
        () = sleep(MAX_LIFE) => None,
    };
    let result = match result {
        Some(result) => Ok(result),
        None => {
            end(connection.as_mut());
            timeout(LAST_ANSWER, connection).await
        }
    };
    match result {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::trace!(%error, "a connection failed"),
        Err(_) => tracing::debug!("a connection that did not end is cut"),
    }
}

async fn say_no_tls(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.write_all(NO_TLS).await?;
    stream.shutdown().await?;
    // What is not read when a socket is closed makes the kernel take back what was said.
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// A stream of which the first byte was read.
struct Begun<S> {
    first: Option<u8>,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buffer.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
