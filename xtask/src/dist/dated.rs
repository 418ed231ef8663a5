//! What packages take from the sources, as a copy in which each file is as old as the commit. A
//! package for RPM has the times of its files, and a checkout gives them whatever time it is then.

use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use goroscope_tests::workspace;

/// What is taken, below the workspace's root.
const TAKEN: [&str; 7] = [
    "Cargo.toml",
    "agent/Cargo.toml",
    "README.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "docs",
    "deploy",
];

/// Makes the copy in a folder of its own, anew.
pub(super) fn copy(folder: &Path, epoch: u32) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("emptying {}", folder.display()))?;
    }
    for name in TAKEN {
        let to = folder.join(name);
        let parent = to.parent().context("it lies in the folder")?;
        fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
        all(&workspace::root().join(name), &to, epoch)
            .with_context(|| format!("copying {name} to {}", folder.display()))?;
    }
    Ok(())
}

/// Copies a file, or a folder with all that is in it.
fn all(from: &Path, to: &Path, epoch: u32) -> Result<()> {
    if !from.is_dir() {
        fs::copy(from, to)?;
        let time = UNIX_EPOCH + Duration::from_secs(epoch.into());
        return Ok(File::options().write(true).open(to)?.set_modified(time)?);
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        all(&entry.path(), &to.join(entry.file_name()), epoch)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(folder: &Path, found: &mut Vec<(String, u64)>) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                times(&path, found)?;
                continue;
            }
            let modified = fs::metadata(&path)?.modified()?.duration_since(UNIX_EPOCH)?;
            found.push((path.display().to_string(), modified.as_secs()));
        }
        Ok(())
    }

    #[test]
    fn every_file_is_as_old_as_the_commit() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let to = folder.path().join("copy");
        for epoch in [1_000_000_000, 4_000_000_000] {
            copy(&to, epoch)?;
            let mut found = Vec::new();
            times(&to, &mut found)?;
            assert!(found.len() > 50, "{found:?}");
            let other = found.iter().find(|(_, time)| *time != u64::from(epoch));
            assert_eq!(other, None);
        }
        Ok(())
    }
}
