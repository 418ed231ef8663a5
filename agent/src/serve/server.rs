//! Takes connections and answers on them, within limits.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    listen::{Connection, Listener},
    routes,
    source::Source,
};

/// Connections that are open at once, over all listeners; more wait until one is closed.
const MAX_CONNECTIONS: usize = 128;
/// Time for a client to send the head of a request, also of the next one on the same connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Longest life of a connection: one whose client does not read must not keep its place forever.
const MAX_LIFE: Duration = Duration::from_secs(120);
/// Time for the answer under way when a connection's life is over.
const LAST_ANSWER: Duration = Duration::from_secs(10);
/// Time for answers under way when the agent ends.
const GRACE: Duration = Duration::from_secs(1);
/// Pause after a connection could not be taken, as when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers on `listeners` from `source` until `shutdown` is done, and then for at most a second
/// more: answers under way are finished, idle connections closed. The sockets are closed, and the
/// files of unix sockets removed, when it returns.
pub async fn serve(
    listeners: Vec<Listener>,
    source: Arc<dyn Source>,
    shutdown: impl Future<Output = ()>,
) {
    let router = routes::router(source);
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stop, stopping) = watch::channel(());
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, router.clone(), Arc::clone(&permits), stopping.clone()));
    }
    drop(stopping);
    shutdown.await;
    // Every connection hears of it: the channel closes.
    drop(stop);
    accepting.join_all().await;
}

/// Takes connections of one listener until `stopping` closes.
async fn accept(
    listener: Listener,
    router: Router,
    permits: Arc<Semaphore>,
    stopping: watch::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    let mut stop = stopping.clone();
    let mut stopped = pin!(stop.changed());
    loop {
        let next = async {
            // The permit first: who has to wait does so in the kernel's queue.
            let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
            Some((permit, listener.accept().await))
        };
        let accepted = tokio::select! {
            _ = &mut stopped => break,
            accepted = next => accepted,
            // Keeps the set from growing with connections that are closed.
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Some((permit, Ok(connection))) => {
                let (router, stopping) = (router.clone(), stopping.clone());
                connections.spawn(async move {
                    match connection {
                        Connection::Tcp(stream) => converse(stream, router, stopping).await,
                        Connection::Unix(stream) => converse(stream, router, stopping).await,
                    }
                    drop(permit);
                });
            }
            Some((_, Err(error))) => {
                tracing::debug!(%listener, %error, "a connection could not be taken");
                sleep(ACCEPT_PAUSE).await;
            }
            None => break,
        }
    }
    // No new connections while the last answers are sent.
    drop(listener);
    let rest = async { while connections.join_next().await.is_some() {} };
    if timeout(GRACE, rest).await.is_err() {
        tracing::debug!("connections that did not end in time are cut");
    }
}

/// Answers on one connection.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    router: Router,
    mut stopping: watch::Receiver<()>,
) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let result = tokio::select! {
        result = &mut connection => Some(result),
        _ = stopping.changed() => None,
        () = sleep(MAX_LIFE) => None,
    };
    let result = match result {
        Some(result) => Ok(result),
        None => {
            connection.as_mut().graceful_shutdown();
            timeout(LAST_ANSWER, connection).await
        }
    };
    match result {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::trace!(%error, "a connection failed"),
        Err(_) => tracing::debug!("a connection that did not end is cut"),
    }
}
