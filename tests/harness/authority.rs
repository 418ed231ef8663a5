//! Certificates for the tests: authorities, and whom they vouch for.

use std::sync::Arc;

use anyhow::Result;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};

/// Who vouches for others.
pub type Authority = CertifiedIssuer<'static, KeyPair>;

/// An authority of this name.
///
/// # Errors
/// Where there are no keys to be had.
pub fn authority(name: &str) -> Result<Authority> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// The certificate of someone of this name.
///
/// # Errors
/// Where there are no keys to be had.
pub fn issue(authority: &Authority, name: &str) -> Result<(Certificate, KeyPair)> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new([name.to_owned()])?.signed_by(&key, authority)?;
    Ok((certificate, key))
}

/// The same, but it ended long ago.
///
/// # Errors
/// Where there are no keys to be had.
pub fn issue_expired(authority: &Authority, name: &str) -> Result<(Certificate, KeyPair)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(2002, 1, 1);
    let certificate = params.signed_by(&key, authority)?;
    Ok((certificate, key))
}

/// For a server of this name; `clients` vouches for who may ask it.
///
/// # Errors
/// Where there are no keys to be had.
pub fn server_config(
    authority: &Authority,
    name: &str,
    clients: Option<&Authority>,
) -> Result<ServerConfig> {
    let (certificate, key) = issue(authority, name)?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.der().clone())?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build()?)
        }
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(builder.with_single_cert(vec![certificate.der().clone()], key)?)
}
