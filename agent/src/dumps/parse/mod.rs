//! From bytes to a dump: the form is told by the content.

mod error;
mod kept;
mod text;
mod summary;
mod json;
mod fields;
mod pprof;
mod folded;
#[cfg(test)]
mod tests;

use std::io::Read;

use flate2::read::MultiGzDecoder;

pub use self::error::ParseError;
use super::limits;
use crate::model::dump::Dump;

/// How a gzip file begins.
const PACKED: &[u8] = &[0x1f, 0x8b];
/// How far into a file it is looked whether it is a picture.
const HEAD: usize = 1024;

/// Reads a dump of any form but a flame graph's: our own, Go's dump and profile, the goroutines of
/// a panic.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read(input: impl Read) -> Result<Dump, ParseError> {
    parse(&bounded(input, limits::BYTES)?)
}

/// The same for what is in memory already.
///
/// # Errors
/// As of [`read`].
pub fn parse(bytes: &[u8]) -> Result<Dump, ParseError> {
    if bytes.starts_with(PACKED) {
        let unpacked = bounded(MultiGzDecoder::new(bytes), limits::UNPACKED);
        let unpacked = unpacked.map_err(|error| match error {
            ParseError::Io(error) => ParseError::Packed(error),
            error => error,
        })?;
        return unpacked_form(&unpacked);
    }
    unpacked_form(bytes)
}

fn bounded(input: impl Read, limit: usize) -> Result<Vec<u8>, ParseError> {
    let mut bytes = Vec::new();
    let more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    input.take(more).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(ParseError::TooLarge { mib: limit >> 20 });
    }
    Ok(bytes)
}

fn unpacked_form(bytes: &[u8]) -> Result<Dump, ParseError> {
    let begins = bytes.trim_ascii_start();
    let Some(first) = begins.first() else { return Err(ParseError::Empty) };
    if *first == b'{' {
        return json::parse(bytes);
    }
    let head = String::from_utf8_lossy(begins.get(..HEAD).unwrap_or(begins));
    if *first == b'<' && head.contains("<svg") {
        return Err(ParseError::Picture);
    }
    // What has bytes that no text has is a profile, or nothing.
    let binary = |byte: &u8| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x1b);
    let text = String::from_utf8_lossy(bytes);
    if summary::is_such(&text) {
        return summary::parse(&text);
    }
    if text::is_such(&text) {
        return text::parse(&text);
    }
    if bytes.iter().any(binary) {
        return pprof::parse(bytes);
    }
    if folded::is_such(&text) {
        return folded::parse(&text);
    }
    Err(ParseError::Unknown)
}
