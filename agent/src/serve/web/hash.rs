//! Passwords as bcrypt keeps them.

use std::{fmt, str::FromStr};

use bcrypt::HashParts;

/// The highest cost that is taken. One more doubles the time; this one takes some seconds, in which
/// nobody else can log in anew.
const MOST: u32 = 16;
const LEAST: u32 = 4;

/// A bcrypt hash.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Hash {
    text: String,
    cost: u32,
}

impl Hash {
    /// A hash that no password is known to, and which takes as long.
    pub(super) fn decoy(cost: u32) -> Self {
        // From the exporters.
        let text = format!("$2y${cost:02}$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi");
        Self { text, cost }
    }

    /// Powers of two in rounds.
    pub(super) fn cost(&self) -> u32 {
        self.cost
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Is it of this password? Slow on purpose.
    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        bcrypt::verify(password, &self.text).unwrap_or(false)
    }
}

/// Without the hash.
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash(cost {})", self.cost)
    }
}

impl FromStr for Hash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const WRONG: &str = "a bcrypt hash is needed, as `htpasswd -nBC 10 \"\" | tr -d ':\\n'` \
                             prints it: $2y$10$ and 53 more characters";
        let known = ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|start| text.starts_with(start));
        if text.len() != 60 || !known {
            return Err(WRONG.to_owned());
        }
        let cost = HashParts::from_str(text).map_err(|_| WRONG)?.get_cost();
        if !(LEAST..=MOST).contains(&cost) {
            return Err(format!(
                "a cost of {cost} is not taken: from {LEAST} to {MOST}, and 10 does for most"
            ));
        }
        Ok(Self { text: text.to_owned(), cost })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_several_makers() {
        // From the documentation of the exporters' toolkit, by htpasswd, of "test".
        for (text, password) in [
            ("$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi", "fakepassword"),
            ("$2a$04$UuTkLRZZ6QofpDOlMz32MuuxEHA43WOemOYHPz6.SjsVsyO1tDU96", ""),
        ] {
            let hash: Hash = text.parse().unwrap();
            assert_eq!(hash.is_of(password.as_bytes()), !password.is_empty(), "{text}");
            assert!(!hash.is_of(b"other"));
            assert!(!format!("{hash:?}").contains("Uu"));
        }
    }

    #[test]
    fn what_is_no_hash() {
        for text in [
            "secret",
            "$1$abc$0123456789",
            "$2y$10$short",
            "$2z$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi",
            "$2y$xx$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi",
            "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeé",
        ] {
            let error = text.parse::<Hash>().unwrap_err();
            assert!(error.contains("htpasswd") && !error.contains(text), "{error}");
        }
        let dear = "$2y$17$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
        assert!(dear.parse::<Hash>().unwrap_err().contains("cost of 17"));
        assert_eq!(Hash::decoy(5).text.parse::<Hash>().unwrap().cost(), 5);
    }
}
