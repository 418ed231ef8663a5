//! One request to one Alertmanager.

use hyper::{
    HeaderMap,
    body::Bytes,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};

use super::settings::Alertmanager;
use crate::push::{TlsError, client::Client, failure::Failure, login::authorization};

/// Reads the certificates.
pub(super) fn client(alertmanager: &Alertmanager) -> Result<Client, TlsError> {
    Client::new(alertmanager.address.alerts().clone(), &alertmanager.tls)
}

/// Posts alerts.
pub(super) async fn post(
    alertmanager: &Alertmanager,
    client: &Client,
    body: Vec<u8>,
) -> Result<(), Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(login) = alertmanager.login.clone() {
        // A file system may be slow, too.
        let value = tokio::task::spawn_blocking(move || authorization(&login)).await;
        headers.insert(AUTHORIZATION, value.map_err(|error| Failure::local(&error))??);
    }
    let answer = client.post(headers, Bytes::from(body)).await?;
    if answer.status.is_success() { Ok(()) } else { Err(answer.failure()) }
}
