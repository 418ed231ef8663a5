//! Files as users write them, right and wrong.

use std::fs;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;

const HASH: &str = "$2y$04$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

/// A folder with a certificate, its key, another key, and what is none.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(["a.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    for (name, text) in [
        ("cert.pem", certificate.pem()),
        ("key.pem", key.serialize_pem()),
        ("other.pem", KeyPair::generate().unwrap().serialize_pem()),
        ("empty.pem", String::new()),
        (
            "nonsense.pem",
            "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n".to_owned(),
        ),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn read(folder: &TempDir, text: &str) -> Result<Rules, String> {
    let path = folder.path().join("web.yml");
    fs::write(&path, text).unwrap();
    Rules::read(&path, &mut Reader::default()).map_err(|error| error.to_string())
}

const OWN: &str = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n";

#[test]
fn everything_that_exporters_know() {
    let folder = folder();
    let text = format!(
        "{OWN}  client_ca_file: cert.pem
  client_auth_type: RequireAndVerifyClientCert
  client_allowed_sans: [a.test, 10.0.0.1]
  min_version: TLS12
  max_version: TLS13
  cipher_suites:
    - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    - TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
  prefer_server_cipher_suites: yes
  curve_preferences: [CurveP256, X25519]
http_server_config:
  http2: off
  headers:
    Content-Security-Policy: default-src 'self'
    X-Frame-Options: deny
    X-Content-Type-Options: nosniff
    X-XSS-Protection: \"1\"
    Strict-Transport-Security: max-age=31536000
basic_auth_users:
  ann: {HASH}
  7: {HASH}
rate_limit:
  interval: 1s
  burst: 20
"
    );
    let rules = read(&folder, &text).unwrap();
    let tls = rules.tls().unwrap();
    assert_eq!(tls.alpn_protocols, [b"http/1.1"]);
    let provider = tls.crypto_provider();
    assert_eq!((provider.cipher_suites.len(), provider.kx_groups.len()), (5, 2));
    assert!(rules.authenticates() && rules.rate.is_some());
    let mut headers = HeaderMap::new();
    rules.adorn(&mut headers);
    assert_eq!(headers.len(), 5);
    assert!(rules.certificate_ends().is_some());
}

#[test]
fn what_need_not_be_there() {
    let folder = folder();
    for text in [
        "",
        "# nothing\n",
        "{}",
        "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\nrate_limit:\n",
        "tls_server_config: {cert_file: '', key_file: }\nhttp_server_config: {headers: }\n",
        "rate_limit: {interval: 0, burst: 0}",
    ] {
        let rules = read(&folder, text).unwrap();
        assert!(rules.tls().is_none() && !rules.authenticates(), "{text}");
    }
    let rules = read(&folder, OWN).unwrap();
    assert_eq!(rules.tls().unwrap().alpn_protocols.len(), 2);
    assert!(!rules.authenticates());
}

#[test]
fn certificate_and_key_within_the_file() {
    let folder = folder();
    let indented = |name: &str| {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        text.lines().map(|line| format!("\n    {line}")).collect::<String>()
    };
    let (cert, key) = (indented("cert.pem"), indented("key.pem"));
    let text = format!(
        "tls_server_config:\n  cert: |{cert}\n  key: |{key}\n  client_ca: |{cert}\n  \
         client_auth_type: VerifyClientCertIfGiven\n"
    );
    assert!(read(&folder, &text).unwrap().tls().is_some());
    let both = format!("{text}  cert_file: cert.pem\n");
    assert!(read(&folder, &both).unwrap_err().contains("too many"));
}

