//! Which processes there are, and which of them the user selected.

pub mod identity;
pub mod error;
pub mod proc_fs;
pub mod stat;
pub mod status;
pub mod executable;
pub mod cgroup;
pub mod mapping;
pub mod shared_memory;
pub mod origin;
pub mod pod_mount;
pub mod selection;
pub mod scan;

#[cfg(test)]
pub(crate) mod made_up;
