//! Goroutine dumps in the forms that people and programs exchange them in.
//!
//! Pure: from a dump to a writer, from bytes to a dump. Who wrote the bytes is not trusted, and
//! names come from the program that was looked at: both are bounded, and what is written has no
//! control characters but those of its form.

mod limits;
mod format;
mod name;
mod proto;
mod write;
mod parse;
pub mod diff;
#[cfg(test)]
mod samples;

pub use self::{
    format::Format,
    parse::{ParseError, parse, read},
    write::write,
};
