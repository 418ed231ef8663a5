//! Those who may not ask.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::{
    authority::{authority, issue, issue_expired},
    http,
    https::Way,
    requires, skip_unless,
    toolchain::NEWEST,
};

use crate::served::{NAME, PASSWORD, Served, TLS, USER, login, users};

#[test]
fn without_the_password() -> Result<()> {
    skip_unless!("without_the_password", requires::go(NEWEST));
    let mut served = Served::with_password()?;
    let tls = Way::tls(&served.authority, NAME, None)?;
    for (what, way) in [
        ("no password", tls.clone()),
        ("another password", tls.with_login(login(USER, "wrong"))),
        ("an empty password", tls.with_login(login(USER, ""))),
        ("an unknown user", tls.with_login(login("root", PASSWORD))),
        ("the user in capitals", tls.with_login(login("PROMETHEUS", PASSWORD))),
        ("no form", tls.with_login("Basic !!!")),
        ("a token", tls.with_login("Bearer abc")),
    ] {
        for path in ["/metrics", "/", "/healthz", "/readyz", "/api/v1/processes", "/none"] {
            let answer = way.get(served.address(), path)?;
            ensure!(answer.status == 401, "{what}, {path}: {}", answer.status);
            let challenge = answer.header("www-authenticate").context("no challenge")?;
            ensure!(challenge.starts_with("Basic"), "{challenge}");
            let text = answer.text()?;
            ensure!(!text.contains("goroscope_") && text.contains("wrong"), "{text}");
        }
    }
    ensure!(served.refused("login")? == 42, "{}", served.refused("login")?);
    served.watches()
}

#[test]
fn without_the_certificate() -> Result<()> {
    skip_unless!("without_the_certificate", requires::go(NEWEST));
    let (clients, others) = (authority("clients")?, authority("others")?);
    let (own, key) = issue(&clients, "prometheus.test")?;
    let web = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.pem\n  \
         client_allowed_sans: [prometheus.test]\n"
    );
    let mut served =
        Served::start(&web, &clients, |authority| Way::tls(authority, NAME, Some((&own, &key))))?;
    let (expired, expired_key) = issue_expired(&clients, "prometheus.test")?;
    let (foreign, foreign_key) = issue(&others, "prometheus.test")?;
    let (other, other_key) = issue(&clients, "other.test")?;
    let before = served.refused("handshake")?;
    let cases = [
        ("none", None),
        ("expired", Some((&expired, &expired_key))),
        ("of another authority", Some((&foreign, &foreign_key))),
        ("of another name", Some((&other, &other_key))),
        ("with the key of another", Some((&own, &other_key))),
    ];
    let count = cases.len();
    for (what, own) in cases {
        let Ok(way) = Way::tls(&served.authority, NAME, own) else {
            // A client that notices by itself.
            ensure!(what == "with the key of another");
            continue;
        };
        let answer = served.ask(&way);
        ensure!(answer.is_err(), "{what}: {answer:?}");
    }
    let refused = served.refused("handshake")? - before;
    ensure!((count as u64 - 1..=count as u64).contains(&refused), "{refused} of {count}");
    ensure!(served.ask(&served.good)?.status == 200);
    served.watches()
}

/// The policies that look at no authority, or only where there is a certificate.
#[test]
fn other_policies_for_certificates() -> Result<()> {
    skip_unless!("other_policies_for_certificates", requires::go(NEWEST));
    let (clients, others) = (authority("clients")?, authority("others")?);
    let (own, key) = issue(&clients, "a.test")?;
    let (foreign, foreign_key) = issue(&others, "a.test")?;
    let ca = "  client_ca_file: clients.pem\n";
    // Without a certificate, with one of another authority, with one of the right.
    for (policy, ca, answered) in [
        ("NoClientCert", "", [true, true, true]),
        ("RequestClientCert", "", [true, true, true]),
        ("RequireAnyClientCert", "", [false, true, true]),
        ("VerifyClientCertIfGiven", ca, [true, false, true]),
        ("RequireAndVerifyClientCert", ca, [false, false, true]),
    ] {
        let web = format!("{TLS}  client_auth_type: {policy}\n{ca}");
        let mut served = Served::start(&web, &clients, |authority| {
            Way::tls(authority, NAME, Some((&own, &key)))
        })?;
        let shown = [None, Some((&foreign, &foreign_key)), Some((&own, &key))];
        for (shown, answered) in shown.into_iter().zip(answered) {
            let which = shown.is_some();
            let answer = served.ask(&Way::tls(&served.authority, NAME, shown)?);
            ensure!(answer.is_ok() == answered, "{policy}, {which}: {answer:?}");
        }
        served.watches()?;
    }
    Ok(())
}

#[test]
fn plain_text_on_the_port_of_tls() -> Result<()> {
    skip_unless!("plain_text_on_the_port_of_tls", requires::go(NEWEST));
    let mut served = Served::with_password()?;
    let answer = http::get(served.address(), "/metrics", &[])?;
    ensure!(answer.status == 400, "{}", answer.status);
    let text = answer.text()?;
    ensure!(text == "Client sent an HTTP request to an HTTPS server.\n", "{text}");
    for bytes in [&b"\0\0\0\0"[..], b"SSH-2.0-x\r\n", &[0x16, 3, 1, 0xff, 0xff, 0], &[0x80; 3000]] {
        let mut stream = TcpStream::connect(served.address())?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(bytes)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = Vec::new();
        let _closed = stream.read_to_end(&mut answer);
        ensure!(answer.len() < 300, "{} bytes", answer.len());
    }
    ensure!(served.refused("no_tls")? == 4, "{}", served.refused("no_tls")?);
    served.watches()
}

/// What a client asks for that the configuration leaves out.
#[test]
fn versions_of_tls() -> Result<()> {
    skip_unless!("versions_of_tls", requires::go(NEWEST));
    let clients = authority("nobody")?;
    let web = format!(
        "{TLS}  min_version: TLS13\nhttp_server_config:\n  headers:\n    \
         Strict-Transport-Security: max-age=60\n{}rate_limit:\n  interval: 1ms\n  burst: 100\n",
        users(USER, PASSWORD)?
    );
    let mut served = Served::start(&web, &clients, |authority| {
        Ok(Way::tls(authority, NAME, None)?.with_login(login(USER, PASSWORD)))
    })?;
    let answer = served.ask(&served.good)?;
    ensure!(answer.header("strict-transport-security") == Some("max-age=60"), "{answer:?}");
    let refused = served.ask(&served.good.only_tls12()?);
    ensure!(refused.is_err(), "{refused:?}");
    served.watches()
}
