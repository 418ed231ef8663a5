//! Which processes there are, and which of them the user selected.

pub mod cgroup;
pub mod error;
pub mod executable;
pub mod identity;
pub mod mapping;
pub mod origin;
pub mod proc_fs;
pub mod scan;
pub mod selection;
pub mod shared_memory;
pub mod stat;
pub mod status;

#[cfg(test)]
pub(crate) mod made_up;
