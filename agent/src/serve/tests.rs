//! Over real sockets.

use std::{
    io::Read as _,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    time::{sleep, timeout},
};

use super::{
    client::{Answer, LONG, Running, exchange, start, start_with},
    listen::Listener,
};
use crate::model::sample::{snapshot, whole};

#[tokio::test]
async fn metrics_in_the_format_that_is_asked_for() {
    let running = Running::start().await;
    let plain = running.get("/metrics").await;
    assert_eq!(plain.status, 200);
    assert_eq!(plain.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(plain.header("vary"), "accept, accept-encoding");
    assert!(plain.text().contains("\ngoroscope_goroutines_created_total{pid=\"7\""));

    let asked = |accept: &str| {
        format!(
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
        )
    };
    let openmetrics = running.ask(&asked("application/openmetrics-text")).await;
    assert!(
        openmetrics
            .header("content-type")
            .starts_with("application/openmetrics-text; version=1.0.0")
    );
    assert!(openmetrics.text().ends_with("# EOF\n"));

    let protobuf = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                    encoding=delimited";
    let answer = running.ask(&asked(protobuf)).await;
    assert_eq!(answer.header("content-type"), protobuf);
    running.stop().await;
}

#[tokio::test]
async fn long_answers_are_compressed_for_those_who_can() {
    let running = Running::start().await;
    let plain = running.get("/metrics").await;
    let asked = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
        )
    };
    let gzip = running.ask(&asked("/metrics")).await;
    assert_eq!(gzip.header("content-encoding"), "gzip");
    assert_eq!(gzip.header("content-length"), gzip.body.len().to_string());
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(gzip.body.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    assert!(gzip.body.len() < plain.body.len() / 4);
    assert_eq!(plain.header("content-encoding"), "");
    assert_eq!(running.ask(&asked("/healthz")).await.header("content-encoding"), "");
    running.stop().await;
}

#[tokio::test]
async fn health_and_readiness() {
    let running = Running::start().await;
    assert_eq!(running.get("/healthz").await.status, 200);
    assert_eq!(running.get("/readyz").await.status, 503);
    running.source.ready.store(true, Ordering::Relaxed);
    let ready = running.get("/readyz").await;
    assert_eq!((ready.status, ready.text()), (200, "ready\n"));
    running.stop().await;
}

#[tokio::test]
async fn api() {
    let running = Running::start().await;
    let processes = running.get("/api/v1/processes").await.json();
    assert_eq!(processes[0]["pid"], 7);
    assert_eq!(
        processes[0]["origin"],
        json!({"namespace": "shop", "pod": "api-0", "container": "api"})
    );
    assert_eq!(processes[1]["watch"]["probes"], "no function table");

    let sites = running.get("/api/v1/processes/7/sites").await.json();
    assert_eq!(sites[0]["created_by"], "main.serve");
    assert_eq!(sites[0]["live"], 40);
    assert_eq!(running.get("/api/v1/processes/8/sites").await.json(), json!([]));
    for pid in ["9", "0", "x", "-1", "99999999999", "%ff", "7%00"] {
        let answer = running.get(&format!("/api/v1/processes/{pid}/sites")).await;
        assert_eq!(answer.status, 404, "{pid}");
        assert!(answer.json()["error"].as_str().unwrap().contains("/api/v1/processes"));
    }
    running.stop().await;
}

#[tokio::test]
async fn the_page_may_use_what_this_server_has_and_nothing_else() {
    let running = Running::start().await;
    let page = running.get("/").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    for path in ["/metrics", "/healthz", "/readyz", "/api/v1/processes"] {
        assert!(page.text().contains(&format!("href=\"{}\"", &path[1..])), "{path}");
    }
    let data = running.get("/api/v1/processes").await;
    assert!(!data.header("content-security-policy").contains("self"));
    assert_eq!(data.header("cache-control"), "no-store");
    for path in ["/page/", "/page/none.js", "/page/../reply.rs", "/page/%2e%2e/x", "/page/%ff"] {
        assert_eq!(running.get(path).await.status, 404, "{path}");
    }
    running.stop().await;
}

