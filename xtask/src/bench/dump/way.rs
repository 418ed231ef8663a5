//! The ways to a dump, and what they are compared with.

use std::{
    fs, hint,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use goroscope_tests::workspace;

use super::{
    GOROUTINES, Target,
    requests::{self, Waits},
};
use crate::command;

/// For how long there is no dump.
const LASTING: Duration = Duration::from_millis(500);

/// What happens while requests are answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Nothing,
    Busy,
    Ours,
    OurProfile,
    Text,
    Profile,
}

/// One dump.
pub(super) struct Taken {
    pub(super) seconds: f64,
    /// Length of what was written.
    pub(super) bytes: u64,
    pub(super) waits: Waits,
}

impl Way {
    pub(super) const ALL: [Self; 6] =
        [Self::Nothing, Self::Busy, Self::Ours, Self::OurProfile, Self::Text, Self::Profile];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Busy => "a busy loop in another process",
            Self::Ours => "`goroscope dump --format text`",
            Self::OurProfile => "`goroscope dump --format pprof`",
            Self::Text => "the program's own `/debug/pprof/goroutine?debug=2`",
            Self::Profile => "the program's own `/debug/pprof/goroutine`",
        }
    }

    pub(super) fn is_dump(self) -> bool {
        !matches!(self, Self::Nothing | Self::Busy)
    }

    /// Does it, while requests are answered.
    pub(super) fn take(self, target: &Target, folder: &Path) -> Result<Taken> {
        let file = folder.join("dump");
        let ((seconds, bytes), waits) = requests::during(target.address, || {
            let began = Instant::now();
            let bytes = match self {
                Self::Nothing => {
                    std::thread::sleep(LASTING);
                    0
                }
                Self::Busy => {
                    while began.elapsed() < LASTING {
                        hint::spin_loop();
                    }
                    0
                }
                Self::Ours | Self::OurProfile => self.ours(target.speaker.pid(), &file)?,
                Self::Text | Self::Profile => self.theirs(target)?,
            };
            Ok((began.elapsed().as_secs_f64(), bytes))
        })?;
        if self == Self::Ours {
            ensure_whole(&fs::read(&file).context("reading the dump")?)?;
        }
        Ok(Taken { seconds, bytes, waits })
    }

    fn ours(self, pid: u32, file: &Path) -> Result<u64> {
        let form = if self == Self::Ours { "text" } else { "pprof" };
        let mut dump = Command::new(workspace::goroscope()?);
        dump.args(["-q", "dump", "--format", form, "--output"]).arg(file).arg(pid.to_string());
        command::output(&mut dump)?;
        Ok(fs::metadata(file).context("looking at the dump")?.len())
    }

    fn theirs(self, target: &Target) -> Result<u64> {
        let text = self == Self::Text;
        let path = format!("/debug/pprof/goroutine{}", if text { "?debug=2" } else { "" });
        let dump = requests::get(target.address, &path)?;
        if text {
            ensure_whole(&dump)?;
        }
        Ok(u64::try_from(dump.len())?)
    }
}

/// All goroutines are in the text.
fn ensure_whole(text: &[u8]) -> Result<()> {
    let begins = b"\ngoroutine ";
    let seen = text.windows(begins.len()).filter(|part| part == begins).count();
    ensure!(seen >= usize::try_from(GOROUTINES)?, "the dump has {seen} goroutines only");
    Ok(())
}
