//! The executable of a process: its path, and the file itself.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::OpenOptionsExt as _,
    },
    path::PathBuf,
};

use super::{error::DiscoverError, identity::Pid, proc_fs::ProcFs};

/// What the kernel adds to the path of a file that has no name any more.
const DELETED: &[u8] = b" (deleted)";

/// Path of an executable, as the mount namespace of the process has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Exe {
    /// The path, without the kernel's mark of a deleted file.
    pub path: PathBuf,
    /// It was deleted or replaced on disk. A file whose name ends in ` (deleted)` looks the same.
    pub deleted: bool,
}

impl Exe {
    /// From the text of the link `/proc/PID/exe`.
    #[must_use]
    pub fn from_link(link: PathBuf) -> Self {
        match link.as_os_str().as_bytes().strip_suffix(DELETED) {
            Some(path) => Self { path: OsString::from_vec(path.to_vec()).into(), deleted: true },
            None => Self { path: link, deleted: false },
        }
    }
}

impl ProcFs {
    /// The path of the executable. Nothing of the process is opened.
    ///
    /// # Errors
    /// Of the process; [`DiscoverError::KernelThread`] where it has no executable.
    pub fn exe_link(&self, pid: Pid) -> Result<Exe, DiscoverError> {
        let link = self.dir(pid).join("exe");
        match fs::read_link(&link) {
            Ok(path) => Ok(Exe::from_link(path)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                let link = self.exe_of_live_thread(pid)?;
                let path = fs::read_link(&link)
                    .map_err(|error| DiscoverError::from_io(pid, link, error))?;
                Ok(Exe::from_link(path))
            }
            Err(error) => Err(DiscoverError::from_io(pid, link, error)),
        }
    }

    /// Opens the executable itself, whatever is on disk at its path by now.
    ///
    /// # Errors
    /// Of the process; [`DiscoverError::NotRegular`] where it is a pipe, a folder or a device.
    pub fn open_exe(&self, pid: Pid) -> Result<File, DiscoverError> {
        let path = self.dir(pid).join("exe");
        // A made-up link may lead to a pipe or a terminal: opening it must neither wait nor make
        // it the agent's terminal. The standard library adds O_CLOEXEC.
        let open = |path: &PathBuf| {
            OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
        };
        let (file, path) = match open(&path) {
            Ok(file) => (file, path),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                let path = self.exe_of_live_thread(pid)?;
                let file = open(&path)
                    .map_err(|error| DiscoverError::from_io(pid, path.clone(), error))?;
                (file, path)
            }
            Err(error) => return Err(DiscoverError::from_io(pid, path, error)),
        };
        match file.metadata() {
            Ok(about) if about.is_file() => Ok(file),
            Ok(_) => Err(DiscoverError::NotRegular { pid, path }),
            Err(error) => Err(DiscoverError::from_io(pid, path, error)),
        }
    }

    /// The main thread has no executable: it has exited, or there never was one.
    fn exe_of_live_thread(&self, pid: Pid) -> Result<PathBuf, DiscoverError> {
        if self.stat(pid)?.is_kernel_thread() {
            return Err(DiscoverError::KernelThread { pid });
        }
        Ok(self.live_dir(pid)?.join("exe"))
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, io::Read as _, path::Path};

    use super::*;
    use crate::discover::made_up::MadeUp;

    #[test]
    fn deleted() {
        let exe = Exe::from_link("/opt/a b (deleted)".into());
        assert_eq!(exe, Exe { path: "/opt/a b".into(), deleted: true });
        assert!(!Exe::from_link("/opt/(deleted)".into()).deleted);
        let odd = Exe::from_link(Path::new(OsStr::from_bytes(b"/\xff (deleted)")).into());
        assert_eq!(odd.path.as_os_str().as_bytes(), b"/\xff");
    }

    #[test]
    fn opens_the_file() {
        let tree = MadeUp::new();
        tree.process(5, "exe-file", "/").file("5/exe-file", "hello");
        let mut text = String::new();
        tree.procfs().open_exe(Pid(5)).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }

    #[test]
    fn through_a_live_thread() {
        let tree = MadeUp::new();
        tree.stat(5, "go", 'Z', 1).thread(5, 5, 'Z').thread(5, 6, 'S');
        tree.link("5/task/6/exe", "file").file("5/task/6/file", "x");
        assert_eq!(tree.procfs().exe_link(Pid(5)).unwrap().path, Path::new("file"));
        assert!(tree.procfs().open_exe(Pid(5)).is_ok());
    }

    #[test]
    fn refuses_what_is_no_file() {
        let tree = MadeUp::new();
        tree.process(5, "fifo", "/").process(6, "/dev/null", "/").process(7, ".", "/");
        let status = std::process::Command::new("mkfifo").arg(tree.root().join("5/fifo")).status();
        assert!(status.unwrap().success());
        for pid in [5, 6, 7] {
            let error = tree.procfs().open_exe(Pid(pid)).unwrap_err();
            assert!(matches!(error, DiscoverError::NotRegular { .. }), "{error}");
        }
    }

    #[test]
    fn kernel_threads_zombies_and_the_gone() {
        let tree = MadeUp::new();
        tree.kernel_thread(2).stat(3, "z", 'Z', 1).thread(3, 3, 'Z');
        let procfs = tree.procfs();
        for error in [procfs.exe_link(Pid(2)).unwrap_err(), procfs.open_exe(Pid(2)).unwrap_err()] {
            assert!(matches!(error, DiscoverError::KernelThread { pid: Pid(2) }), "{error}");
        }
        for pid in [3, 4] {
            assert!(procfs.exe_link(Pid(pid)).unwrap_err().is_gone());
            assert!(procfs.open_exe(Pid(pid)).unwrap_err().is_gone());
        }
    }
}
