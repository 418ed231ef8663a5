//! One container runtime, behind one socket.

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use hyper::http::uri::PathAndQuery;
use prost::Message;
use tokio::{task::JoinSet, time::timeout};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::api::{
    ById, Containers, LIST_CONTAINERS, LIST_PODS, ListRequest, Pods, VERSION, VersionRequest,
    VersionResponse,
};
use crate::{
    model::bounded::bounded,
    names::{
        tally::{Source, Tally},
        wanted::{Names, name},
    },
    push::{backoff::Backoff, talk::Talk},
};

/// Time for a connection, and for each request on it.
const TIMEOUT: Duration = Duration::from_secs(2);
/// What restarts is back within seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Of one that does not speak CRI.
const MUTE: Duration = Duration::from_secs(60);
/// Requests under way at once.
const AT_ONCE: usize = 8;
/// Largest answer, in bytes: Kubernetes allows 256 KiB of annotations.
const ANSWER_LIMIT: usize = 512 << 10;

/// One container runtime.
pub(super) struct Runtime {
    path: PathBuf,
    /// It was asked for by its path: it has to be there.
    explicit: bool,
    channel: Option<Channel>,
    backoff: Backoff,
    not_before: Option<(Instant, bool)>,
    talk: Talk,
    tally: Tally,
}

/// What it told.
#[derive(Debug, Default)]
pub(super) struct Answered {
    /// By the container's id.
    pub(super) names: HashMap<String, Names>,
    /// It did not answer for all of them.
    pub(super) failed: bool,
}

/// Why it did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CriError {
    /// No connection.
    #[error("no connection to {}: {why}", path.display())]
    Connect { path: PathBuf, why: String, kind: Option<io::ErrorKind> },
    /// An answer that is none.
    #[error("{} answers: {}", path.display(), bounded(status.message()))]
    Status { path: PathBuf, status: Box<Status> },
    /// No answer.
    #[error("{} does not answer within {} s", path.display(), TIMEOUT.as_secs())]
    Silence { path: PathBuf },
}

impl CriError {
    /// Somebody is there who does not know this service.
    pub(super) fn is_mute(&self) -> bool {
        matches!(self, Self::Status { status, .. } if status.code() == Code::Unimplemented)
    }

    pub(super) fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Connect { kind, .. } => *kind,
            Self::Status { .. } | Self::Silence { .. } => None,
        }
    }
}

impl Runtime {
    pub(super) fn new(path: PathBuf, explicit: bool, tally: Tally) -> Self {
        Self {
            path,
            explicit,
            channel: None,
            backoff: Backoff::default(),
            not_before: None,
            talk: Talk::default(),
            tally,
        }
    }

    /// What it knows of these containers. Where it does not answer it is left alone for a while.
    pub(super) async fn ask(&mut self, ids: Vec<String>) -> Answered {
        let mut answered = Answered::default();
        if let Some((until, failing)) = self.not_before
            && Instant::now() < until
        {
            return Answered { failed: failing, ..answered };
        }
        if !self.explicit && !self.path.exists() {
            self.channel = None;
            return answered;
        }
        match self.ask_all(ids, &mut answered.names).await {
            Ok(()) => {
                self.not_before = None;
                self.backoff.reset();
                if self.talk.works() {
                    tracing::info!(socket = %self.path.display(), "the container runtime answers");
                }
            }
            Err(error) => answered.failed = self.failed(&error),
        }
        answered
    }