#[tokio::test]
async fn what_the_browser_has_of_the_page_is_not_sent_again() {
    let running = Running::start().await;
    let first = running.get("/page/main.js").await;
    assert_eq!(first.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(first.header("cache-control"), "no-cache");
    let ask = |tag: &str| {
        format!(
            "GET /page/main.js HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\n\
             Connection: close\r\n\r\n"
        )
    };
    let again = running.ask(&ask(first.header("etag"))).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(running.ask(&ask("\"other\"")).await.status, 200);
    running.stop().await;
}

#[tokio::test]
async fn stacks_are_given_to_nobody_unless_it_is_allowed() {
    let running = Running::start().await;
    assert_eq!(running.get("/api/v1/processes/7/dump").await.status, 403);
    let refused = running.get("/api/v1/processes/7/stacks").await;
    assert_eq!(refused.status, 403);
    assert!(refused.json()["error"].as_str().unwrap().contains("--http-dumps"));
    running.source.dumps.store(true, Ordering::Relaxed);
    assert_eq!(running.get("/api/v1/processes/7/stacks").await.json()["goroutines"], 4);
    assert_eq!(running.get("/api/v1/processes/8/stacks").await.status, 429);
    assert_eq!(running.get("/api/v1/processes/9/stacks").await.status, 404);
    assert_eq!(running.get("/api/v1/processes/x/stacks").await.status, 404);
    let text = running.get("/api/v1/processes/7/dump").await;
    assert!(text.text().starts_with("goroutine 1 [chan receive"), "{}", text.text());
    let json = running.get("/api/v1/processes/7/dump?format=json").await.json();
    assert_eq!(json["goroutines"].as_array().unwrap().len(), 4);
    let drawing = running.get("/api/v1/processes/7/dump?format=svg").await;
    let policy = drawing.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.ends_with("sandbox allow-scripts"));
    for wrong in ["?format=xml", "?format=", "?format=%ff", "?format=text&format=json"] {
        let answer = running.get(&format!("/api/v1/processes/7/dump{wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(answer.json()["error"].as_str().unwrap().contains("text, json"));
    }
    assert_eq!(running.get("/api/v1/processes/9/dump").await.status, 404);
    running.stop().await;
}

#[tokio::test]
async fn the_last_minutes_in_columns() {
    let running = Running::start().await;
    let series = running.get("/api/v1/processes/7/series").await.json();
    assert_eq!((&series["at"], &series["every_seconds"]), (&json!([]), &json!(5)));
    assert_eq!(running.get("/api/v1/processes/9/series").await.status, 404);
    running.stop().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_json_errors() {
    let running = Running::start().await;
    for path in ["/nothing", "/metrics/", "/api/v1", "/../etc/passwd", "/%2e%2e/"] {
        let answer = running.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["error"], "no such path; / lists the paths");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let request = format!(
            "{method} /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
        );
        let answer = running.ask(&request).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), "GET,HEAD");
        assert_eq!(answer.json()["error"], "only GET and HEAD are answered");
    }
    running.stop().await;
}

#[tokio::test]
async fn head_has_the_head_and_no_body() {
    let running = Running::start().await;
    for path in ["/metrics", "/healthz", "/", "/api/v1/processes"] {
        let request =
            format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let (head, get) = (running.ask(&request).await, running.get(path).await);
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"));
    }
    running.stop().await;
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let running = Running::start().await;
    let mut stream = running.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"ok\n") {
            let read = timeout(LONG, stream.read_buf(&mut bytes)).await.unwrap().unwrap();
            assert_ne!(read, 0, "closed too early");
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn oversize_heads_are_refused() {
    let running = Running::start().await;
    let line = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(100_000));
    let header = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(200));
    for request in [line, header, many] {
        let mut stream = running.connect().await;
        // The server may close before all is sent.
        let _sent = stream.write_all(request.as_bytes()).await;
        let mut bytes = Vec::new();
        let _closed = timeout(LONG, stream.read_to_end(&mut bytes)).await.unwrap();
        if !bytes.is_empty() {
            assert!([414, 431].contains(&Answer::parse(&bytes).status));
        }
    }
    assert_eq!(running.get("/healthz").await.status, 200);
    running.stop().await;
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    let running = Running::start().await;
    for request in
        ["\r\n\r\n\r\n", "nonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\0\r\n\r\n"]
    {
        let mut stream = running.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut bytes = Vec::new();
        let _closed = timeout(LONG, stream.read_to_end(&mut bytes)).await.unwrap();
        assert!(bytes.is_empty() || Answer::parse(&bytes).status == 400, "{request:?}");
    }
    assert_eq!(running.get("/healthz").await.status, 200);
    running.stop().await;
}

