//! What rustls needs to know, from what the file says.

use std::{path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use super::{
    certificate, clients,
    error::{Origin, WebError},
    file::TlsSection,
    name::{ClientAuth, Version},
    reader::Reader,
};

/// HTTP/2 and HTTP/1.1, as a handshake names them.
pub(in crate::serve) const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// TLS as it is to be spoken.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) config: Arc<ServerConfig>,
    /// When the server's certificate ends, in seconds since the Unix epoch.
    pub(super) ends: Option<i64>,
    /// Is everybody who connects vouched for?
    pub(super) clients_are_known: bool,
}

/// Reads certificates and keys, and puts together what is to be spoken.
pub(super) fn tls(
    section: &TlsSection,
    http2: bool,
    origin: Origin<'_>,
    reader: &mut Reader,
) -> Result<Tls, WebError> {
    let mut files = Files { origin, reader };
    let policy = section.client_auth_type.unwrap_or_default();
    let (chain, key) = own(section, &mut files)?;
    let authorities = authorities(section, policy, &mut files)?;
    let provider = Arc::new(provider(section));
    let unusable = |error: rustls::Error| origin.wrong("tls_server_config", error.to_string());
    let names = &section.client_allowed_sans;
    let verifier = clients::verifier(policy, authorities, names, &provider)
        .map_err(|error| origin.wrong("client_ca_file", error.to_string()))?;
    let ends = chain.first().and_then(|own| certificate::ends(own));
    let key_name = if section.key.is_some() { "key" } else { "key_file" };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(section, origin)?)
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| {
            let why = match error {
                rustls::Error::InconsistentKeys(_) => {
                    "the key is not that of the certificate".to_owned()
                }
                error => format!("certificate and key do not do: {error}"),
            };
            origin.wrong(key_name, why)
        })?;
    config.ignore_client_order = section.prefer_server_cipher_suites.is_none_or(|yes| yes.0);
    let protocols = if http2 { &[H2, HTTP1][..] } else { &[HTTP1] };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Tls {
        config: Arc::new(config),
        ends,
        clients_are_known: policy == ClientAuth::RequireAndVerify
            || (policy.verifies() && !names.is_empty()),
    })
}

/// Files that the section names, by paths that start from the folder of the configuration.
struct Files<'a> {
    origin: Origin<'a>,
    reader: &'a mut Reader,
}

impl Files<'_> {
    /// What stands in the file itself, or in another, which of the two, and where that is.
    fn either<'k>(
        &mut self,
        (text_key, text): (&'k str, &Option<String>),
        (file_key, file): (&'k str, &Option<String>),
    ) -> Result<Option<Pem<'k>>, WebError> {
        match (text, file) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => {
                let why = format!("{text_key} and {file_key} are given: one of them is too many");
                Err(self.origin.wrong(text_key, why))
            }
            (Some(text), None) => {
                let (bytes, what) = (text.clone().into_bytes(), text_key.to_owned());
                Ok(Some(Pem { key: text_key, what, bytes }))
            }
            (None, Some(file)) => {
                let folder = self.origin.path.parent().unwrap_or(Path::new(""));
                let path = folder.join(file);
                let bytes = self.reader.read(&path).map_err(|error| {
                    let why = format!("{file_key}: cannot read {}: {error}", path.display());
                    self.origin.wrong(file_key, why)
                })?;
                let what = format!("{file_key}: {}", path.display());
                Ok(Some(Pem { key: file_key, what, bytes }))
            }
        }
    }

    fn certificates(&self, pem: &Pem<'_>) -> Result<Vec<CertificateDer<'static>>, WebError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.bytes).collect();
        let why = match found {
            Ok(found) if !found.is_empty() => return Ok(found),
            Ok(_) => "there is none".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(self
            .origin
            .wrong(pem.key, format!("{} has no certificate in PEM form: {why}", pem.what)))
    }
}

/// Something in PEM form.
struct Pem<'k> {
    key: &'k str,
    /// For what is said of it.
    what: String,
    bytes: Vec<u8>,
}

type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Certificate and key of the server.
fn own(section: &TlsSection, files: &mut Files<'_>) -> Result<Own, WebError> {
    let certificate = files.either(("cert", &section.cert), ("cert_file", &section.cert_file))?;
    let key = files.either(("key", &section.key), ("key_file", &section.key_file))?;
    let missing = |what: &str| {
        let why = format!("tls_server_config has neither {what} nor {what}_file");
        files.origin.wrong("tls_server_config", why)
    };
    let certificate = certificate.ok_or_else(|| missing("cert"))?;
    let key = key.ok_or_else(|| missing("key"))?;
    let chain = files.certificates(&certificate)?;
    let private = PrivateKeyDer::from_pem_slice(&key.bytes).map_err(|error| {
        let why = format!(
            "{} has no private key in PEM form ({error}); one that is encrypted does not do",
            key.what
        );
        files.origin.wrong(key.key, why)
    })?;
    Ok((chain, private))
}

/// Those who vouch for clients.
fn authorities(
    section: &TlsSection,
    policy: ClientAuth,
    files: &mut Files<'_>,
) -> Result<RootCertStore, WebError> {
    let origin = files.origin;
    let pem = files
        .either(("client_ca", &section.client_ca), ("client_ca_file", &section.client_ca_file))?;
    if policy == ClientAuth::None {
        let pointless = |key: &str| {
            let why = format!(
                "{key} has no effect unless client_auth_type says what clients have to show: \
                 RequireAndVerifyClientCert"
            );
            Err(origin.wrong(key, why))
        };
        match pem {
            Some(pem) => return pointless(pem.key),
            None if !section.client_allowed_sans.is_empty() => {
                return pointless("client_allowed_sans");
            }
            None => {}
        }
    }
    let mut authorities = RootCertStore::empty();
    let Some(pem) = pem else {
        // Go would ask the system's authorities: anybody can get a certificate of one of these.
        if policy.verifies() {
            let why = "client_auth_type asks for certificates that somebody vouches for, and \
                       client_ca_file, which names who may, is not given";
            return Err(origin.wrong("client_auth_type", why));
        }
        return Ok(authorities);
    };
    for certificate in files.certificates(&pem)? {
        authorities.add(certificate).map_err(|error| {
            origin
                .wrong(pem.key, format!("{} has no certificate of an authority: {error}", pem.what))
        })?;
    }
    Ok(authorities)
}

fn versions(
    section: &TlsSection,
    origin: Origin<'_>,
) -> Result<Vec<&'static rustls::SupportedProtocolVersion>, WebError> {
    let least = section.min_version.unwrap_or(Version::Tls12);
    let most = section.max_version.unwrap_or(Version::Tls13);
    if least > most {
        return Err(origin.wrong("max_version", "max_version is below min_version"));
    }
    let wanted = Version::ALL.into_iter().filter(|version| (least..=most).contains(version));
    Ok(wanted.map(Version::rustls).collect())
}

/// Suites of TLS 1.2 and curves are those that are named. Those of TLS 1.3 are always all there,
/// as in Go.
fn provider(section: &TlsSection) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if !section.cipher_suites.is_empty() {
        let named = section.cipher_suites.iter().map(|cipher| cipher.0);
        let older = named.filter(|suite| suite.tls13().is_none());
        provider.cipher_suites.retain(|suite| suite.tls13().is_some());
        provider.cipher_suites.extend(older);
    }
    if !section.curve_preferences.is_empty() {
        provider.kx_groups = section.curve_preferences.iter().map(|curve| curve.0).collect();
    }
    provider
}
