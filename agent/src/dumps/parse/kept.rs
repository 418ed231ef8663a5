//! What is kept of a dump while it is read: each name and each stack once, and not without bound.

use std::{collections::HashSet, sync::Arc};

use super::ParseError;
use crate::{
    dumps::limits,
    model::dump::{Frame, Goroutine, Stack},
};

/// Names, stacks and goroutines so far.
#[derive(Default)]
pub(super) struct Kept {
    names: HashSet<Arc<str>>,
    stacks: HashSet<Stack>,
    frames: usize,
    looked_at: usize,
    count: u64,
    goroutines: Vec<Goroutine>,
}

impl Kept {
    /// A name.
    pub(super) fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        name
    }

    /// A stack.
    pub(super) fn stack(&mut self, frames: Vec<Frame>) -> Result<Stack, ParseError> {
        bound("frames in one stack", frames.len(), limits::FRAMES)?;
        self.looked_at = self.looked_at.saturating_add(frames.len());
        bound("frames", self.looked_at, limits::FRAMES_READ)?;
        if let Some(known) = self.stacks.get(frames.as_slice()) {
            return Ok(Arc::clone(known));
        }
        self.frames = self.frames.saturating_add(frames.len());
        bound("frames in stacks that differ", self.frames, limits::FRAMES_KEPT)?;
        let stack: Stack = frames.into();
        self.stacks.insert(Arc::clone(&stack));
        Ok(stack)
    }

    /// A goroutine, or several alike.
    pub(super) fn goroutine(&mut self, goroutine: Goroutine) -> Result<(), ParseError> {
        self.count = self.count.saturating_add(goroutine.count);
        if self.count > limits::COUNT {
            return Err(ParseError::TooMany { what: "goroutines", limit: limits::COUNT });
        }
        bound("goroutines", self.goroutines.len().saturating_add(1), limits::GOROUTINES)?;
        self.goroutines.push(goroutine);
        Ok(())
    }

    /// All of them.
    pub(super) fn into_goroutines(self) -> Vec<Goroutine> {
        self.goroutines
    }
}

/// Refuses what is too many.
pub(super) fn bound(what: &'static str, count: usize, limit: usize) -> Result<(), ParseError> {
    if count > limit {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        return Err(ParseError::TooMany { what, limit });
    }
    Ok(())
}
