//! `cargo xtask deploy`: files in `deploy` that are made of others there.

use std::fs;

use anyhow::{Context as _, Result};
use goroscope_tests::{derived, workspace};

/// Writes those that are not what they must be; a test holds them.
pub(crate) fn run() -> Result<()> {
    for file in derived::all()? {
        let path = workspace::root().join(&file.path);
        if fs::read_to_string(&path).is_ok_and(|own| own == file.content) {
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        }
        fs::write(&path, &file.content).with_context(|| format!("writing {}", path.display()))?;
        println!("{} was written", file.path);
    }
    Ok(())
}
