//! Remembers what was found in executable files, so that a thousand processes of one binary cost
//! one inspection, and every `exec` of a shell costs none.

use std::{
    collections::HashMap,
    fs::{File, Metadata},
    hash::Hash,
    os::unix::fs::MetadataExt as _,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use super::{Binary, InspectError, inspect};

/// What tells one version of a file from another: a file that was written to is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileKey {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// Likewise; catches an inode used again, and times that were set back.
    changed: (i64, i64),
}

impl FileKey {
    /// The key of a file.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether it is of the same file, written to or not.
    #[must_use]
    pub fn is_same_file(self, other: Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// The outcome of an inspection; a [`Binary`] keeps its file open for as long as someone has it.
pub type Inspected = Result<Arc<Binary>, InspectError>;

/// How many Go binaries are remembered: each keeps a file open, and up to 2 MiB of its DWARF.
const MAX_BINARIES: usize = 128;
/// How many other files are remembered: each takes some hundred bytes.
const MAX_OTHERS: usize = 4096;

/// Inspections, each done once; the least recently asked for are forgotten.
pub struct Cache {
    files: Mutex<Lru<FileKey, Arc<OnceLock<Inspected>>>>,
    others: Mutex<Lru<FileKey, InspectError>>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { files: Mutex::new(Lru::new(MAX_BINARIES)), others: Mutex::new(Lru::new(MAX_OTHERS)) }
    }
}

impl Cache {
    /// What is in an opened executable file. Who asks for a file that is being inspected waits
    /// for that inspection.
    ///
    /// # Errors
    ///
    /// As [`inspect`]. Errors are remembered too, but for those of reading.
    pub fn inspect(&self, file: File) -> Inspected {
        let metadata = file.metadata().map_err(|error| InspectError::Read {
            offset: 0,
            kind: error.kind(),
            message: error.to_string(),
        })?;
        self.get_or(FileKey::of(&metadata), || inspect(file).map(Arc::new))
    }

    /// Forgets the binaries that nobody uses any more, and closes their files: a deleted one would
    /// take up its place on the disk for as long.
    pub fn keep(&self, used: impl Fn(&FileKey) -> bool) {
        // One that is being looked into just now has a user to come.
        lock(&self.files).retain(|key, slot| used(key) || slot.get().is_none());
    }

    fn get_or(&self, key: FileKey, inspect: impl FnOnce() -> Inspected) -> Inspected {
        if let Some(error) = lock(&self.others).get(&key) {
            return Err(error.clone());
        }
        let slot = {
            let mut files = lock(&self.files);
            if let Some(slot) = files.get(&key) {
                Arc::clone(slot)
            } else {
                let slot = Arc::new(OnceLock::new());
                files.insert(key, Arc::clone(&slot));
                slot
            }
        };
        let found = slot.get_or_init(inspect).clone();
        if let Err(error) = &found {
            // Room among the binaries is for binaries.
            lock(&self.files).remove_if(&key, |kept| Arc::ptr_eq(kept, &slot));
            if !error.is_transient() {
                lock(&self.others).insert(key, error.clone());
            }
        }
        found
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A map that forgets what was not asked for for longest.
struct Lru<K, V> {
    entries: HashMap<K, (u64, V)>,
    room: usize,
    clock: u64,
}

impl<K: Hash + Eq + Copy, V> Lru<K, V> {
    fn new(room: usize) -> Self {
        Self { entries: HashMap::new(), room, clock: 0 }
    }

    fn get(&mut self, key: &K) -> Option<&V> {
        self.clock += 1;
        let (used, value) = self.entries.get_mut(key)?;
        *used = self.clock;
        Some(value)
    }

    fn insert(&mut self, key: K, value: V) {
        self.clock += 1;
        if self.entries.len() >= self.room && !self.entries.contains_key(&key) {
            // A walk over all: it happens per new file, and a file costs far more than that.
            let oldest = self.entries.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                self.entries.remove(&oldest);
            }
        }
        self.entries.insert(key, (self.clock, value));
    }

    fn retain(&mut self, condition: impl Fn(&K, &V) -> bool) {
        self.entries.retain(|key, (_, value)| condition(key, value));
    }

    fn remove_if(&mut self, key: &K, condition: impl FnOnce(&V) -> bool) {
        if self.entries.get(key).is_some_and(|(_, value)| condition(value)) {
            self.entries.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, io};

    use super::*;

    fn key(inode: u64) -> FileKey {
        FileKey { device: 1, inode, size: 5, modified: (0, 0), changed: (0, 0) }
    }

    #[test]
    fn an_error_is_found_once() {
        let cache = Cache::default();
        let calls = Cell::new(0);
        for _ in 0..1000 {
            let found = cache.get_or(key(1), || {
                calls.set(calls.get() + 1);
                Err(InspectError::NotGo)
            });
            assert_eq!(found.err(), Some(InspectError::NotGo));
        }
        assert_eq!(calls.get(), 1);
    }

    #[test]
    fn a_failure_to_read_is_tried_again() {
        let cache = Cache::default();
        let calls = Cell::new(0);
        for _ in 0..3 {
            let _ = cache.get_or(key(1), || {
                calls.set(calls.get() + 1);
                let kind = io::ErrorKind::Other;
                Err(InspectError::Read { offset: 0, kind, message: String::new() })
            });
        }
        assert_eq!(calls.get(), 3);
        assert!(lock(&cache.files).entries.is_empty());
    }

    #[test]
    fn a_file_that_changed_is_another_one() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let before = FileKey::of(&file.as_file().metadata().unwrap());
        let cache = Cache::default();
        let open = || File::open(file.path()).unwrap();
        assert_eq!(cache.inspect(open()).err(), Some(InspectError::Empty));
        io::Write::write_all(&mut file, b"#!").unwrap();
        assert_ne!(FileKey::of(&file.as_file().metadata().unwrap()), before);
        let open = || File::open(file.path()).unwrap();
        assert_eq!(cache.inspect(open()).err(), Some(InspectError::NotElf));
    }

    #[test]
    fn what_was_not_asked_for_for_longest_goes_first() {
        let mut lru = Lru::new(3);
        for number in 0..3 {
            lru.insert(number, number);
        }
        assert_eq!(lru.get(&0), Some(&0));
        lru.insert(3, 3);
        assert_eq!(lru.get(&1), None);
        for number in [0, 2, 3] {
            assert_eq!(lru.get(&number), Some(&number));
        }
        lru.insert(3, 4);
        assert_eq!(lru.get(&3), Some(&4));
        assert_eq!(lru.entries.len(), 3);
    }

    #[test]
    fn its_size_is_bounded() {
        let cache = Cache::default();
        for number in 0..10_000 {
            let _ = cache.get_or(key(number), || Err(InspectError::NotGo));
        }
        assert_eq!(lock(&cache.others).entries.len(), MAX_OTHERS);
        assert!(lock(&cache.files).entries.is_empty());
    }
}
