//! One request to one Alertmanager.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request,
    body::Bytes,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT},
};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Http, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;

use super::{
    failure::Failure,
    settings::{Alertmanager, Login},
    tls::{self, TlsError},
};

/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for all of a request: the look-up of the name, the connection, and the answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// As much of an answer as is read, in bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Who sends to one Alertmanager.
pub(super) struct Client {
    alertmanager: Arc<Alertmanager>,
    http: Http<HttpsConnector<HttpConnector>, Full<Bytes>>,
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
        // A request a minute is worth no connection that is kept.
        let http = Http::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { alertmanager, http })
    }

    /// Posts alerts.
    pub(super) async fn post(&self, body: Vec<u8>) -> Result<(), Failure> {
        match timeout(TIMEOUT, self.exchange(body)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::silence(TIMEOUT)),
        }
    }

    async fn exchange(&self, body: Vec<u8>) -> Result<(), Failure> {
        let mut request = Request::post(self.alertmanager.address.alerts().clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("goroscope/", env!("CARGO_PKG_VERSION")));
        if let Some(login) = self.alertmanager.login.clone() {
            // A file system may be slow, too.
            let value = tokio::task::spawn_blocking(move || authorization(&login)).await;
            request =
                request.header(AUTHORIZATION, value.map_err(|error| Failure::local(&error))??);
        }
        let request =
            request.body(Full::new(Bytes::from(body))).map_err(|error| Failure::local(&error))?;
        let answer = self.http.request(request).await.map_err(|error| Failure::broken(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        // A longer one has its first line in it all the same, but not in our hands.
        let text = Limited::new(answer.into_body(), ANSWER_LIMIT).collect().await;
        let text = text.map(|text| text.to_bytes()).unwrap_or_default();
        Err(Failure::status(status, &String::from_utf8_lossy(&text)))
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
