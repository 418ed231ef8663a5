//! Reads files, and remembers what they were, so that a change is noticed.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// A file that is larger than this is neither a configuration nor a certificate.
const FILE_LIMIT: u64 = 1 << 20;

/// What a file is known by: device, inode, size, and when content and inode were changed. A secret
/// of Kubernetes is exchanged by a link, so the path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp([i128; 7]);

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self([
            found.dev().into(),
            found.ino().into(),
            found.size().into(),
            found.mtime().into(),
            found.mtime_nsec().into(),
            found.ctime().into(),
            found.ctime_nsec().into(),
        ]))
    }
}

/// Files that were read, and what they were.
#[derive(Debug, Default)]
pub(super) struct Reader(Vec<(PathBuf, Option<Stamp>)>);

impl Reader {
    /// The content of the file. What changes from now on is noticed later.
    pub(super) fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.push((path.to_owned(), Stamp::of(path)));
        let mut bytes = Vec::new();
        File::open(path)?.take(FILE_LIMIT.saturating_add(1)).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_LIMIT {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
        }
        Ok(bytes)
    }

    /// Is one of the files another than when it was read?
    pub(super) fn has_changed(&self) -> bool {
        self.0.iter().any(|(path, stamp)| Stamp::of(path) != *stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_every_kind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let read = || {
            let mut reader = Reader::default();
            let bytes = reader.read(&path);
            assert!(!reader.has_changed());
            (reader, bytes)
        };
        let (reader, bytes) = read();
        assert!(bytes.is_err());
        fs::write(&path, "one").unwrap();
        assert!(reader.has_changed());
        let (reader, bytes) = read();
        assert_eq!(bytes.unwrap(), b"one");
        // Of the same length, and put in its place.
        fs::write(folder.path().join("b"), "two").unwrap();
        fs::rename(folder.path().join("b"), &path).unwrap();
        assert!(reader.has_changed());
        let (reader, _) = read();
        fs::remove_file(&path).unwrap();
        assert!(reader.has_changed());
        fs::write(&path, "#".repeat(2 << 20)).unwrap();
        assert!(read().1.unwrap_err().to_string().contains("1 MiB"));
    }
}
