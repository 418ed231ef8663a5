//! What is answered on which path.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, Response, StatusCode},
    routing::get,
};

use super::{
    accept,
    dumps::{self, no_dump},
    metrics::Exposition,
    page,
    reply::Reply,
    source::{NoDump, Source},
};
use crate::{
    discover::identity::Pid,
    model::{
        json::{LeakJson, ProcessJson, SiteJson},
        series_json::SeriesJson,
    },
};

pub(super) type Answers = State<Arc<dyn Source>>;

/// All paths. Other methods than GET and HEAD, and other paths, are JSON errors.
pub(super) fn router(source: Arc<dyn Source>) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/page/{*file}", get(page::file))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/api/v1/processes", get(processes))
        .route("/api/v1/processes/{pid}/sites", get(sites))
        .route("/api/v1/processes/{pid}/series", get(series))
        .route("/api/v1/processes/{pid}/dump", get(dumps::dump))
        .route("/api/v1/processes/{pid}/stacks", get(dumps::stacks))
        .route("/api/v1/leaks", get(leaks))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .with_state(source)
}

async fn metrics(State(source): Answers, request: HeaderMap) -> Response<Body> {
    let snapshot = source.snapshot().await;
    off_the_loop(request, move |request| {
        let format = accept::format(request);
        match Exposition::of(&snapshot).write(format) {
            Ok(body) => Reply::ok(format.content_type(), body),
            Err(_) => Reply::error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the metrics could not be written; this is a bug in goroscope",
            ),
        }
    })
    .await
}

async fn healthz(request: HeaderMap) -> Response<Body> {
    Reply::line(StatusCode::OK, "ok").to(&request)
}

async fn readyz(State(source): Answers, request: HeaderMap) -> Response<Body> {
    let reply = if source.ready() {
        Reply::line(StatusCode::OK, "ready")
    } else {
        Reply::line(StatusCode::SERVICE_UNAVAILABLE, "not ready: the first scan is under way")
    };
    reply.to(&request)
}

async fn processes(State(source): Answers, request: HeaderMap) -> Response<Body> {
    let snapshot = source.snapshot().await;
    off_the_loop(request, move |_| {
        Reply::json(&snapshot.processes.iter().map(ProcessJson::from).collect::<Vec<_>>())
    })
    .await
}

async fn sites(
    State(source): Answers,
    pid: Result<Path<u32>, PathRejection>,
    request: HeaderMap,
) -> Response<Body> {
    let Some(Pid(pid)) = number(pid) else { return no_number(&request) };
    let snapshot = source.snapshot().await;
    off_the_loop(request, move |_| {
        let of_pid = snapshot.processes.iter().filter(|process| process.id.pid.0 == pid);
        match of_pid.max_by_key(|process| process.id.start) {
            Some(process) => {
                Reply::json(&process.sites.iter().map(SiteJson::from).collect::<Vec<_>>())
            }
            None => no_dump(&NoDump::Unwatched(Pid(pid))),
        }
    })
    .await
}

async fn series(
    State(source): Answers,
    pid: Result<Path<u32>, PathRejection>,
    request: HeaderMap,
) -> Response<Body> {
    let Some(pid) = number(pid) else { return no_number(&request) };
    match source.series(pid).await {
        Some(series) => {
            off_the_loop(request, move |_| Reply::json(&SeriesJson::from(&*series))).await
        }
        None => no_dump(&NoDump::Unwatched(pid)).to(&request),
    }
}

async fn leaks(State(source): Answers, request: HeaderMap) -> Response<Body> {
    let snapshot = source.snapshot().await;
    off_the_loop(request, move |_| {
        Reply::json(&snapshot.processes.iter().flat_map(LeakJson::of).collect::<Vec<_>>())
    })
    .await
}

pub(super) fn number(pid: Result<Path<u32>, PathRejection>) -> Option<Pid> {
    pid.ok().map(|Path(pid)| Pid(pid))
}

pub(super) fn no_number(request: &HeaderMap) -> Response<Body> {
    let error = "a process id is a number; /api/v1/processes lists the processes";
    Reply::error(StatusCode::NOT_FOUND, error).to(request)
}

async fn unknown(request: HeaderMap) -> Response<Body> {
    Reply::error(StatusCode::NOT_FOUND, "no such path; / lists the paths").to(&request)
}

async fn not_allowed(request: HeaderMap) -> Response<Body> {
    Reply::error(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered").to(&request)
}

/// Makes and compresses an answer on a thread where that may take its time: with many processes it
/// is megabytes, and the agent's events are handled on the same loop as the connections.
pub(super) async fn off_the_loop(
    request: HeaderMap,
    make: impl FnOnce(&HeaderMap) -> Reply + Send + 'static,
) -> Response<Body> {
    let headers = request.clone();
    match tokio::task::spawn_blocking(move || make(&headers).to(&headers)).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "an answer could not be made");
            Reply::error(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made")
                .to(&request)
        }
    }
}
