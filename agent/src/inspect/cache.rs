//! Stand-in.
use std::{collections::HashMap, fs::File, os::unix::fs::MetadataExt as _, sync::Arc};
use super::{Binary, InspectError};
/// k
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileKey(u64, u64, u64, i64, i64, i64, i64);
impl FileKey {
    /// o
    pub fn of(file: &File) -> std::io::Result<Self> {
        let m = file.metadata()?;
        Ok(Self(m.dev(), m.ino(), m.size(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec()))
    }
}
/// c
#[derive(Default)]
pub struct Cache(HashMap<FileKey, Result<Arc<Binary>, InspectError>>);
impl Cache {
    /// g
    pub fn get_or_inspect(&mut self, key: FileKey, inspect: impl FnOnce() -> Result<Binary, InspectError>) -> Result<Arc<Binary>, InspectError> {
        self.0.entry(key).or_insert_with(|| inspect().map(Arc::new)).clone()
    }
}
