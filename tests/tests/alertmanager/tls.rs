//! Alertmanagers that speak TLS, with certificates that do and that do not.

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    authority::{Authority, authority, issue, server_config},
    poll, requires, skip_unless,
    toolchain::NEWEST,
};

use crate::{
    fake::Fake,
    watched::{PATIENCE, Watched},
};

/// A server that is called `alertmanager.test`; `clients` vouches for who may ask it.
fn server(authority: &Authority, clients: Option<&Authority>) -> Result<Fake> {
    Fake::start_tls(server_config(authority, "alertmanager.test", clients)?)
}

#[test]
fn a_wrong_certificate_is_told_with_the_way_out() -> Result<()> {
    skip_unless!("a_wrong_certificate_is_told_with_the_way_out", requires::go(NEWEST));
    let (ours, other) = (authority("ours")?, authority("other")?);
    let (open, closed, plain) = (server(&ours, None)?, server(&ours, Some(&ours))?, Fake::start()?);
    let (agent, agent_key) = issue(&ours, "agent")?;
    let (open_url, closed_url) = (open.url(), closed.url());
    let plain_url = plain.url().replace("http:", "https:");
    // One server, at paths that tell which of them it was.
    let lines = format!(
        "
    - {open_url}/unknown
    - {{url: {open_url}/other, tls: {{ca_file: $DIR/other.pem}}}}
    - {{url: {open_url}/name, tls: {{ca_file: $DIR/ours.pem}}}}
    - {{url: {closed_url}/nobody, tls: {{ca_file: $DIR/ours.pem, server_name: alertmanager.test}}}}
    - {{url: {plain_url}/plain, tls: {{ca_file: $DIR/ours.pem}}}}
    - url: {open_url}/right
      tls: {{ca_file: $DIR/ours.pem, server_name: alertmanager.test}}
      basic_auth: {{username: agent, password_file: $DIR/password}}
    - url: {closed_url}/client
      tls:
        ca_file: $DIR/ours.pem
        server_name: alertmanager.test
        cert_file: $DIR/agent.pem
        key_file: $DIR/agent.key
      bearer_token_file: $DIR/token
    - {{url: {open_url}/anybody, tls: {{insecure_skip_verify: true}}}}
"
    );
    let files = [
        ("ours.pem", ours.pem()),
        ("other.pem", other.pem()),
        ("agent.pem", agent.pem()),
        ("agent.key", agent_key.serialize_pem()),
        ("password", "open sesame\n".to_owned()),
        ("token", "abc.def\n".to_owned()),
    ];
    let watched = Watched::start(lines.trim_start_matches('\n'), &files)?;
    for (path, reason, hint) in [
        ("/unknown", "UnknownIssuer", "tls.ca_file"),
        ("/other", "UnknownIssuer", "tls.ca_file"),
        ("/name", "not valid for name", "tls.server_name"),
        ("/nobody", "ertificate", "tls.cert_file"),
        ("/plain", "corrupt message", "with http://"),
    ] {
        watched.logged(&["are kept", path, reason, hint])?;
    }
    for (fake, path, authorization) in [
        (&open, "/right", Some("Basic YWdlbnQ6b3BlbiBzZXNhbWU=")),
        (&closed, "/client", Some("Bearer abc.def")),
        (&open, "/anybody", None),
    ] {
        let path = format!("{path}/api/v2/alerts");
        let received = poll::until(&format!("something comes to {path}"), PATIENCE, || {
            Ok(fake.received().into_iter().find(|received| received.path == path))
        });
        let received = received.with_context(|| watched.agent.log().join("\n"))?;
        ensure!(received.header("authorization") == authorization, "{received:?}");
    }
    for (fake, path) in
        [(&open, "/unknown"), (&open, "/other"), (&open, "/name"), (&closed, "/nobody")]
    {
        let told = fake.received().iter().any(|received| received.path.starts_with(path));
        ensure!(!told, "{path} was told although it should not be trusted");
    }
    let log = watched.agent.log().join("\n");
    ensure!(!log.contains("sesame") && !log.contains("abc.def"), "a secret is in the log: {log}");
    ensure!(watched.folder.path().join("token").exists());
    Ok(())
}