/// Time is the runtime's: it jumps to the next timer when nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_finish_its_request_is_cut() {
    let running = Running::start().await;
    let mut slow = running.connect().await;
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHo").await.unwrap();
    let mut bytes = Vec::new();
    let _closed = timeout(LONG, slow.read_to_end(&mut bytes)).await.expect("it is cut");
    running.stop().await;
}

/// Time is the runtime's here, too.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_cut() {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.tcp_address().unwrap();
    // More than the buffers of both ends hold.
    let processes = (0..8000).map(whole).collect();
    let (_, stop, server) = start_with(listener, snapshot(processes));
    let mut lazy = TcpStream::connect(address).await.unwrap();
    lazy.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    sleep(Duration::from_secs(200)).await;
    let mut bytes = Vec::new();
    let _cut = timeout(LONG, lazy.read_to_end(&mut bytes)).await.expect("it is cut");
    let answer = Answer::parse(&bytes);
    let whole_length: usize = answer.header("content-length").parse().unwrap();
    assert!(answer.body.len() < whole_length, "{whole_length}");
    stop.send(()).unwrap();
    timeout(LONG, server).await.unwrap().unwrap();
}

#[tokio::test]
async fn idle_connections_make_way_for_those_who_ask() {
    let running = Running::start().await;
    let mut idle = Vec::new();
    for _ in 0..400 {
        idle.push(running.connect().await);
    }
    let asked = Instant::now();
    assert_eq!(running.get("/healthz").await.status, 200);
    // Three times as many as there are places came before, each of which may stay for a moment.
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    // The first had to go.
    let mut bytes = Vec::new();
    let _closed = timeout(LONG, idle[0].read_to_end(&mut bytes)).await.expect("it is closed");
    running.stop().await;
}

#[tokio::test]
async fn shutdown_closes_idle_connections_and_the_port() {
    let running = Running::start().await;
    let address = running.address;
    let mut idle = running.connect().await;
    assert_eq!(running.get("/healthz").await.status, 200);
    running.stop().await;
    let mut bytes = Vec::new();
    let _closed = timeout(LONG, idle.read_to_end(&mut bytes)).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_request_that_never_comes() {
    let running = Running::start().await;
    let mut half = running.connect().await;
    half.write_all(b"GET /metrics HT").await.unwrap();
    assert_eq!(running.get("/healthz").await.status, 200);
    running.stop().await;
}

/// Who may open its file is no page of another site.
#[tokio::test]
async fn a_unix_socket_goes_by_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = Listener::bind(&format!("unix:{}", path.display())).await.unwrap();
    let (_, stop, server) = start(listener);
    let request = "GET / HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(UnixStream::connect(&path).await.unwrap(), request).await.status, 200);
    let running = Running::start().await;
    assert_eq!(running.ask(request).await.status, 421);
    running.stop().await;
    stop.send(()).unwrap();
    timeout(LONG, server).await.unwrap().unwrap();
}

#[tokio::test]
async fn over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("goroscope.sock");
    let listener = Listener::bind(&format!("unix:{}", path.display())).await.unwrap();
    let (_, stop, server) = start(listener);
    let stream = UnixStream::connect(&path).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = exchange(stream, request).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("goroscope_processes"));
    stop.send(()).unwrap();
    timeout(LONG, server).await.unwrap().unwrap();
    assert!(!path.exists());
}
