//! `cargo xtask dist`: what is shipped, in `target/dist`. Built from the same commit it has
//! the same bytes, wherever and whenever: `--verify` shows it.

mod arch;
mod epoch;
mod binary;
mod check;
mod stage;
mod dated;
mod package;
mod archive;
mod image;
mod parts;
mod sums;
mod again;

use std::fs;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use goroscope_tests::dist;

use arch::Arch;
use binary::Binary;

/// What to make.
#[derive(Args, Default)]
#[command(after_help = "Examples:\n  \
    cargo xtask dist                              # everything\n  \
    cargo xtask dist --target amd64 --only deb    # one package\n  \
    cargo xtask dist --verify                     # is it the same, built elsewhere?")]
pub(crate) struct Options {
    /// Architectures; both, when none is named
    #[arg(long, value_delimiter = ',')]
    target: Vec<Arch>,
    /// Kinds of what is made; all, when none is named
    #[arg(long, value_delimiter = ',')]
    only: Vec<Kind>,
    /// Build once more from a copy of the sources in another folder, and compare each byte
    #[arg(long)]
    verify: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The command, one file
    Binary,
    /// Package for Debian and what descends of it
    Deb,
    /// Package for Fedora, RHEL, SUSE and what descends of them
    Rpm,
    /// Container image for both architectures, as an archive
    Image,
    /// What it is made of, with versions and licences (CycloneDX)
    Sbom,
}

/// The name of this machine's architecture.
pub(crate) fn host() -> Result<&'static str> {
    Ok(Arch::host().context("nothing is shipped for this machine's architecture")?.debian())
}

/// Makes it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let targets =
        if options.target.is_empty() { Arch::ALL.to_vec() } else { options.target.clone() };
    let wanted = |kind: Kind| options.only.is_empty() || options.only.contains(&kind);
    let folder = dist::folder();
    if options.only.is_empty() && folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("emptying {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let epoch = epoch::seconds()?;
    let parts = parts::list(epoch)?;
    let mut binaries = Vec::new();
    for &arch in &targets {
        let binary = binary::build(arch, epoch)?;
        check::is_static(&binary)?;
        check::runs(&binary)?;
        stage::fill(&binary, &parts)?;
        binaries.push(binary);
    }
    for binary in &binaries {
        if wanted(Kind::Binary) {
            let path = folder.join(dist::binary(binary.arch.debian()));
            fs::copy(&binary.path, &path).with_context(|| format!("writing {}", path.display()))?;
        }
        if wanted(Kind::Deb) {
            package::deb(binary, &folder, epoch)?;
        }
        if wanted(Kind::Rpm) {
            package::rpm(binary, &folder, epoch)?;
        }
    }
    if wanted(Kind::Image) {
        image::write(&binaries, &folder.join(dist::image()), epoch)?;
    }
    if wanted(Kind::Sbom) {
        let path = folder.join(dist::parts());
        fs::write(&path, &parts).with_context(|| format!("writing {}", path.display()))?;
    }
    sums::write(&folder)?;
    show(&folder)?;
    if options.verify { again::compare(&targets, &options.only, &folder) } else { Ok(()) }
}

fn show(folder: &std::path::Path) -> Result<()> {
    println!("in {}:", folder.display());
    for name in sums::files(folder)? {
        let bytes = fs::metadata(folder.join(&name))?.len();
        println!("{:>8.1} MB  {name}", bytes as f64 / 1e6);
    }
    Ok(())
}
