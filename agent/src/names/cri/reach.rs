//! Whether container runtimes can be asked, for who wants to know beforehand.

use std::{io, path::PathBuf};

use super::runtime::version;
use crate::names::settings::NamesSettings;

/// What became of an attempt at one socket.
#[derive(Debug)]
pub enum Reached {
    /// Name and version.
    Runtime(String),
    /// There is nothing at this path.
    Absent,
    /// It is there, and not for this user.
    NotPermitted,
    /// It is there, and does not speak CRI.
    Mute,
    /// It is there, and fails for this reason.
    Failed(String),
}

/// Asks each runtime for its version.
///
/// # Errors
/// Where the host is short of files.
pub fn reach(settings: &NamesSettings) -> io::Result<Vec<(PathBuf, Reached)>> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let sockets = settings.sockets().into_iter();
    Ok(runtime.block_on(async {
        let mut reached = Vec::new();
        for path in sockets {
            let one = match version(&path).await {
                Ok(version) => Reached::Runtime(version),
                Err(error) if error.is_mute() => Reached::Mute,
                Err(error) => match error.kind() {
                    Some(io::ErrorKind::NotFound) => Reached::Absent,
                    Some(io::ErrorKind::PermissionDenied) => Reached::NotPermitted,
                    _ => Reached::Failed(error.to_string()),
                },
            };
            reached.push((path, one));
        }
        reached
    }))
}
