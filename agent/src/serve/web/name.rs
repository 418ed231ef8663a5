//! Go's names for what TLS can be told, and what they are here.

use std::str::FromStr;

use rustls::{
    SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{
        SupportedKxGroup,
        ring::{cipher_suite, kx_group},
    },
    version,
};

/// What a client has to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ClientAuth {
    /// Nothing.
    #[default]
    None,
    /// A certificate, if it likes; nobody looks who vouches for it.
    Request,
    /// A certificate; nobody looks who vouches for it.
    RequireAny,
    /// A certificate that is vouched for, if it shows one.
    VerifyIfGiven,
    /// A certificate that is vouched for.
    RequireAndVerify,
}

impl ClientAuth {
    /// Does it matter who vouches?
    pub(super) fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }
}

impl FromStr for ClientAuth {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "NoClientCert" => Ok(Self::None),
            "RequestClientCert" => Ok(Self::Request),
            // The second is an older name for it, which exporters still take.
            "RequireAnyClientCert" | "RequireClientCert" => Ok(Self::RequireAny),
            "VerifyClientCertIfGiven" => Ok(Self::VerifyIfGiven),
            "RequireAndVerifyClientCert" => Ok(Self::RequireAndVerify),
            _ => Err("client_auth_type is one of NoClientCert, RequestClientCert, \
                      RequireAnyClientCert, VerifyClientCertIfGiven, RequireAndVerifyClientCert"),
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    Tls12,
    Tls13,
}

impl Version {
    pub(super) const ALL: [Self; 2] = [Self::Tls13, Self::Tls12];

    pub(super) fn rustls(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &version::TLS12,
            Self::Tls13 => &version::TLS13,
        }
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "TLS12" => Ok(Self::Tls12),
            "TLS13" => Ok(Self::Tls13),
            "TLS10" | "TLS11" => Err(format!(
                "{text} is not spoken here, because it is not safe: give TLS12 or TLS13"
            )),
            _ => Err("TLS12 or TLS13 is needed".to_owned()),
        }
    }
}

/// A cipher suite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cipher(pub(super) SupportedCipherSuite);

const CIPHERS: [(&str, SupportedCipherSuite); 9] = [
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    ("TLS_AES_128_GCM_SHA256", cipher_suite::TLS13_AES_128_GCM_SHA256),
    ("TLS_AES_256_GCM_SHA384", cipher_suite::TLS13_AES_256_GCM_SHA384),
    ("TLS_CHACHA20_POLY1305_SHA256", cipher_suite::TLS13_CHACHA20_POLY1305_SHA256),
];

impl FromStr for Cipher {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, suite)) = CIPHERS.iter().find(|(name, _)| *name == text) {
            return Ok(Self(*suite));
        }
        let names: Vec<_> = CIPHERS.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        Err(if text.contains("_CBC_") || text.starts_with("TLS_RSA_") || text.contains("_RC4_") {
            format!(
                "a suite without forward secrecy or with CBC is not spoken here: take it off the list. These are: {names}"
            )
        } else {
            format!("no cipher suite of this name is spoken here. These are: {names}")
        })
    }
}

/// A curve of the key exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Curve(pub(super) &'static dyn SupportedKxGroup);

impl FromStr for Curve {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "X25519" => Ok(Self(kx_group::X25519)),
            "CurveP256" => Ok(Self(kx_group::SECP256R1)),
            "CurveP384" => Ok(Self(kx_group::SECP384R1)),
            "CurveP521" => Err("CurveP521 is not spoken here: take it off the list. Those that \
                                are: X25519, CurveP256, CurveP384"),
            _ => Err("no curve of this name is spoken here: X25519, CurveP256, CurveP384 are"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_go() {
        for (name, suite) in CIPHERS {
            // Those of TLS 1.3 have another name within rustls.
            let own = format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
            assert_eq!(name, own);
            assert_eq!(name.parse(), Ok(Cipher(suite)));
        }
        for old in ["TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"] {
            assert!(old.parse::<Cipher>().unwrap_err().contains("take it off"));
        }
        assert!("AES".parse::<Cipher>().unwrap_err().contains("TLS_AES_128_GCM_SHA256"));
        assert!("CurveP521".parse::<Curve>().unwrap_err().contains("CurveP384"));
        for old in ["TLS10", "TLS11"] {
            assert!(old.parse::<Version>().unwrap_err().contains("not safe"));
        }
        assert!("".parse::<ClientAuth>().is_err() && "requireany".parse::<ClientAuth>().is_err());
    }
}
