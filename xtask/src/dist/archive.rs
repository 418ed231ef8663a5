//! tar archives whose bytes depend on nothing but what is put in: one time, one owner.

use anyhow::Result;
use tar::{Builder, EntryType, Header};

/// An archive in memory.
pub(super) struct Archive {
    builder: Builder<Vec<u8>>,
    epoch: u32,
}

impl Archive {
    /// An empty one, all of whose entries will be of this time.
    pub(super) fn new(epoch: u32) -> Self {
        Self { builder: Builder::new(Vec::new()), epoch }
    }

    fn header(&self, kind: EntryType, mode: u32, size: u64) -> Header {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(u64::from(self.epoch));
        header
    }

    /// Adds a folder.
    pub(super) fn folder(&mut self, name: &str) -> Result<()> {
        let mut header = self.header(EntryType::Directory, 0o755, 0);
        Ok(self.builder.append_data(&mut header, name, std::io::empty())?)
    }

    /// Adds a file.
    pub(super) fn file(&mut self, name: &str, mode: u32, bytes: &[u8]) -> Result<()> {
        let mut header = self.header(EntryType::Regular, mode, u64::try_from(bytes.len())?);
        Ok(self.builder.append_data(&mut header, name, bytes)?)
    }

    /// Its bytes.
    pub(super) fn finish(self) -> Result<Vec<u8>> {
        Ok(self.builder.into_inner()?)
    }
}
