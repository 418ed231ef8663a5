//! `cargo xtask lint`: format, clippy, documentation.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::{command, setup};

/// One check: its name and its command.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) command: Command,
}

/// Every check.
pub(crate) fn steps() -> Vec<Step> {
    let mut format = command::cargo();
    format.args(["fmt", "--all", "--check"]);
    let mut host = command::cargo();
    host.args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    // The programs are for the BPF target, whose `core` is built from source, which a stable
    // compiler does only so.
    let mut kernel = command::cargo();
    kernel
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["clippy", "--quiet", "-p", "goroscope-ebpf-probes", "--bins"])
        .args(["--features", "kernel", "--target", "bpfel-unknown-none", "-Z", "build-std=core"])
        .args(["--", "-D", "warnings"]);
    let mut documentation = command::cargo();
    documentation.env("RUSTDOCFLAGS", "-D warnings").args([
        "doc",
        "--quiet",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]);
    vec![
        Step { name: "lint::format", command: format },
        Step { name: "lint::clippy", command: host },
        Step { name: "lint::clippy_kernel_programs", command: kernel },
        Step { name: "lint::documentation", command: documentation },
    ]
}

/// Runs every check, also after one has failed.
pub(crate) fn run() -> Result<ExitCode> {
    setup::for_build()?;
    let mut failed = Vec::new();
    for mut step in steps() {
        println!("{}: {}", step.name, command::shown(&step.command));
        if let Err(error) = command::run(&mut step.command) {
            eprintln!("{}: {error:#}", step.name);
            failed.push(step.name);
        }
    }
    if failed.is_empty() {
        println!("no complaints");
        return Ok(ExitCode::SUCCESS);
    }
    println!("failed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}
