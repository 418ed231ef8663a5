//! Runs one test binary and counts.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use goroscope_tests::{process::Guard, skip};

use super::{
    binaries::Binary,
    tally::{self, Counts, Tally},
};

/// Longest run of one binary: more means that it hangs.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// How binaries are run.
pub(super) struct Runner {
    /// The file that skipped tests are noted in.
    pub(super) skips: PathBuf,
    /// The command under test.
    pub(super) goroscope: PathBuf,
    /// Part of the names of the tests to run.
    pub(super) filter: Option<String>,
    /// Show the output as it comes, not only when something fails.
    pub(super) stream: bool,
}

impl Runner {
    /// Runs it, and adds what it counted.
    pub(super) fn run(&mut self, binary: &Binary, tally: &mut Tally) {
        let start = Instant::now();
        if self.stream {
            println!("{}: running", binary.name);
        }
        let (output, status, noted) = match self.start(binary) {
            Ok(outcome) => outcome,
            Err(error) => return tally.failure(&binary.name, &format!("{error:#}")),
        };
        let seconds = start.elapsed().as_secs_f64();
        let mut skipped = noted;
        skipped.extend(output.iter().filter_map(|line| tally::ignored(line)));
        let Some(counts) = output.iter().rev().find_map(|line| tally::counts(line)) else {
            self.show(&output);
            return tally.failure(&binary.name, &format!("ended without a result ({status})"));
        };
        let Counts { passed, failed, ignored, filtered } = counts;
        // A test that skips itself counts as passed for its runner.
        let own = u64::try_from(skipped.len()).unwrap_or(u64::MAX).saturating_sub(ignored);
        let passed = passed.saturating_sub(own);
        println!(
            "{}: {passed} passed, {failed} failed, {} skipped ({seconds:.1} s)",
            binary.name,
            skipped.len()
        );
        let total = passed + failed + u64::try_from(skipped.len()).unwrap_or(u64::MAX);
        tally.passed += passed;
        tally.skipped.append(&mut skipped);
        if failed > 0 {
            self.show(&output);
            tally.failures(failed, &binary.name);
        } else if !status.success() {
            self.show(&output);
            tally.failure(&binary.name, &format!("ended abnormally ({status})"));
        } else if total == 0 && filtered == 0 && !binary.may_be_empty {
            tally.failure(&binary.name, "ran no tests");
        }
    }

    /// Repeats output that has not been shown yet.
    fn show(&self, output: &[String]) {
        if !self.stream {
            output.iter().for_each(|line| println!("  {line}"));
        }
    }

    #[expect(clippy::type_complexity, reason = "used once, taken apart at once")]
    fn start(&self, binary: &Binary) -> Result<(Vec<String>, ExitStatus, Vec<(String, String)>)> {
        fs::write(&self.skips, "").with_context(|| self.skips.display().to_string())?;
        let mut command = Command::new(&binary.path);
        command
            .args(&self.filter)
            .current_dir(&binary.folder)
            .env("CARGO_MANIFEST_DIR", &binary.folder)
            .env(skip::FILE, &self.skips)
            .env("GOROSCOPE_BIN", &self.goroscope)
            // A failed test says why in words.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.goroscope.as_os_str().is_empty() {
            command.env_remove("GOROSCOPE_BIN");
        }
        let mut guard = Guard::start(&mut command)?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let stdout = guard.child().stdout.take().context("no pipe")?;
        let stderr = guard.child().stderr.take().context("no pipe")?;
        let readers = [follow(stdout, &lines, self.stream), follow(stderr, &lines, self.stream)];
        let status = guard.wait(LIMIT)?;
        for reader in readers {
            let _ = reader.join();
        }
        let noted = fs::read_to_string(&self.skips)?
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(name, reason)| (format!("{}::{name}", binary.name), reason.to_owned()))
            .collect();
        let lines = std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((lines, status, noted))
    }
}

fn follow(
    pipe: impl Read + Send + 'static,
    lines: &Arc<Mutex<Vec<String>>>,
    stream: bool,
) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if stream {
                println!("  {line}");
            }
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    })
}