#[test]
fn who_is_known() {
    let folder = folder();
    for (more, known) in [
        ("client_auth_type: NoClientCert", false),
        ("client_auth_type: RequestClientCert", false),
        ("client_auth_type: RequireAnyClientCert", false),
        ("client_auth_type: RequireClientCert", false),
        ("client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: cert.pem", false),
        (
            "client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: cert.pem\n  \
             client_allowed_sans: [a]",
            true,
        ),
        ("client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: cert.pem", true),
    ] {
        let rules = read(&folder, &format!("{OWN}  {more}\n")).unwrap();
        assert_eq!(rules.authenticates(), known, "{more}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let folder = folder();
    let users = |hash: &str| format!("basic_auth_users:\n  ann: {hash}\n");
    for (text, place, why) in [
        ("nonsense: 1\n".to_owned(), ":1:1:", "unknown key `nonsense`"),
        (format!("{OWN}  cert_fil: x\n"), ":4:3:", "unknown key `cert_fil`"),
        ("tls_server_config: 5\n".to_owned(), ":1:20:", "invalid type"),
        (format!("{OWN}  client_allowed_sans: a\n"), ":4:24:", "invalid type"),
        ("tls_server_config:\n  cert_file: [a]\n".to_owned(), ":2:14:", "invalid type"),
        ("http_server_config:\n  http2: maybe\n".to_owned(), ":2:10:", "true or false"),
        ("rate_limit:\n  interval: often\n".to_owned(), ":2:13:", "a time span"),
        ("rate_limit:\n  interval: 1s\n  burst: -1\n".to_owned(), ":3:10:", "invalid digit"),
        ("rate_limit:\n  interval: 1s\n".to_owned(), ":1:", "burst of 0"),
        ("- a\n".to_owned(), ":1:1:", "invalid type"),
        ("a: [\n".to_owned(), ":", ""),
        (users("secret"), ":2:8:", "a bcrypt hash is needed"),
        (users("[1]"), ":2:8:", "invalid type"),
        (users(""), "", "\"ann\" has no bcrypt hash"),
        (format!("{}  ann: {HASH}\n", users(HASH)), "", "given twice: the user \"ann\""),
        (format!("{OWN}{OWN}"), "", "given twice: `tls_server_config`"),
        (format!("basic_auth_users:\n  'a:b': {HASH}\n"), ":2:3:", "neither a colon"),
        ("basic_auth_users: [a]\n".to_owned(), ":1:19:", "mapping of names"),
        (
            "http_server_config:\n  headers:\n    X-Frame-Options: never\n".to_owned(),
            ":3:22:",
            "one of deny, sameorigin",
        ),
        (
            "http_server_config:\n  headers:\n    Server: me\n".to_owned(),
            ":3:5:",
            "unknown key `Server`",
        ),
        (format!("{OWN}  min_version: TLS11\n"), ":4:16:", "not safe"),
        (format!("{OWN}  min_version: TLS13\n  max_version: TLS12\n"), ":5:", "below min_version"),
        (format!("{OWN}  cipher_suites: [TLS_RSA_X]\n"), ":4:19:", "take it off"),
        (format!("{OWN}  curve_preferences:\n    - CurveP521\n"), ":5:7:", "CurveP384"),
        (format!("{OWN}  client_auth_type: Any\n"), ":4:21:", "one of NoClientCert"),
        (format!("{OWN}  client_ca_file: cert.pem\n"), ":4:", "has no effect"),
        (format!("{OWN}  client_allowed_sans: [a]\n"), ":4:", "has no effect"),
        (
            format!("{OWN}  client_auth_type: RequireAndVerifyClientCert\n"),
            ":4:",
            "client_ca_file, which names",
        ),
        (
            "tls_server_config:\n  cert_file: cert.pem\n".to_owned(),
            ":1:",
            "neither key nor key_file",
        ),
        ("tls_server_config:\n  min_version: TLS13\n".to_owned(), ":1:", "neither cert nor"),
        (OWN.replace("cert.pem", "none.pem"), ":2:", "none.pem: No such file"),
        (OWN.replace("cert.pem", "/"), ":2:", "cannot read /: Is a directory"),
        (
            OWN.replace("cert.pem", "empty.pem"),
            ":2:",
            "has no certificate in PEM form: there is none",
        ),
        (OWN.replace("cert.pem", "nonsense.pem"), ":2:", "has no certificate in PEM form"),
        (OWN.replace("cert.pem", "key.pem"), ":2:", "has no certificate in PEM form"),
        (OWN.replace("key.pem", "cert.pem"), ":3:", "has no private key in PEM form"),
        (OWN.replace("key.pem", "other.pem"), ":3:", "the key is not that of the certificate"),
        (
            format!("{OWN}  client_auth_type: RequestClientCert\n  client_ca_file: key.pem\n"),
            ":5:",
            "has no certificate in PEM form",
        ),
    ] {
        let error = read(&folder, &text).unwrap_err();
        let path = folder.path().join("web.yml");
        let start = format!("web configuration {}{place}", path.display());
        assert!(error.starts_with(&start) && error.contains(why), "{text}: {error}");
        assert!(!error.contains("secret") && !error.contains(" at line "), "{error}");
    }
    let error = Rules::read(Path::new("/nonexistent.yml"), &mut Reader::default()).unwrap_err();
    assert!(error.to_string().contains("/nonexistent.yml: No such file"), "{error}");
    fs::write(folder.path().join("web.yml"), b"\xff\xfe").unwrap();
    let path = folder.path().join("web.yml");
    let error = Rules::read(&path, &mut Reader::default()).unwrap_err();
    assert!(error.to_string().contains("not UTF-8"));
}

/// Waits as long as there is between two looks, in the time of the runtime.
async fn rules_after_a_while(web: &Arc<Web>) -> Arc<Rules> {
    tokio::time::sleep(LOOK_INTERVAL).await;
    web.rules().await
}

#[tokio::test]
async fn what_is_wrong_later_leaves_what_was_before() {
    let folder = folder();
    let path = folder.path().join("web.yml");
    let write = |text: String| fs::write(&path, text).unwrap();
    let whole = format!("{OWN}basic_auth_users:\n  ann: {HASH}\n");
    write(whole.clone());
    let web = Arc::new(Web::open(Some(&path)).unwrap());
    let first = web.rules().await;
    assert!(Arc::ptr_eq(&first, &rules_after_a_while(&web).await), "it was read for nothing");
    for wrong in [
        "nonsense",
        "",
        OWN,
        &format!("basic_auth_users:\n  ann: {HASH}\n"),
        &whole.replace("key.pem", "other.pem"),
    ] {
        write(wrong.to_owned());
        let rules = rules_after_a_while(&web).await;
        assert!(Arc::ptr_eq(&first, &rules), "{wrong}");
        assert_eq!(web.is_as_written(), Some(false), "{wrong}");
    }
    fs::remove_file(&path).unwrap();
    assert!(Arc::ptr_eq(&first, &rules_after_a_while(&web).await));
    write(whole.replace("ann", "bob"));
    let second = rules_after_a_while(&web).await;
    assert!(!Arc::ptr_eq(&first, &second) && web.is_as_written() == Some(true));
    // The key is another, and so is the certificate a moment later.
    let key = KeyPair::generate().unwrap();
    fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
    assert!(Arc::ptr_eq(&second, &rules_after_a_while(&web).await));
    let renewed = CertificateParams::new(["a.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(folder.path().join("cert.pem"), renewed.pem()).unwrap();
    let third = rules_after_a_while(&web).await;
    assert!(!Arc::ptr_eq(&second, &third) && web.is_as_written() == Some(true));
}

/// The examples of `docs/web-config.md`.
#[test]
fn what_is_documented_does() {
    let document = include_str!("../../../../docs/web-config.md");
    let blocks = document.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let folder = folder();
    let mut read_so_far = 0;
    for block in blocks.filter(|block| block.starts_with("tls_server_config")) {
        let block = block
            .replace("server.pem", "cert.pem")
            .replace("server.key", "key.pem")
            .replace("clients.pem", "cert.pem");
        assert!(read(&folder, &block).unwrap().authenticates(), "{block}");
        read_so_far += 1;
    }
    assert_eq!(read_so_far, 2);
    for line in document.lines().filter_map(|line| line.strip_prefix("| `… ")) {
        let (keys, _) = line.split_once('|').unwrap();
        for key in keys.split('`').step_by(2).filter(|key| !key.trim().trim_matches(',').is_empty())
        {
            let known =
                format!("http_server_config: {{{key}: }}\ntls_server_config: {{{key}: }}\n");
            let error = read(&folder, &known).unwrap_err();
            assert!(error.contains("unknown key"), "{key}: {error}");
            let one = known.lines().any(|line| read(&folder, line).is_ok());
            assert!(one, "{key} is documented, and not known");
        }
    }
}
