//! Which creation sites leak goroutines.
//!
//! Pure: time and data are passed in. At each look at all goroutines of a process (`look`) it is
//! noted for each site how many there are, how many of those that were there before are still
//! there, and how many of these have not run since. Looks are kept at three paces (`history`): a
//! fast leak shows within a minute, a slow one within some. Each rule judges one thing, in a file
//! of its own, and says yes, no, or that it does not know yet; `verdict` puts them together.

mod goids;
pub mod look;
mod history;
mod trend;
mod growth;
mod survivors;
mod stillness;
pub mod waiting;
mod verdict;
pub mod process;
#[cfg(test)]
mod world;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod recorded;

pub mod alert;

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// That is how a leak looks.
    Leak,
    /// That is not how a leak looks.
    Fine,
    /// Not enough is known yet.
    Unknown,
}
