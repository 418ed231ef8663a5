//! `SHA256SUMS`: what `sha256sum --check` reads.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

const NAME: &str = "SHA256SUMS";

/// Writes the sums of all files in the folder.
pub(super) fn write(folder: &Path) -> Result<()> {
    let mut text = String::new();
    for name in files(folder)?.iter().filter(|name| *name != NAME) {
        let path = folder.join(name);
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        writeln!(text, "{}  {name}", sha256(&bytes))?;
    }
    let path = folder.join(NAME);
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}

/// The names of the files in the folder, in order.
pub(super) fn files(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The digest in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _never_fails = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_what_everybody_says() {
        // FIPS 180-2, B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), expected);
    }
}
