//! Takes connections, within limits.

use std::{io, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    connection::Service,
    gate::{Gate, Reach},
    listen::{Connection, Listener},
    routes,
    source::Source,
};

/// Time for answers under way when the agent ends.
const GRACE: Duration = Duration::from_secs(1);
/// Pause after a connection could not be taken, as when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers on `listeners` from `source`, to whom `gate` lets through, until `shutdown` is done, and
/// then for at most a second more: answers under way are finished, idle connections closed. The
/// sockets are closed, and the files of unix sockets removed, when it returns.
pub async fn serve(
    listeners: Vec<Listener>,
    source: Arc<dyn Source>,
    gate: Arc<Gate>,
    shutdown: impl Future<Output = ()>,
) {
    let router = routes::router(source);
    let (stop, stopping) = watch::channel(());
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let reach = Reach::of(&listener);
        let service = Service { router: router.clone(), gate: Arc::clone(&gate), reach };
        accepting.spawn(accept(listener, service, stopping.clone()));
    }
    drop(stopping);
    shutdown.await;
    // Every connection hears of it: the channel closes.
    drop(stop);
    accepting.join_all().await;
}

/// Takes connections of one listener until `stopping` closes.
async fn accept(listener: Listener, service: Service, stopping: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    let mut stop = stopping.clone();
    let mut stopped = pin!(stop.changed());
    let mut taken: Option<io::Result<Connection>> = None;
    loop {
        let next = async {
            // Whatever else happens meanwhile, the one that was taken is not lost.
            if taken.is_none() {
                taken = Some(listener.accept().await);
            }
            match taken {
                // Those behind it wait in the kernel's queue.
                Some(Ok(_)) => Some(service.gate.places.take().await),
                _ => None,
            }
        };
        let place = tokio::select! {
            _ = &mut stopped => break,
            place = next => place,
            // Keeps the set from growing with connections that are closed.
            Some(_) = connections.join_next() => continue,
        };
        match (taken.take(), place) {
            (Some(Ok(connection)), Some(place)) => {
                let (service, stopping) = (service.clone(), stopping.clone());
                connections.spawn(async move {
                    match connection {
                        Connection::Tcp(stream) => service.serve(stream, place, stopping).await,
                        Connection::Unix(stream) => service.serve(stream, place, stopping).await,
                    }
                });
            }
            (Some(Err(error)), _) => {
                tracing::debug!(%listener, %error, "a connection could not be taken");
                sleep(ACCEPT_PAUSE).await;
            }
            _ => {}
        }
    }
    // No new connections while the last answers are sent.
    drop(listener);
    let rest = async { while connections.join_next().await.is_some() {} };
    if timeout(GRACE, rest).await.is_err() {
        tracing::debug!("connections that did not end in time are cut");
    }
}
