//! How an agent is asked that does not answer everybody: TLS, a certificate, a password.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use rcgen::{Certificate, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, TrustAnchor},
    version::TLS12,
};

use crate::{
    authority::Authority,
    http::{self, Answer},
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A way to ask. The plain one is without TLS and password.
#[derive(Clone, Debug, Default)]
pub struct Way {
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    authorization: Option<String>,
    roots: Vec<TrustAnchor<'static>>,
}

impl Way {
    /// By TLS, to a server of this name that `authority` vouches for, perhaps with a certificate of
    /// one's own.
    ///
    /// # Errors
    /// Where the certificates do not do.
    pub fn tls(
        authority: &Authority,
        name: &str,
        own: Option<(&Certificate, &KeyPair)>,
    ) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone())?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots.clone());
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
                builder.with_client_auth_cert(vec![certificate.der().clone()], key)?
            }
        };
        let name = ServerName::try_from(name.to_owned())?;
        Ok(Self { tls: Some((Arc::new(config), name)), authorization: None, roots: roots.roots })
    }

    /// The same, by no newer version of TLS than 1.2.
    ///
    /// # Errors
    /// Where there is no such way.
    pub fn only_tls12(&self) -> Result<Self> {
        let (config, name) = self.tls.as_ref().context("a way without TLS")?;
        let mut roots = RootCertStore::empty();
        roots.roots.clone_from(&self.roots);
        let older = ClientConfig::builder_with_provider(Arc::clone(config.crypto_provider()))
            .with_protocol_versions(&[&TLS12])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Some((Arc::new(older), name.clone())), ..self.clone() })
    }

    /// The same with name and password, encoded: `Basic …`.
    #[must_use]
    pub fn with_login(&self, authorization: impl Into<String>) -> Self {
        Self { authorization: Some(authorization.into()), ..self.clone() }
    }

    /// Gets `path`.
    ///
    /// # Errors
    /// Where there is no answer, or a malformed one.
    pub fn get(&self, address: SocketAddr, path: &str) -> Result<Answer> {
        let login = self.authorization.as_deref();
        let headers: Vec<_> = login.iter().map(|login| ("Authorization", *login)).collect();
        if self.tls.is_none() {
            return http::get(address, path, &headers);
        }
        http::exchange(&mut self.connect(address)?, &address.to_string(), path, &headers)
            .with_context(|| format!("{path} of {address}"))
    }

    /// A connection, with all that has to be said before a request.
    ///
    /// # Errors
    /// Where nobody listens. That TLS does not come about shows at the first byte.
    pub fn connect(&self, address: SocketAddr) -> Result<Box<dyn Stream>> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .with_context(|| format!("connecting to {address}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let Some((config, name)) = &self.tls else { return Ok(Box::new(stream)) };
        let connection = ClientConnection::new(Arc::clone(config), name.clone())?;
        Ok(Box::new(StreamOwned::new(connection, stream)))
    }
}

/// Something to read from and to write to.
pub trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}
