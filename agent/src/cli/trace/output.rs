//! The file with the trace: whole under the name that was asked for, or not there.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::super::failure::Failure;

/// A file that is written under another name first, in the same folder.
pub(super) struct OutFile {
    path: PathBuf,
    file: File,
    /// The other name; `None` where the path is a pipe or a device, which is written to at once.
    partial: Option<PathBuf>,
}

impl OutFile {
    /// Makes sure that it can be written.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let wrong = |error: &dyn std::fmt::Display| cannot(path, error);
        let special = fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
        if special {
            let file = OpenOptions::new().write(true).open(path).map_err(|error| wrong(&error))?;
            return Ok(Self { path: path.to_owned(), file, partial: None });
        }
        if path.is_dir() {
            return Err(wrong(&"it is a folder"));
        }
        let name = path.file_name().ok_or_else(|| wrong(&"it is no name of a file"))?;
        let name = format!(".{}.{}.new", name.to_string_lossy(), std::process::id());
        let partial = path.with_file_name(name);
        let file = File::create(&partial).map_err(|error| wrong(&error))?;
        Ok(Self { path: path.to_owned(), file, partial: Some(partial) })
    }

    /// Writes it, and gives it its name.
    pub(super) fn write(
        mut self,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut out = BufWriter::with_capacity(1 << 20, &self.file);
        fill(&mut out)
            .and_then(|()| out.flush())
            .and_then(|()| match &self.partial {
                Some(partial) => fs::rename(partial, &self.path),
                None => Ok(()),
            })
            .map_err(|error| cannot(&self.path, &error))?;
        self.partial = None;
        Ok(())
    }
}

impl Drop for OutFile {
    fn drop(&mut self) {
        if let Some(partial) = &self.partial {
            // Where it cannot be removed, it cannot be helped.
            let _ = fs::remove_file(partial);
        }
    }
}

fn cannot(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("cannot write {}: {error}", path.display()))
        .hint("give another path behind --output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.json");
        let names = || {
            let entries = fs::read_dir(folder.path()).unwrap();
            entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
        };
        fs::write(&path, "before").unwrap();
        let broken = OutFile::create(&path).unwrap().write(|out| {
            out.write_all(b"half")?;
            Err(io::Error::other("no space left"))
        });
        let message = broken.unwrap_err().to_string();
        assert!(message.ends_with("trace.json: no space left"), "{message}");
        assert_eq!(fs::read(&path).unwrap(), b"before");
        assert_eq!(names(), ["trace.json"]);
        drop(OutFile::create(&path).unwrap());
        assert_eq!(names(), ["trace.json"]);
        OutFile::create(&path).unwrap().write(|out| out.write_all(b"whole")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(), ["trace.json"]);
    }

    #[test]
    fn what_cannot_be_written_is_said_at_once() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("no/such/folder"), "/".into()] {
            assert!(OutFile::create(&path).is_err(), "{}", path.display());
        }
        let device = OutFile::create(Path::new("/dev/full")).unwrap();
        assert!(device.write(|out| out.write_all(b"{}")).is_err());
        OutFile::create(Path::new("/dev/null")).unwrap().write(|out| out.write_all(b"x")).unwrap();
    }
}
