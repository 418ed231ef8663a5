//! The live view: processes, their creation sites, the stacks of their goroutines.
//!
//! [`state::State`] is fed with snapshots, dumps and keys, and knows neither a terminal nor a
//! clock. [`view::draw`] draws it. [`script`] says the same to programs, and once.

pub mod units;
pub mod name;
pub mod history;
pub mod rates;
pub mod delay;
pub mod picture;
pub mod stacks;

pub mod columns;
pub mod sort;
pub mod list;
pub mod hits;
pub mod keys;
pub mod state;
mod acting;

pub mod view;
pub mod script;

#[cfg(test)]
pub(crate) mod made_up;
#[cfg(test)]
mod tests;
