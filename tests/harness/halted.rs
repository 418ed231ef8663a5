//! Halts one thread of another process: what a thread that hangs looks like from outside.

use anyhow::{Context as _, Result, bail};

use crate::proc;

/// A thread that stands still, until this is dropped. Not to be given to another thread: the kernel
/// knows the tracer by its thread.
#[derive(Debug)]
pub struct Halted {
    thread: libc::pid_t,
    _not_send: std::marker::PhantomData<*const ()>,
}

impl Halted {
    /// Halts the thread of this name.
    ///
    /// # Errors
    /// Where there is none, or the kernel refuses.
    pub fn thread_of(pid: u32, name: &str) -> Result<Self> {
        let thread = proc::thread_named(pid, name)?;
        let thread = libc::pid_t::try_from(thread)?;
        request(libc::PTRACE_SEIZE, thread).context("PTRACE_SEIZE")?;
        let halted = Self { thread, _not_send: std::marker::PhantomData };
        request(libc::PTRACE_INTERRUPT, thread).context("PTRACE_INTERRUPT")?;
        let mut status = 0;
        // SAFETY: it writes a status where it is told to.
        let stopped = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) };
        if stopped != thread {
            bail!("the thread {name} does not halt: {}", std::io::Error::last_os_error());
        }
        Ok(halted)
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        // It fails where the process has been killed meanwhile.
        let _ = request(libc::PTRACE_DETACH, self.thread);
    }
}

fn request(request: libc::c_uint, thread: libc::pid_t) -> std::io::Result<()> {
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: these requests take neither address nor data.
    let failed = unsafe { libc::ptrace(request, thread, none, none) } < 0;
    if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}
