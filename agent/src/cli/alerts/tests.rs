//! What the key `alerts` means, and what is wrong with it.

use std::fs;

use super::*;
use crate::cli::config::Config;

fn read(text: &str) -> Result<Config, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, text).unwrap();
    Config::read(file.path())
        .map_err(|error| error.to_string().replace(file.path().to_str().unwrap(), "FILE"))
}

fn settings(text: &str, addresses: &[&str]) -> Result<Option<NotifySettings>, String> {
    let addresses: Vec<Address> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    AlertsConfig::settings(read(text)?.alerts.as_ref(), &addresses)
        .map_err(|error| error.to_string())
}

#[test]
fn off_unless_there_is_an_alertmanager() {
    assert_eq!(settings("", &[]), Ok(None));
    assert_eq!(settings("alerts:\n", &[]), Ok(None));
    assert_eq!(settings("alerts: {goroutines: {above: 5}}", &[]), Ok(None));
}

#[test]
fn defaults() {
    let settings = settings("", &["http://a:9093"]).unwrap().unwrap();
    assert_eq!(settings.alertmanagers.len(), 1);
    let seconds = Duration::from_secs;
    assert_eq!((settings.interval, settings.resend), (seconds(5), seconds(60)));
    assert_eq!(
        settings.rules,
        Rules {
            goroutines: Some(Goroutines { above: 8_000, hold: seconds(30) }),
            created: Some(Created { per_second: 200.0, hold: seconds(10) }),
            leaks: Some(Leaks { verdict: Verdict::Confirmed }),
        }
    );
}

const WHOLE: &str = "
alerts:
  alertmanagers:
    - http://plain:9093
    - url: https://tls:9093/am
      tls:
        ca_file: /etc/ca.pem
        cert_file: /etc/own.pem
        key_file: /etc/own.key
        server_name: alertmanager
        insecure_skip_verify: true
      basic_auth: {username: agent, password_file: /etc/password}
    - {url: http://token:9093, bearer_token_file: /etc/token}
  interval: 1s
  resend: 2m
  goroutines: {above: 10, for: 0s}
  created: {per_second: 1.5, for: 1m}
  leaks: {verdict: suspected}
";

#[test]
fn every_key() {
    let settings = settings(WHOLE, &[]).unwrap().unwrap();
    let [plain, tls, token] = settings.alertmanagers.as_slice() else { panic!("{settings:?}") };
    assert_eq!(plain.address.as_str(), "http://plain:9093");
    assert_eq!((&plain.tls, &plain.login), (&Tls::default(), &None));
    assert_eq!(
        tls.tls,
        Tls {
            ca_file: Some("/etc/ca.pem".into()),
            own: Some(("/etc/own.pem".into(), "/etc/own.key".into())),
            server_name: Some("alertmanager".to_owned()),
            insecure_skip_verify: true,
        }
    );
    let basic =
        Login::Basic { username: "agent".to_owned(), password_file: "/etc/password".into() };
    assert_eq!(tls.login, Some(basic));
    assert_eq!(token.login, Some(Login::Bearer("/etc/token".into())));
    let seconds = Duration::from_secs;
    assert_eq!((settings.interval, settings.resend), (seconds(1), seconds(120)));
    assert_eq!(
        settings.rules,
        Rules {
            goroutines: Some(Goroutines { above: 10, hold: seconds(0) }),
            created: Some(Created { per_second: 1.5, hold: seconds(60) }),
            leaks: Some(Leaks { verdict: Verdict::Suspected }),
        }
    );
}

#[test]
fn rules_are_switched_off() {
    let text = "alerts: {goroutines: off, created: off, leaks: off}";
    assert_eq!(settings(text, &["http://a"]).unwrap().unwrap().rules, Rules::default());
}

#[test]
fn options_choose_and_the_file_tells_how() {
    let line = ["https://tls:9093/am", "http://other"];
    let settings = settings(WHOLE, &line).unwrap().unwrap();
    let [tls, other] = settings.alertmanagers.as_slice() else { panic!("{settings:?}") };
    assert!(tls.tls.insecure_skip_verify && tls.login.is_some());
    assert_eq!(other.login, None);
}

#[test]
fn errors_name_the_line() {
    for (text, beginning) in [
        ("alerts:\n  goroutine: {}\n", "configuration FILE:2:3: alerts: unknown key `goroutine`"),
        ("alerts:\n  leaks:\n    verdict: sure\n", "configuration FILE:3:14: "),
        ("alerts:\n  goroutines:\n    over: 5\n", "configuration FILE:3:5: "),
        ("alerts:\n  created:\n    for: long\n", "configuration FILE:3:10: "),
        ("alerts:\n  created: on\n", "configuration FILE:2:12: "),
        ("alerts:\n  alertmanagers:\n    - {tls: {}}\n", "configuration FILE:3:7: "),
        ("alerts:\n  alertmanagers:\n    - url: host\n", "configuration FILE:3:"),
        ("alerts:\n  alertmanagers:\n    - host:9093\n", "configuration FILE:3:"),
        (
            "alerts:\n  alertmanagers:\n    - url: http://a\n      tls:\n        ca: x\n",
            "configuration FILE:5:9: ",
        ),
        (
            "alerts:\n  alertmanagers:\n    - url: http://a\n      basic_auth: {username: a}\n",
            "configuration FILE:4:",
        ),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.starts_with(beginning), "{text:?}: {error}");
    }
}

#[test]
fn what_does_not_go_together() {
    for (more, why) in [
        ("{url: https://a, tls: {cert_file: /c}}", "one only"),
        ("{url: http://a, tls: {ca_file: /c}}", "http://"),
        (
            "{url: http://a, bearer_token_file: /t, basic_auth: {username: a, password_file: /p}}",
            "both",
        ),
        ("http://a, http://a/", "twice"),
    ] {
        let error = settings(&format!("alerts: {{alertmanagers: [{more}]}}"), &[]).unwrap_err();
        assert!(error.contains(why), "{more}: {error}");
    }
}
