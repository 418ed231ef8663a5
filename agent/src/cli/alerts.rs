//! The key `alerts` of the configuration file: who is told of what.

use std::{fmt, path::PathBuf, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{
    config::one,
    failure::Failure,
    value::{Hold, Interval, Text},
};
use crate::{
    judge::alert::{Created, Goroutines, Leaks, Rules},
    model::leak::Verdict,
    notify::{
        address::Address,
        settings::{Alertmanager, Login, NotifySettings, Tls},
    },
};

const DEFAULT_ABOVE: u64 = 8_000;
const DEFAULT_ABOVE_FOR: Duration = Duration::from_secs(30);
const DEFAULT_PER_SECOND: f64 = 200.0;
const DEFAULT_PER_SECOND_FOR: Duration = Duration::from_secs(10);
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
const DEFAULT_RESEND: Duration = Duration::from_secs(60);

/// What stands below `alerts`.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AlertsConfig {
    alertmanagers: Vec<Named>,
    #[serde(deserialize_with = "one")]
    interval: Option<Interval>,
    #[serde(deserialize_with = "one")]
    resend: Option<Interval>,
    goroutines: OrOff<GoroutinesConfig>,
    created: OrOff<CreatedConfig>,
    leaks: OrOff<LeaksConfig>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GoroutinesConfig {
    above: Option<u64>,
    #[serde(rename = "for", deserialize_with = "one")]
    hold: Option<Hold>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CreatedConfig {
    #[serde(deserialize_with = "one")]
    per_second: Option<Positive>,
    #[serde(rename = "for", deserialize_with = "one")]
    hold: Option<Hold>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LeaksConfig {
    #[serde(deserialize_with = "one")]
    verdict: Option<VerdictValue>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertmanagerConfig {
    #[serde(deserialize_with = "text")]
    url: Address,
    #[serde(default)]
    tls: TlsConfig,
    basic_auth: Option<BasicAuth>,
    bearer_token_file: Option<PathBuf>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TlsConfig {
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    #[serde(deserialize_with = "one")]
    server_name: Option<Text>,
    insecure_skip_verify: bool,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct BasicAuth {
    username: String,
    password_file: PathBuf,
}

/// A number above or equal to nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Positive(f64);

impl std::str::FromStr for Positive {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
        number.map(Self).ok_or("a number from 0 is needed")
    }
}

/// How sure the judge must be.
#[derive(Clone, Copy, Debug, PartialEq)]
struct VerdictValue(Verdict);

impl std::str::FromStr for VerdictValue {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Verdict::Suspected, Verdict::Confirmed]
            .into_iter()
            .find(|verdict| verdict.as_str() == text)
            .map(Self)
            .ok_or("one of suspected, confirmed is needed")
    }
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|why| serde::de::Error::custom(format!("\"{text}\" does not do: {why}")))
}

/// An Alertmanager: its address, or a mapping with that and more.
#[derive(Debug, PartialEq)]
struct Named(AlertmanagerConfig);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Named;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address, or a mapping with the key url")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Named, E> {
                let url = text
                    .parse()
                    .map_err(|why| E::custom(format!("\"{text}\" does not do: {why}")))?;
                Ok(Named(AlertmanagerConfig {
                    url,
                    tls: TlsConfig::default(),
                    basic_auth: None,
                    bearer_token_file: None,
                }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Named, A::Error> {
                AlertmanagerConfig::deserialize(MapAccessDeserializer::new(map)).map(Named)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A rule: a mapping, or the word `off`.
#[derive(Debug, PartialEq)]
enum OrOff<T> {
    On(T),
    Off,
}

impl<T: Default> Default for OrOff<T> {
    fn default() -> Self {
        Self::On(T::default())
    }
}

impl<T> OrOff<T> {
    fn on(&self) -> Option<&T> {
        match self {
            Self::On(rule) => Some(rule),
            Self::Off => None,
        }
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for OrOff<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Either<T> {
            type Value = OrOff<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping, or off")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<OrOff<T>, E> {
                if text == "off" {
                    return Ok(OrOff::Off);
                }
                Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }

            fn visit_unit<E>(self) -> Result<OrOff<T>, E> {
                Ok(OrOff::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OrOff<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(OrOff::On)
            }
        }
        deserializer.deserialize_any(Either(std::marker::PhantomData))
    }
}

impl AlertsConfig {
    /// What the file and the options come to. `addresses` are those of the options: where there are
    /// any, they replace those of the file, but what the file says of one of them is still true.
    pub(super) fn settings(
        config: Option<&Self>,
        addresses: &[Address],
    ) -> Result<Option<NotifySettings>, Failure> {
        let default = Self::default();
        let from_file = config.unwrap_or(&default);
        let mut alertmanagers: Vec<Alertmanager> = Vec::new();
        if addresses.is_empty() {
            for Named(alertmanager) in &from_file.alertmanagers {
                alertmanagers.push(alertmanager.alertmanager()?);
            }
        }
        for address in addresses {
            let mut known = from_file.alertmanagers.iter().filter(|Named(a)| a.url == *address);
            alertmanagers.push(match known.next() {
                Some(Named(alertmanager)) => alertmanager.alertmanager()?,
                None => Alertmanager { address: address.clone(), tls: Tls::default(), login: None },
            });
        }
        for (index, alertmanager) in alertmanagers.iter().enumerate() {
            let address = &alertmanager.address;
            if alertmanagers.iter().take(index).any(|other| other.address == *address) {
                return Err(Failure::usage(format!("the Alertmanager {address} is named twice"))
                    .hint("one alert would reach it twice: name it once"));
            }
        }
        if alertmanagers.is_empty() {
            if config.is_some() {
                tracing::warn!(
                    "alerts are configured, but no Alertmanager: nobody is told. Name one with \
                     --alertmanager, or below alerts.alertmanagers"
                );
            }
            return Ok(None);
        }
        Ok(Some(NotifySettings {
            alertmanagers,
            rules: from_file.rules(),
            interval: from_file.interval.map_or(DEFAULT_INTERVAL, |interval| interval.0),
            resend: from_file.resend.map_or(DEFAULT_RESEND, |resend| resend.0),
        }))
    }

    fn rules(&self) -> Rules {
        Rules {
            goroutines: self.goroutines.on().map(|rule| Goroutines {
                above: rule.above.unwrap_or(DEFAULT_ABOVE),
                hold: rule.hold.map_or(DEFAULT_ABOVE_FOR, |hold| hold.0),
            }),
            created: self.created.on().map(|rule| Created {
                per_second: rule.per_second.map_or(DEFAULT_PER_SECOND, |rate| rate.0),
                hold: rule.hold.map_or(DEFAULT_PER_SECOND_FOR, |hold| hold.0),
            }),
            leaks: self.leaks.on().map(|rule| Leaks {
                verdict: rule.verdict.map_or(Verdict::Confirmed, |verdict| verdict.0),
            }),
        }
    }
}

impl AlertmanagerConfig {
    fn alertmanager(&self) -> Result<Alertmanager, Failure> {
        let wrong = |why: &str, hint: &str| {
            Err(Failure::usage(format!("alerts: the Alertmanager {}: {why}", self.url)).hint(hint))
        };
        let TlsConfig { ca_file, cert_file, key_file, server_name, insecure_skip_verify } =
            &self.tls;
        let own = match (cert_file, key_file) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            _ => {
                return wrong(
                    "of tls.cert_file and tls.key_file there is one only",
                    "a certificate of the agent needs its key: give both, or none",
                );
            }
        };
        let login = match (&self.basic_auth, &self.bearer_token_file) {
            (Some(_), Some(_)) => {
                return wrong("it has both basic_auth and bearer_token_file", "give one of them");
            }
            (Some(BasicAuth { username, password_file }), None) => Some(Login::Basic {
                username: username.clone(),
                password_file: password_file.clone(),
            }),
            (None, file) => file.clone().map(Login::Bearer),
        };
        let tls = Tls {
            ca_file: ca_file.clone(),
            own,
            server_name: server_name.clone().map(|name| name.0),
            insecure_skip_verify: *insecure_skip_verify,
        };
        if tls != Tls::default() && !self.url.is_tls() {
            return wrong("it has tls, and an address with http://", "give it with https://");
        }
        Ok(Alertmanager { address: self.url.clone(), tls, login })
    }
}

#[cfg(test)]
mod tests;
