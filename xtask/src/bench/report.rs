//! The figures in `docs/benchmarks.md`, each section between markers of its own.

use std::{fs, thread};

use anyhow::{Context as _, Result};
use goroscope_tests::workspace;

const HEAD: &str = "# Benchmarks\n\n\
    Written by `cargo xtask bench`; each section names the machine it comes from.\n";

/// Puts the section into the file, in place of an earlier one of this name.
pub(super) fn write(name: &str, section: &str) -> Result<()> {
    let old = fs::read_to_string(workspace::root().join("docs/benchmarks.md"));
    let old = old.unwrap_or_else(|_| HEAD.to_owned());
    let section = format!("## `cargo xtask bench {name}`\n\n{}\n\n{section}", machine());
    document("benchmarks.md", &replaced(&old, name, &section))
}

/// Writes a document as a whole.
pub(super) fn document(name: &str, text: &str) -> Result<()> {
    let folder = workspace::root().join("docs");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let (path, partial) = (folder.join(name), folder.join(format!(".{name}.partial")));
    fs::write(&partial, text).with_context(|| format!("writing {}", partial.display()))?;
    fs::rename(&partial, &path).with_context(|| format!("writing {}", path.display()))?;
    println!("written: {}", path.display());
    Ok(())
}

fn replaced(old: &str, name: &str, section: &str) -> String {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->\n"));
    let new = format!("{begin}{}\n{end}", section.trim_end());
    let around =
        old.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    match around {
        Some((before, after)) => format!("{before}{new}{after}"),
        None => format!("{}\n\n{new}", old.trim_end()),
    }
}

/// Kernel, CPU and number of cores.
fn machine() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cpu = field("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let guest = if info.contains(" hypervisor") { ", a virtual machine" } else { "" };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let kernel = kernel.trim().split('-').next().unwrap_or_default();
    format!("Machine: Linux {kernel}, {cpu}, {cores} cores{guest}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_replaces_its_own() {
        let first = replaced("# Head\n", "a", "one\n");
        let both = replaced(&first, "b", "two\n");
        assert_eq!(replaced(&both, "a", "one"), both);
        let changed = replaced(&both, "a", "three");
        assert!(changed.contains("three") && changed.contains("two") && !changed.contains("one"));
        assert!(changed.starts_with("# Head\n"));
    }
}
