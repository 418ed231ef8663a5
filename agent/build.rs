//! Compiles the kernel programs for the BPF target, so that they are embedded in the agent.

use std::{env, path::PathBuf};

use anyhow::{Context as _, anyhow};

fn main() -> anyhow::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").context("no manifest folder")?);
    let probes = manifest.parent().context("the agent has a parent folder")?.join("ebpf-probes");
    let probes = probes.to_str().ok_or_else(|| anyhow!("{} is not UTF-8", probes.display()))?;
    // `cargo xtask setup` puts bpf-linker there; a bpf-linker on the PATH serves as well.
    let cache = env::var_os("GOROSCOPE_CACHE").map(PathBuf::from).or_else(|| {
        let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        base.or_else(home).map(|base| base.join("goroscope"))
    });
    let path = env::var_os("PATH").unwrap_or_default();
    let tools = cache.map(|cache| cache.join("bpf-linker/bin"));
    let path = env::join_paths(tools.into_iter().chain(env::split_paths(&path)))?;
    let toolchain = env::var("RUSTUP_TOOLCHAIN").unwrap_or_else(|_| "1.95.0".to_owned());
    // SAFETY: a build script has one thread.
    unsafe { env::set_var("PATH", path) };
    // `core` is built from source for the BPF target, which a stable compiler does only so.
    // SAFETY: as above.
    unsafe { env::set_var("RUSTC_BOOTSTRAP", "1") };
    aya_build::build_ebpf(
        [aya_build::Package {
            name: "goroscope-ebpf-probes",
            root_dir: probes,
            features: &["kernel"],
            ..Default::default()
        }],
        aya_build::Toolchain::Custom(&toolchain),
    )
    .context("building the kernel programs failed; `cargo xtask setup` installs what it needs")
}
