//! The kernel programs: loaded, attached, read.
