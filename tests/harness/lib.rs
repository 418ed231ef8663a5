//! What the tests, the demo and the benchmarks share: fixtures, the agent under test, its output.

pub mod workspace;
pub mod cache;
pub mod toolchain;
pub mod fixture;
pub mod debian;
pub mod process;
pub mod speaker;
pub mod rest;
pub mod http;
pub mod prometheus;
pub mod promql;
pub mod prometheus_server;
pub mod perfetto;
pub mod tracing;
pub mod shipped;
pub mod sites;
pub mod agent;
pub mod figures;
pub mod census;
pub mod container;
pub mod go_dump;
pub mod server;
pub mod fake;
pub mod authority;
pub mod user;
pub mod poll;
pub mod table;
pub mod bpf;
pub mod elf;

pub mod proc;
pub mod affinity;
pub mod skip;
pub mod requires;
