//! A real Prometheus, over TLS, with a password and with a certificate.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use goroscope_tests::{
    authority::{authority, issue},
    https::Way,
    poll,
    prometheus_server::{self, PrometheusServer},
    requires, skip_unless,
    toolchain::NEWEST,
};

use crate::served::{NAME, PASSWORD, PATIENCE, Served, TLS, USER};

fn ready() -> Result<(), String> {
    let prometheus = prometheus_server::program("prometheus").map_err(|error| format!("{error:#}"));
    requires::go(NEWEST).and_then(|()| prometheus.map(drop))
}

/// A configuration as `docs/web-config.md` has it, with `how` to ask.
fn config(served: &Served, how: &str) -> String {
    format!(
        "global:\n  scrape_interval: 500ms\nscrape_configs:\n  - job_name: goroscope\n    \
         scheme: https\n    tls_config:\n      ca_file: ca.pem\n      server_name: {NAME}\n{how}    \
         static_configs:\n      - targets: ['{}']\n",
        served.address()
    )
}

fn is_scraped(served: &mut Served, how: &str, beside: &[&Path]) -> Result<()> {
    let ca = served.path("ca.pem");
    fs::write(&ca, served.authority.pem())?;
    let beside = [&[ca.as_path()], beside].concat();
    let prometheus = PrometheusServer::start(&config(served, how), &beside)?;
    poll::until("Prometheus has scraped", PATIENCE, || {
        let up = prometheus.query("up == 1")?;
        let counted = prometheus.query("goroscope_goroutines > 20")?;
        Ok((!up.is_empty() && !counted.is_empty()).then_some(()))
    })
    .with_context(|| {
        let targets = prometheus.api("/api/v1/targets").map(|targets| targets.to_string());
        format!("{targets:?}\n{}", served.agent.log().join("\n"))
    })?;
    served.watches()
}

#[test]
fn prometheus_with_a_password() -> Result<()> {
    skip_unless!("prometheus_with_a_password", ready());
    let mut served = Served::with_password()?;
    let how = format!("    basic_auth: {{username: {USER}, password: {PASSWORD}}}\n");
    is_scraped(&mut served, &how, &[])
}

#[test]
fn prometheus_with_a_certificate() -> Result<()> {
    skip_unless!("prometheus_with_a_certificate", ready());
    let clients = authority("clients")?;
    let (own, key) = issue(&clients, "prometheus.test")?;
    let web = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.pem\n  \
         client_allowed_sans: [prometheus.test]\nhttp_server_config:\n  http2: false\n"
    );
    let mut served =
        Served::start(&web, &clients, |authority| Way::tls(authority, NAME, Some((&own, &key))))?;
    let (own_path, key_path) = (served.path("own.pem"), served.path("own.key"));
    fs::write(&own_path, own.pem())?;
    fs::write(&key_path, key.serialize_pem())?;
    let how = "      cert_file: own.pem\n      key_file: own.key\n";
    is_scraped(&mut served, how, &[&own_path, &key_path])
}
