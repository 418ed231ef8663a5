//! Who may ask: names and passwords.
//!
//! A hash of bcrypt takes long on purpose. So it is computed off the threads of HTTP, one at a time,
//! and who was once let in is remembered. Nobody who is refused is remembered: guesses must not push
//! out those who know. Whether a name is known does not show in the time that a refusal takes.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::HeaderValue;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::{
    hmac::{self, Tag},
    rand::SystemRandom,
};
use tokio::{sync::Semaphore, time::timeout};

use super::hash::Hash;

/// Hashes that are computed at once.
const AT_ONCE: usize = 1;
/// Requests that wait for their turn; more are sent away at once, so that guesses do not take all
/// places of connections.
const QUEUE: usize = 16;
/// How long a request may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// Names that are remembered with their passwords.
const REMEMBERED: usize = 100;

/// Names, and the hashes of their passwords.
#[derive(Debug, Default)]
pub(super) struct Users {
    hashes: BTreeMap<String, Hash>,
    /// Their costs.
    costs: Vec<u32>,
}

impl Users {
    pub(super) fn new(hashes: BTreeMap<String, Hash>) -> Self {
        let costs = hashes.values().map(Hash::cost).collect();
        Self { hashes, costs }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

/// What comes of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) enum Login {
    /// Come in.
    Welcome,
    /// Name or password are wrong, or missing.
    Refused,
    /// Too many want to know at once.
    Busy,
}

/// Lets people in.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    turns: Arc<Semaphore>,
    queue: Semaphore,
    /// What name, hash and password come to, by name.
    known: Mutex<HashMap<String, Tag>>,
    /// Known to nobody, and another at each start.
    secret: Option<hmac::Key>,
    shuffle: RandomState,
}

impl Default for Doorkeeper {
    fn default() -> Self {
        let secret = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            queue: Semaphore::new(QUEUE),
            known: Mutex::default(),
            // Without it nobody is remembered.
            secret: secret.ok(),
            shuffle: RandomState::new(),
        }
    }
}

impl Doorkeeper {
    /// May who sends this header `Authorization` come in?
    pub(super) async fn login(&self, users: &Users, header: Option<&HeaderValue>) -> Login {
        let Some((name, password)) = header.and_then(credentials) else { return Login::Refused };
        let hash = users.hashes.get(&name);
        if hash.is_some_and(|hash| self.remembers(&name, hash, &password)) {
            return Login::Welcome;
        }
        let Ok(_queued) = self.queue.try_acquire() else { return Login::Busy };
        let turn = timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Login::Busy };
        // Somebody may have come with the same meanwhile.
        if hash.is_some_and(|hash| self.remembers(&name, hash, &password)) {
            return Login::Welcome;
        }
        let compared = hash.cloned().unwrap_or_else(|| self.decoy(users, &name));
        let guess = password.clone();
        let compared = tokio::task::spawn_blocking(move || {
            // Held until it is really over, whoever has gone away meanwhile.
            let _turn = turn;
            compared.is_of(&guess)
        });
        match (hash, compared.await) {
            (Some(hash), Ok(true)) => {
                self.remember(name, hash, &password);
                Login::Welcome
            }
            _ => Login::Refused,
        }
    }

    /// What an unknown name is compared with: it takes as long as one of the known, and always
    /// that.
    fn decoy(&self, users: &Users, name: &str) -> Hash {
        let place = self.shuffle.hash_one(name).checked_rem(users.costs.len() as u64);
        let place = place.and_then(|place| usize::try_from(place).ok()).unwrap_or_default();
        Hash::decoy(users.costs.get(place).copied().unwrap_or(10))
    }

    fn remembers(&self, name: &str, hash: &Hash, password: &[u8]) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(tag), Some(secret)) = (known.get(name), &self.secret) else { return false };
        // In constant time.
        hmac::verify(secret, &message(name, hash, password), tag.as_ref()).is_ok()
    }

    fn remember(&self, name: String, hash: &Hash, password: &[u8]) {
        let Some(secret) = &self.secret else { return };
        let tag = hmac::sign(secret, &message(&name, hash, password));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED && !known.contains_key(&name) {
            let any = known.keys().next().cloned();
            any.and_then(|any| known.remove(&any));
        }
        known.insert(name, tag);
    }
}

/// Hashes have one length, and names no colon: it can be taken apart in one way only.
fn message(name: &str, hash: &Hash, password: &[u8]) -> Vec<u8> {
    [name.as_bytes(), b":", hash.as_bytes(), b":", password].concat()
}

