//! What the containers of processes are called: pods of Kubernetes, containers of Docker and Podman.
//!
//! The cgroup path tells ids (`discover::origin`). Names are looked up on this node, in what the
//! kubelet and the container engines keep on disk, and at the container runtime's socket. All of it
//! happens on a thread of its own, with limits of time and size: what answers may hang, or lie.

pub mod settings;
mod wanted;
mod finder;
mod schedule;
mod tally;

// Where names are looked up.
mod places;
mod kubelet;
mod engines;
mod cri;

pub use self::{
    cri::reach::{Reached, reach},
    finder::{Answer, Finder, find_all},
    wanted::{Names, Wanted},
};

#[cfg(test)]
mod tests;
