//! What the packages have beside the binary and is not in the sources: man pages, completions, the
//! list of parts.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use anyhow::{Context as _, Result};
use flate2::{Compression, GzBuilder};

use super::{Binary, check};
use crate::command;

/// Fills the folder beside the binary.
pub(super) fn fill(binary: &Binary, parts: &[u8]) -> Result<()> {
    let stage = binary.stage();
    if stage.exists() {
        fs::remove_dir_all(&stage).with_context(|| format!("emptying {}", stage.display()))?;
    }
    let (man, completions) = (stage.join("man"), stage.join("completions"));
    for folder in [&man, &completions] {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    let runner = || check::runner(binary).map_err(anyhow::Error::msg);
    command::output(runner()?.arg("man").arg(&man))?;
    pack(&man)?;
    for (shell, name) in [("bash", "goroscope"), ("zsh", "_goroscope"), ("fish", "goroscope.fish")]
    {
        let script = command::output(runner()?.args(["completions", shell]))?;
        fs::write(completions.join(name), script + "\n")?;
    }
    fs::write(stage.join("parts.cdx.json"), parts).context("the list of parts")
}

/// Packs each file of the folder, as man pages are installed.
fn pack(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let page = fs::read(&path)?;
        let mut name = path.clone().into_os_string();
        name.push(".gz");
        // Neither name nor time in the header.
        let mut packed = GzBuilder::new().write(File::create(name)?, Compression::best());
        packed.write_all(&page)?;
        packed.finish()?;
        fs::remove_file(&path)?;
    }
    Ok(())
}
