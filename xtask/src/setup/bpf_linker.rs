//! `bpf-linker`, linked against the compiler's own LLVM: any other may not read its bitcode.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::cache;

use super::rust_src::{rustc, sysroot};
use crate::command;

const VERSION: &str = "0.13.0";

/// Installs bpf-linker, unless it is there and was built for this compiler.
pub(super) fn install() -> Result<()> {
    let cache = cache::folder()?;
    let root = cache.join("bpf-linker");
    let stamp = root.join("built-for");
    let compiler = command::output(rustc().arg("-vV"))?;
    let wanted = format!("bpf-linker {VERSION}\n{compiler}\n");
    let present = fs::read_to_string(&stamp).is_ok_and(|text| text == wanted);
    let binary = root.join("bin/bpf-linker");
    if present && runs(&binary) {
        return Ok(());
    }
    let major = llvm_major(&compiler).context("`rustc -vV` names no LLVM version")?;
    println!("installing bpf-linker {VERSION} (LLVM {major}) into {}", root.display());
    let llvm = cache.join("llvm");
    let library = llvm.join("lib");
    link_llvm(&library)?;
    let mut flags = String::from("-C link-arg=-Wl,-rpath,");
    flags.push_str(library.to_str().context("the cache folder's path is not UTF-8")?);
    command::run(
        command::cargo()
            .env("LLVM_PREFIX", &llvm)
            .env("RUSTFLAGS", flags)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("CARGO_TARGET_DIR")
            .args(["install", "bpf-linker", "--version", VERSION, "--locked", "--force"])
            .args(["--no-default-features", "--features", &format!("llvm-{major}")])
            .arg("--root")
            .arg(&root),
    )?;
    ensure!(runs(&binary), "{} does not run", binary.display());
    fs::write(&stamp, wanted).with_context(|| format!("writing {}", stamp.display()))
}

fn runs(binary: &Path) -> bool {
    binary.is_file() && command::output(std::process::Command::new(binary).arg("--version")).is_ok()
}

/// `LLVM version: 22.1.2` in the output of `rustc -vV`.
fn llvm_major(compiler: &str) -> Option<u32> {
    let version = compiler.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    version.split('.').next()?.parse().ok()
}

/// Gives the compiler's LLVM library the names that a linker and a loader look for.
fn link_llvm(folder: &Path) -> Result<()> {
    let source = PathBuf::from(sysroot()?).join("lib");
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("emptying {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let mut libraries = Vec::new();
    for entry in fs::read_dir(&source).with_context(|| format!("listing {}", source.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if name.starts_with("libLLVM") && name.contains(".so") {
            link(&path, &folder.join(&name))?;
            libraries.push(path);
        }
    }
    // The versioned file is the library itself, `libLLVM-22-rust-….so` may be a linker script.
    libraries.sort_by_key(|path| fs::metadata(path).map_or(0, |data| data.len()));
    let library = libraries.last().with_context(|| {
        format!("the compiler brings no shared LLVM library ({})", source.display())
    })?;
    let plain = folder.join("libLLVM.so");
    if plain.exists() { Ok(()) } else { link(library, &plain) }
}

fn link(to: &Path, at: &Path) -> Result<()> {
    symlink(to, at).with_context(|| format!("linking {}", at.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_llvm_version_is_that_of_the_compiler() {
        assert_eq!(llvm_major("rustc 1.95.0\nLLVM version: 22.1.2"), Some(22));
        assert_eq!(llvm_major("rustc 1.95.0"), None);
    }
}
