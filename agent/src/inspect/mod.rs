//! What is in a Go binary: version, module, functions, lines, and where probes can sit.

pub mod address;
