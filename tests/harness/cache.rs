//! The user's cache folder: toolchains, tools and built fixtures.

use std::{
    env,
    fs::{self, File},
    path::PathBuf,
};

use anyhow::{Context as _, Result};

/// `$GOROSCOPE_CACHE`, else `$XDG_CACHE_HOME/goroscope`, else `~/.cache/goroscope`.
///
/// # Errors
/// Where none of the three is known.
pub fn folder() -> Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("GOROSCOPE_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|base| base.join("goroscope")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/goroscope")))
        .context("no cache folder: set GOROSCOPE_CACHE, XDG_CACHE_HOME or HOME")
}

/// Keeps others from installing the same thing; released when dropped, also by a crash.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Waits until this process alone holds the lock called `name` in the cache folder.
///
/// # Errors
/// Where the lock file cannot be made or locked.
pub fn lock(name: &str) -> Result<Lock> {
    let folder = folder()?;
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let path = folder.join(format!("{name}.lock"));
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    file.lock().with_context(|| format!("locking {}", path.display()))?;
    Ok(Lock { _file: file })
}
