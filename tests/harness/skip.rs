//! Tests that cannot run here: said aloud, with the reason, never counted as passed.

use std::{env, fs::OpenOptions, io::Write as _};

/// Name of the environment variable with the file that skipped tests are noted in;
/// `cargo xtask test` reads it.
pub const FILE: &str = "GOROSCOPE_SKIP_FILE";

/// Notes that the test `name` was skipped.
pub fn note(name: &str, reason: &str) {
    eprintln!("SKIP {name}: {reason}");
    let Some(path) = env::var_os(FILE) else { return };
    let noted = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| writeln!(file, "{name}\t{}", reason.replace(['\n', '\t'], " ")));
    if let Err(error) = noted {
        eprintln!("{} cannot be written: {error}", path.to_string_lossy());
    }
}

/// Returns from a test that cannot run, with a note; `$check` is a `Result<(), String>`.
#[macro_export]
macro_rules! skip_unless {
    ($name:expr, $check:expr) => {
        if let Err(reason) = $check {
            $crate::skip::note($name, &reason);
            return Ok(());
        }
    };
}
