//! `cargo xtask record`: what real programs look like to the judge, as data for its tests.

use anyhow::Result;
use goroscope_tests::{toolchain::NEWEST, workspace};

use crate::{command, setup};

/// Records all of them at once; it takes eleven minutes.
pub(crate) fn run() -> Result<()> {
    setup::for_build()?;
    setup::go(&[NEWEST])?;
    let folder = workspace::root().join("agent/data/recordings");
    let options = ["run", "--release", "-p", "goroscope", "--example", "record", "--"];
    command::run(command::cargo().args(options).arg(&folder))?;
    println!("written: {}", folder.display());
    Ok(())
}