    async fn ask_all(
        &mut self,
        ids: Vec<String>,
        names: &mut HashMap<String, Names>,
    ) -> Result<(), CriError> {
        // A runtime that was restarted has closed the connection of before: that is no failure.
        let kept = self.channel.clone();
        let outcome = match kept {
            Some(channel) => lookup_all(&self.path, channel, &ids, names).await,
            None => self.on_a_new_connection(&ids, names).await,
        };
        match outcome {
            Err(CriError::Status { status, .. })
                if self.channel.take().is_some() && status.code() != Code::Unimplemented =>
            {
                self.on_a_new_connection(&ids, names).await
            }
            Err(error) => {
                self.channel = None;
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    async fn on_a_new_connection(
        &mut self,
        ids: &[String],
        names: &mut HashMap<String, Names>,
    ) -> Result<(), CriError> {
        let channel = connect(&self.path).await?;
        lookup_all(&self.path, channel.clone(), ids, names).await?;
        self.channel = Some(channel);
        Ok(())
    }

    /// Counts it, tells it, and says whether it may know better later.
    fn failed(&mut self, error: &CriError) -> bool {
        let pause = self.backoff.next(fastrand::f64()).min(LONGEST_PAUSE);
        if error.is_mute() && !self.explicit {
            // Docker's own containerd is such a one: no pods, no names.
            self.not_before = Some((Instant::now() + MUTE, false));
            tracing::debug!(%error, "no CRI behind this socket");
            return false;
        }
        self.not_before = Some((Instant::now() + pause, true));
        self.tally.failed(Source::Cri);
        let reason = error.to_string();
        if self.talk.tells(&reason, Instant::now()) {
            let meant = self.explicit || error.kind() != Some(io::ErrorKind::PermissionDenied);
            let words = "names of pods are not told by the container runtime";
            if meant {
                tracing::warn!(reason, "{words}");
            } else {
                tracing::info!(reason, "{words}");
            }
        }
        true
    }
}

/// A connection to the runtime behind this socket.
async fn connect(path: &std::path::Path) -> Result<Channel, CriError> {
    let failed = |why: String, kind| CriError::Connect { path: path.to_owned(), why, kind };
    let text = path.to_str().ok_or_else(|| failed("its path is not UTF-8".to_owned(), None))?;
    let endpoint = Endpoint::from_shared(format!("unix:{text}"));
    let endpoint = endpoint.map_err(|error| failed(error.to_string(), None))?;
    match timeout(TIMEOUT, endpoint.connect()).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) => {
            let (why, kind) = root(&error);
            Err(failed(why, kind))
        }
        Err(_) => Err(CriError::Silence { path: path.to_owned() }),
    }
}

/// The innermost reason.
fn root(error: &(dyn std::error::Error + 'static)) -> (String, Option<io::ErrorKind>) {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    (last.to_string(), last.downcast_ref::<io::Error>().map(io::Error::kind))
}

/// Name and version of the runtime behind this socket.
pub(super) async fn version(path: &std::path::Path) -> Result<String, CriError> {
    let channel = connect(path).await?;
    let answer: VersionResponse = call(path, &channel, VERSION, VersionRequest {}).await?;
    let text = |bytes: &[u8]| bounded(&String::from_utf8_lossy(bytes));
    Ok(format!("{} {}", text(&answer.runtime_name), text(&answer.runtime_version)))
}

/// All of them, some at once; the first failure ends it.
async fn lookup_all(
    path: &std::path::Path,
    channel: Channel,
    ids: &[String],
    names: &mut HashMap<String, Names>,
) -> Result<(), CriError> {
    let mut waiting = ids.iter().filter(|id| !names.contains_key(*id)).cloned().collect::<Vec<_>>();
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() < AT_ONCE
            && let Some(id) = waiting.pop()
        {
            let (path, channel) = (path.to_owned(), channel.clone());
            under_way.spawn(async move {
                let found = lookup(&path, &channel, &id).await;
                (id, found)
            });
        }
        match under_way.join_next().await {
            None => return Ok(()),
            Some(Ok((id, found))) => {
                if let Some(found) = found? {
                    names.insert(id, found);
                }
            }
            // Neither is it cancelled nor does it panic.
            Some(Err(_)) => {}
        }
    }
}

/// One container, or what holds a pod together.
async fn lookup(
    path: &std::path::Path,
    channel: &Channel,
    id: &str,
) -> Result<Option<Names>, CriError> {
    let containers: Containers = call(path, channel, LIST_CONTAINERS, by_id(id)).await?;
    let container = containers.containers.into_iter().find(|one| one.id == id.as_bytes());
    let pod_id = match &container {
        Some(container) => String::from_utf8_lossy(&container.pod_sandbox_id).into_owned(),
        None => id.to_owned(),
    };
    let pods: Pods = call(path, channel, LIST_PODS, by_id(&pod_id)).await?;
    let pod = pods.items.into_iter().find(|one| one.id == pod_id.as_bytes());
    let text = |bytes: &[u8]| name(&String::from_utf8_lossy(bytes));
    let container = container.and_then(|container| text(&container.metadata?.name));
    let (namespace, pod) = pod
        .and_then(|pod| pod.metadata)
        .map_or((None, None), |metadata| (text(&metadata.namespace), text(&metadata.name)));
    let names = Names { namespace, pod, container };
    Ok((names != Names::default()).then_some(names))
}

fn by_id(id: &str) -> ListRequest {
    ListRequest { filter: Some(ById { id: id.to_owned() }) }
}

async fn call<Q, A>(
    path: &std::path::Path,
    channel: &Channel,
    method: &'static str,
    request: Q,
) -> Result<A, CriError>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let mut grpc = Grpc::new(channel.clone()).max_decoding_message_size(ANSWER_LIMIT);
    let exchange = async {
        grpc.ready().await.map_err(|error| Status::unavailable(root(&error).0))?;
        let method = PathAndQuery::from_static(method);
        grpc.unary(Request::new(request), method, ProstCodec::default()).await
    };
    match timeout(TIMEOUT, exchange).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => {
            Err(CriError::Status { path: path.to_owned(), status: Box::new(status) })
        }
        Err(_) => Err(CriError::Silence { path: path.to_owned() }),
    }
}
