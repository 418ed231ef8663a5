//! One request to one server.

use std::{pin::pin, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    HeaderMap, Request, StatusCode, Uri,
    body::Bytes,
    client::conn::http1,
    header::{HOST, HeaderValue, USER_AGENT},
};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time::timeout;
use tower_service::Service as _;

use super::{
    address,
    failure::Failure,
    settings::Tls,
    tls::{self, TlsError},
};

/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for all of a request: the look-up of the name, the connection, and the answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a connection that has broken to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// As much of an answer as is read, in bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Who sends to one server.
pub(crate) struct Client {
    uri: Uri,
    connector: HttpsConnector<HttpConnector>,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Empty where it was too long, or broke off.
    pub(crate) body: Bytes,
}

impl Answer {
    /// Why it is no success.
    pub(crate) fn failure(&self) -> Failure {
        Failure::status(self.status, &String::from_utf8_lossy(&self.body))
    }
}

impl Client {
    /// Reads the certificates.
    pub(crate) fn new(uri: Uri, tls: &Tls) -> Result<Self, TlsError> {
        let config = tls::config(tls, address::is_tls(&uri))?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        let connector = match tls::server_name(tls)? {
            Some(name) => connector.with_server_name_resolver(FixedServerNameResolver::new(name)),
            None => connector,
        };
        let connector = connector.enable_http1().wrap_connector(tcp);
        Ok(Self { uri, connector })
    }

    /// Posts this, and gives the answer, whatever it is. Redirections are not followed.
    pub(crate) async fn post(&self, headers: HeaderMap, body: Bytes) -> Result<Answer, Failure> {
        match timeout(TIMEOUT, self.exchange(headers, body)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::silence(TIMEOUT)),
        }
    }

    /// On a connection of its own: a request a minute is worth none that is kept.
    async fn exchange(&self, headers: HeaderMap, body: Bytes) -> Result<Answer, Failure> {
        let request = self.request(headers, body)?;
        let mut connector = self.connector.clone();
        let stream = connector.call(self.uri.clone()).await;
        let stream = stream.map_err(|error| Failure::broken(&*error))?;
        let shaken = http1::handshake(stream).await;
        let (mut sender, connection) = shaken.map_err(|error| Failure::broken(&error))?;
        let mut connection = pin!(connection);
        let mut answer = pin!(async {
            let answer = sender.send_request(request).await?;
            let (head, body) = answer.into_parts();
            // No answer is worth failing for its text.
            let body = Limited::new(body, ANSWER_LIMIT).collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            Ok(Answer { status: head.status, headers: head.headers, body })
        });
        let mut broken = None;
        let answer: Result<_, hyper::Error> = tokio::select! {
            biased;
            answer = &mut answer => answer,
            ended = &mut connection => {
                broken = Some(ended);
                answer.await
            }
        };
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => {
                // Why a connection broke is known to the connection.
                let why = match broken {
                    Some(ended) => ended.err(),
                    None => timeout(LAST_WORDS, connection).await.ok().and_then(Result::err),
                };
                Err(Failure::broken(&why.unwrap_or(error)))
            }
        }
    }

    fn request(&self, headers: HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        const AGENT: HeaderValue =
            HeaderValue::from_static(concat!("goroscope/", env!("CARGO_PKG_VERSION")));
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let host = self.uri.authority().map_or("", |authority| authority.as_str());
        let mut request =
            Request::post(path).body(Full::new(body)).map_err(|error| Failure::local(&error))?;
        *request.headers_mut() = headers;
        let host = HeaderValue::try_from(host).map_err(|error| Failure::local(&error))?;
        request.headers_mut().insert(HOST, host);
        request.headers_mut().insert(USER_AGENT, AGENT);
        Ok(request)
    }
}
