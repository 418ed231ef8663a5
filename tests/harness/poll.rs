//! Waiting for something to become true.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

/// Asks `question` every few milliseconds until it has an answer, at most `limit`.
///
/// # Errors
/// Where it has none then: `what`, and the last error of the question if it had one.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut question: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        let answer = question();
        match answer {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) if Instant::now() >= deadline => {
                anyhow::bail!("not within {limit:?}: {what}");
            }
            Err(error) if Instant::now() >= deadline => {
                return Err(error).with_context(|| format!("not within {limit:?}: {what}"));
            }
            Ok(None) | Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}
