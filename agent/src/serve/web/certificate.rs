//! What is read in certificates beyond what TLS itself needs.

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer as _, X509Certificate},
};

/// When a certificate ends, in seconds since the Unix epoch.
pub(super) fn ends(der: &[u8]) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

/// Has it one of these names? DNS names, addresses, e-mail addresses and URIs, word for word.
pub(super) fn is_named(der: &[u8], names: &[String]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return false };
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return false };
    alternatives.value.general_names.iter().any(|name| match *name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => {
            names.iter().any(|allowed| allowed == name)
        }
        GeneralName::IPAddress(bytes) => {
            let address = address(bytes);
            address.is_some_and(|address| names.contains(&address))
        }
        _ => false,
    })
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).to_string());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|sixteen| Ipv6Addr::from(sixteen).to_string())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    #[test]
    fn names_word_for_word() {
        let mut params =
            CertificateParams::new(["a.test".to_owned(), "10.0.0.1".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::Rfc822Name("a@b.test".try_into().unwrap()));
        params.subject_alt_names.push(SanType::URI("spiffe://c/d".try_into().unwrap()));
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        for (name, has) in [
            ("a.test", true),
            ("10.0.0.1", true),
            ("a@b.test", true),
            ("spiffe://c/d", true),
            ("A.test", false),
            ("b.test", false),
            ("test", false),
            ("", false),
        ] {
            assert_eq!(is_named(&der, &[name.to_owned()]), has, "{name}");
        }
        assert!(!is_named(b"nonsense", &["a.test".to_owned()]) && ends(b"nonsense").is_none());
        assert!(ends(&der).is_some());
    }
}
