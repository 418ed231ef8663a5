//! TLS: who vouches for the server, and who the agent is.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};

use super::settings::Tls;

/// A file that is larger than this holds no certificates and no secret.
const FILE_LIMIT: u64 = 1 << 20;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file holds something else.
    #[error("{} holds no {what} in PEM form: {why}", path.display())]
    Pem {
        /// Which one.
        path: PathBuf,
        /// `certificate`, `private key`.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// The system has no certificates of authorities.
    #[error(
        "this system has no certificates of authorities ({0}): install them (ca-certificates), or \
         give a file with those that vouch for the server"
    )]
    NoRoots(String),
    /// Certificate and key do not do.
    #[error("the certificate {} and its key do not do: {error}", path.display())]
    Own {
        /// File of the certificate.
        path: PathBuf,
        /// Why.
        error: rustls::Error,
    },
    /// The name is none.
    #[error("tls.server_name: \"{0}\" is no host name")]
    Name(String),
    /// TLS itself does not work.
    #[error("TLS does not work here: {0}")]
    Provider(#[from] rustls::Error),
}

/// Reads a small file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let named = |error| TlsError::File { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(named)?;
    file.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(named)?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(named(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB")));
    }
    Ok(bytes)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = |why: String| TlsError::Pem { path: path.to_owned(), what: "certificate", why };
    let bytes = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let certificates = certificates.map_err(|error| pem(error.to_string()))?;
    if certificates.is_empty() {
        return Err(pem("there is none in it".to_owned()));
    }
    Ok(certificates)
}

fn roots(tls: &Tls) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &tls.ca_file {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| TlsError::Pem {
                path: path.clone(),
                what: "certificate of an authority",
                why: error.to_string(),
            })?;
        }
        return Ok(roots);
    }
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map_or("none were found".to_owned(), ToString::to_string);
        return Err(TlsError::NoRoots(why));
    }
    Ok(roots)
}

/// The configuration for one server. Reads files; `needed` tells whether its address asks for
/// TLS.
pub(crate) fn config(tls: &Tls, needed: bool) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = if tls.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    } else if needed {
        builder.with_root_certificates(roots(tls)?)
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    let Some((certificate, key)) = &tls.own else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(certificate)?;
    let bytes = read(key)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| TlsError::Pem {
        path: key.clone(),
        what: "private key",
        why: error.to_string(),
    })?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|error| TlsError::Own { path: certificate.clone(), error })
}

/// The name that must be in the certificate, where it is not that of the address.
pub(crate) fn server_name(tls: &Tls) -> Result<Option<ServerName<'static>>, TlsError> {
    let name = tls.server_name.clone();
    name.map(|name| ServerName::try_from(name.clone()).map_err(|_| TlsError::Name(name)))
        .transpose()
}

/// Takes any certificate, as `insecure_skip_verify` asks for.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
