//! One request to one Alertmanager.

use std::{pin::pin, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request,
    body::Bytes,
    client::conn::http1,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT},
};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time::timeout;
use tower_service::Service as _;

use super::{
    failure::Failure,
    settings::{Alertmanager, Login},
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

/// Who sends to one Alertmanager.
pub(super) struct Client {
    alertmanager: Arc<Alertmanager>,
    connector: HttpsConnector<HttpConnector>,
}

impl Client {
    /// Reads the certificates.
    pub(super) fn new(alertmanager: Arc<Alertmanager>) -> Result<Self, TlsError> {
        let tls = tls::config(&alertmanager.tls, alertmanager.address.is_tls())?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let connector = match tls::server_name(&alertmanager.tls)? {
            Some(name) => connector.with_server_name_resolver(FixedServerNameResolver::new(name)),
            None => connector,
        };
        let connector = connector.enable_http1().wrap_connector(tcp);
        Ok(Self { alertmanager, connector })
    }

    /// Posts alerts.
    pub(super) async fn post(&self, body: Vec<u8>) -> Result<(), Failure> {
        match timeout(TIMEOUT, self.exchange(body)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::silence(TIMEOUT)),
        }
    }

    /// On a connection of its own: a request a minute is worth none that is kept.
    async fn exchange(&self, body: Vec<u8>) -> Result<(), Failure> {
        let request = self.request(body).await?;
        let mut connector = self.connector.clone();
        let stream = connector.call(self.alertmanager.address.alerts().clone()).await;
        let stream = stream.map_err(|error| Failure::broken(&*error))?;
        let shaken = http1::handshake(stream).await;
        let (mut sender, connection) = shaken.map_err(|error| Failure::broken(&error))?;
        let mut connection = pin!(connection);
        let mut answer = pin!(async {
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            // Only its first line is told, so that it does not matter whether it is whole.
            let text = Limited::new(answer.into_body(), ANSWER_LIMIT).collect().await;
            Ok((status, text.map(|text| text.to_bytes()).unwrap_or_default()))
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
            Ok((status, _)) if status.is_success() => Ok(()),
            Ok((status, text)) => Err(Failure::status(status, &String::from_utf8_lossy(&text))),
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

    async fn request(&self, body: Vec<u8>) -> Result<Request<Full<Bytes>>, Failure> {
        let alerts = self.alertmanager.address.alerts();
        let path = alerts.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::post(path)
            .header(HOST, alerts.authority().map_or("", |authority| authority.as_str()))
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("goroscope/", env!("CARGO_PKG_VERSION")));
        if let Some(login) = self.alertmanager.login.clone() {
            // A file system may be slow, too.
            let value = tokio::task::spawn_blocking(move || authorization(&login)).await;
            let value = value.map_err(|error| Failure::local(&error))??;
            request = request.header(AUTHORIZATION, value);
        }
        request.body(Full::new(Bytes::from(body))).map_err(|error| Failure::local(&error))
    }
}

fn authorization(login: &Login) -> Result<HeaderValue, Failure> {
    let path = match login {
        Login::Basic { password_file, .. } => password_file,
        Login::Bearer(file) => file,
    };
    let secret = tls::read(path).map_err(|error| Failure::local(&error))?;
    let unusable = |why: &str| Failure::local(&format!("{} {why}", path.display()));
    let secret = String::from_utf8(secret).map_err(|_| unusable("is not UTF-8"))?;
    let secret = secret.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(unusable("is empty"));
    }
    let value = match login {
        Login::Basic { username, .. } => {
            format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{secret}")))
        }
        Login::Bearer(_) => format!("Bearer {secret}"),
    };
    let mut value = HeaderValue::try_from(value)
        .map_err(|_| unusable("has characters that a header must not have"))?;
    value.set_sensitive(true);
    Ok(value)
}