/// Name and password of the scheme `Basic`.
fn credentials(header: &HeaderValue) -> Option<(String, Vec<u8>)> {
    let (scheme, rest) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(rest.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (name, password) = decoded.split_at_checked(colon)?;
    let password = password.get(1..)?;
    Some((String::from_utf8(name.to_vec()).ok()?, password.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn users(cost: u32) -> Users {
        let hash = |password: &str| bcrypt::hash(password, cost).unwrap().parse().unwrap();
        let users = [("ann", "red"), ("bob", "blue")];
        Users::new(users.map(|(name, word)| (name.to_owned(), hash(word))).into())
    }

    fn header(name: &str, password: &str) -> HeaderValue {
        let encoded = BASE64_STANDARD.encode(format!("{name}:{password}"));
        HeaderValue::try_from(format!("Basic {encoded}")).unwrap()
    }

    #[tokio::test]
    async fn only_who_knows_the_password() {
        let (users, keeper) = (users(4), Doorkeeper::default());
        for (name, password, login) in [
            ("ann", "red", Login::Welcome),
            ("ann", "red", Login::Welcome),
            ("bob", "blue", Login::Welcome),
            ("ann", "blue", Login::Refused),
            ("ann", "", Login::Refused),
            ("ann", "red ", Login::Refused),
            ("ann", "r\0ed", Login::Refused),
            ("Ann", "red", Login::Refused),
            ("", "", Login::Refused),
            ("eve", "fakepassword", Login::Refused),
        ] {
            let header = header(name, password);
            assert_eq!(keeper.login(&users, Some(&header)).await, login, "{name}:{password}");
        }
        assert_eq!(keeper.login(&users, None).await, Login::Refused);
        for header in ["", "Basic", "Basic !", "Bearer YW5uOnJlZA==", "Basic YW5u", "Basic gICA"] {
            let header = HeaderValue::from_static(header);
            assert_eq!(keeper.login(&users, Some(&header)).await, Login::Refused, "{header:?}");
        }
        let lower = HeaderValue::from_static("basic YW5uOnJlZA==");
        assert_eq!(keeper.login(&users, Some(&lower)).await, Login::Welcome);
        // The refused are not remembered.
        assert_eq!(keeper.known.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_new_password_ends_what_is_remembered() {
        let keeper = Doorkeeper::default();
        let header = header("ann", "red");
        assert_eq!(keeper.login(&users(4), Some(&header)).await, Login::Welcome);
        let hash = bcrypt::hash("green", 4).unwrap().parse().unwrap();
        let changed = Users::new([("ann".to_owned(), hash)].into());
        assert_eq!(keeper.login(&changed, Some(&header)).await, Login::Refused);
        assert_eq!(keeper.login(&Users::default(), Some(&header)).await, Login::Refused);
    }

    /// Medians, because a busy machine has its moments.
    #[tokio::test]
    async fn a_refusal_takes_as_long_for_unknown_names() {
        let (users, keeper) = (users(8), Doorkeeper::default());
        let mut took = Vec::new();
        for name in ["ann", "eve"] {
            let mut times = Vec::new();
            for guess in 0..9 {
                let header = header(name, &guess.to_string());
                let asked = Instant::now();
                assert_eq!(keeper.login(&users, Some(&header)).await, Login::Refused);
                times.push(asked.elapsed());
            }
            times.sort();
            took.push(times[4].as_secs_f64());
        }
        let ratio = took[0] / took[1];
        assert!((0.5..2.0).contains(&ratio), "{took:?}");
    }

    #[tokio::test]
    async fn who_is_known_does_not_queue() {
        let (users, keeper) = (users(4), Doorkeeper::default());
        let known = header("ann", "red");
        assert_eq!(keeper.login(&users, Some(&known)).await, Login::Welcome);
        assert_eq!(keeper.queue.forget_permits(QUEUE), QUEUE);
        assert_eq!(keeper.login(&users, Some(&known)).await, Login::Welcome);
        assert_eq!(keeper.login(&users, Some(&header("bob", "blue"))).await, Login::Busy);
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let keeper = Doorkeeper::default();
        let hash = Hash::decoy(4);
        for number in 0..500 {
            keeper.remember(number.to_string(), &hash, b"x");
        }
        assert_eq!(keeper.known.lock().unwrap().len(), REMEMBERED);
        assert!(keeper.remembers("499", &hash, b"x") && !keeper.remembers("499", &hash, b"y"));
    }
}
