//! The fixture `census`: what it says of its goroutines, and whether the agent says the same.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::{
    agent::Agent,
    figures::{Figures, Tally, differences},
    poll,
    speaker::Speaker,
};

/// Goroutines that "more" starts, and those of them that end.
pub const MORE: (u64, u64) = (250, 200);
/// How long the agent may take until it has looked again.
const SOON: Duration = Duration::from_secs(10);

/// What the program says of itself; it rests while nobody asks.
#[derive(Clone, Debug, Deserialize)]
pub struct Census {
    /// `runtime.NumGoroutine()`
    pub num_goroutine: u64,
    /// `/sched/goroutines-created:goroutines`, where the runtime has it.
    pub created: Option<u64>,
    /// Garbage collections.
    pub gc_cycles: u64,
    /// Goroutines by their state in the runtime's own dump.
    pub states: Tally,
    /// By `function file.go:line` of the `go` statement.
    pub sites: Tally,
}

impl Census {
    /// Asks the program.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn take(target: &mut Speaker) -> Result<Self> {
        target.say("census")?;
        target.hear()
    }

    /// Has it start and end [`MORE`], and asks.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn take_after_more(target: &mut Speaker) -> Result<Self> {
        target.say("more")?;
        target.hear()
    }

    /// What of the agent's figures is otherwise.
    #[must_use]
    pub fn contradictions(&self, figures: &Figures) -> Vec<String> {
        let mut found = Vec::new();
        let mut equal = |what: &str, own: u64, agents: u64| {
            if own != agents {
                found.push(format!("{what}: {own} by the program, {agents} by the agent"));
            }
        };
        equal("goroutines", self.num_goroutine, figures.goroutines);
        equal("goroutines over all states", self.num_goroutine, figures.in_states());
        if let Some(created) = self.created {
            equal("created", created, figures.created);
        }
        let left = figures.created.saturating_sub(figures.exited);
        equal("created and not ended", self.num_goroutine + figures.system, left);
        equal("collections", self.gc_cycles, figures.gc_cycles);
        for (what, own, agents) in
            [("state", &self.states, &figures.states), ("site", &self.sites, &figures.sites)]
        {
            for (name, own, agents) in differences(own, agents) {
                equal(&format!("{what} {name:?}"), own, agents);
            }
        }
        found
    }
}

/// The agent's figures, once they are what the program says; asked twice, for a figure that passes
/// through the right one is not right.
///
/// # Errors
/// What stays different.
pub fn agreed(agent: &Agent, pid: u32, census: &Census) -> Result<Figures> {
    let mut last = Vec::new();
    poll::until("the agent says what the program says", SOON, || {
        let figures = Figures::of(&agent.scrape()?, pid)?;
        last = census.contradictions(&figures);
        Ok(last.is_empty().then_some(()))
    })
    .with_context(|| format!("{last:#?}; the agent's log:\n{}", agent.log().join("\n")))?;
    std::thread::sleep(Duration::from_millis(1500));
    let figures = Figures::of(&agent.scrape()?, pid)?;
    let found = census.contradictions(&figures);
    ensure!(found.is_empty(), "no longer: {found:#?}");
    Ok(figures)
}

/// All that the agent says of a resting `census` is what the program itself says, also after some
/// more goroutines have been started and ended.
///
/// # Errors
/// What is different.
pub fn is_told_exactly(agent: &Agent, pid: u32, target: &mut Speaker) -> Result<()> {
    agent.wait_read(pid)?;
    let before = agreed(agent, pid, &Census::take(target)?)?;
    let census = Census::take_after_more(target)?;
    let after = agreed(agent, pid, &census)?;
    let (created, exited) = MORE;
    ensure!(
        after.created == before.created + created && after.exited == before.exited + exited,
        "{created} were created and {exited} of them ended: {before:?}, {after:?}"
    );
    let known = agent.process(pid)?.context("the agent no longer knows the process")?;
    ensure!(
        known.goroutines == Some(census.num_goroutine)
            && known.created_total == Some(after.created),
        "/api/v1/processes has other figures: {known:?}, {census:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_that_is_otherwise_is_named() {
        let tally = |name: &str| Tally::from([(name.to_owned(), 3)]);
        let census = Census {
            num_goroutine: 3,
            created: Some(9),
            gc_cycles: 2,
            states: tally("select"),
            sites: tally("main.main main.go:7"),
        };
        let same = Figures {
            goroutines: 3,
            created: 9,
            exited: 2,
            system: 4,
            states: tally("select"),
            sites: tally("main.main main.go:7"),
            gc_cycles: 2,
        };
        assert_eq!(census.contradictions(&same), Vec::<String>::new());
        let otherwise = [
            Figures { goroutines: 4, ..same.clone() },
            Figures { created: 8, exited: 1, ..same.clone() },
            Figures { exited: 1, ..same.clone() },
            Figures { gc_cycles: 1, ..same.clone() },
            Figures { sites: tally("main.main main.go:8"), ..same.clone() },
            Figures { states: tally("sleep"), ..same.clone() },
        ];
        let found: Vec<usize> =
            otherwise.iter().map(|figures| census.contradictions(figures).len()).collect();
        assert_eq!(found, [1, 1, 1, 1, 2, 2]);
    }
}
