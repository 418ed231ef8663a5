//! The file that a dump is written to: under another name first, so that nothing half-written is
//! ever under its own.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use crate::cli::failure::Failure;

/// A file that is being written.
pub(in crate::cli) struct Output {
    path: PathBuf,
    /// The name that it has until it is whole; `None` where it is no regular file (a pipe, a
    /// terminal), which cannot be replaced.
    new: Option<PathBuf>,
    file: File,
}

impl Output {
    /// Opens it: whether that is possible shows before there is any work.
    pub(in crate::cli) fn create(path: &Path) -> Result<Self, Failure> {
        let failed = |error: &io::Error| {
            Failure::new(format!("cannot write {}: {error}", path.display()))
                .hint("name a file in a folder that you may write to")
        };
        let is_special = fs::metadata(path).is_ok_and(|known| !known.is_file() && !known.is_dir());
        if is_special {
            let file = OpenOptions::new().write(true).open(path).map_err(|error| failed(&error))?;
            return Ok(Self { path: path.to_owned(), new: None, file });
        }
        let name = path.file_name().filter(|_| !path.is_dir());
        let Some(name) = name else {
            return Err(failed(&io::Error::from(io::ErrorKind::IsADirectory)));
        };
        // Nobody else's file and no link, whatever others put beside it.
        let name = format!(".{}.{:08x}.new", name.to_string_lossy(), fastrand::u32(..));
        let new = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&new);
        let file = file.map_err(|error| failed(&error))?;
        Ok(Self { path: path.to_owned(), new: Some(new), file })
    }

    /// Writes it and gives it its name.
    pub(in crate::cli) fn write(
        &mut self,
        write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut out = BufWriter::new(&self.file);
        let written = write(&mut out).and_then(|()| out.flush());
        // A full disk may show only here.
        let written = written.and_then(|()| match &self.new {
            Some(new) => self.file.sync_all().and_then(|()| fs::rename(new, &self.path)),
            None => Ok(()),
        });
        written.map_err(|error| {
            let what = format!("cannot write {}: {error}", self.path.display());
            Failure::new(what).hint("nothing is left under that name that was not there before")
        })?;
        self.new = None;
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(new) = &self.new {
            // What is left over harms nobody.
            let _ = fs::remove_file(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_there_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump");
        fs::write(&path, "old").unwrap();
        let mut output = Output::create(&path).unwrap();
        output.write(|out| out.write_all(b"new")).unwrap();
        drop(output);
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["dump"]);
    }

    #[test]
    fn one_that_fails_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump");
        fs::write(&path, "old").unwrap();
        let mut output = Output::create(&path).unwrap();
        let full = output.write(|out| {
            out.write_all(b"half")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert!(full.is_err());
        drop(output);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["dump"]);
        drop(Output::create(&path).unwrap());
        assert_eq!(names(folder.path()), ["dump"]);
    }

    #[test]
    fn where_nothing_can_be_written_it_says_so_at_once() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("no/dump")] {
            assert!(Output::create(&path).is_err(), "{}", path.display());
        }
        assert!(Output::create(Path::new("/dev/null")).is_ok());
    }
}
