//! What was measured of one program, as a section.

use super::{
    super::{
        figures::{goal, grouped},
        median::{median, spread},
    },
    Sample, Setting, Workload,
};

/// What is to be left of the throughput with default options.
const GOAL: f64 = 0.98;

/// All turns of a program.
pub(super) struct Table {
    workload: Workload,
    samples: Vec<(u32, Setting, Sample)>,
}

impl Table {
    pub(super) fn new(workload: Workload) -> Self {
        Self { workload, samples: Vec::new() }
    }

    pub(super) fn add(&mut self, round: u32, setting: Setting, sample: Sample) {
        self.samples.push((round, setting, sample));
    }

    fn of(&self, setting: Setting) -> impl Iterator<Item = (u32, &Sample)> {
        let turns = self.samples.iter().filter(move |(_, of, _)| *of == setting);
        turns.map(|(round, _, sample)| (*round, sample))
    }

    fn figures(&self, setting: Setting, figure: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.of(setting).map(|(_, sample)| figure(sample)).collect()
    }

    /// Each round's figure by that of the turn alone in the same round.
    fn shares(&self, setting: Setting, figure: impl Fn(&Sample) -> f64) -> Vec<f64> {
        let alone = |round| self.of(Setting::Alone).find(|(other, _)| *other == round);
        let turns = self.of(setting);
        turns.filter_map(|(round, sample)| Some(figure(sample) / figure(alone(round)?.1))).collect()
    }

    pub(super) fn section(&self) -> String {
        let Self { workload, .. } = self;
        let unit = workload.unit();
        let born = median(&self.figures(Setting::Alone, |sample| sample.turn.born_per_second));
        let mut text = format!(
            "### {workload}\n\n{} Goroutines are born {} times a second when it is alone.\n\n\
             | | {unit} per second | of alone | probes attached at the end | cost of the probes \
             by then | by CPU time, of alone |\n|---|---:|---:|---:|---:|---:|\n",
            workload.description(),
            grouped(born)
        );
        for setting in Setting::ALL {
            text.push_str(&self.row(setting).unwrap_or_default());
        }
        let share = median(&self.shares(Setting::Default, |sample| sample.turn.per_second));
        let wanted = format!(
            "at least {:.0} % of the throughput with default options (it is {:.1} %)",
            GOAL * 100.0,
            share * 100.0
        );
        text.push_str(&format!("\n{}\n", goal(&wanted, share >= GOAL)));
        text
    }

    /// `None` where no turn was taken in this way.
    fn row(&self, setting: Setting) -> Option<String> {
        let throughput = self.figures(setting, |sample| sample.turn.per_second);
        let (lowest, highest) = spread(&throughput);
        let (_, first) = self.of(setting).next()?;
        let seen = |figure: fn(&super::Seen) -> Option<f64>| {
            let seen = self.of(setting).filter_map(|(_, sample)| figure(sample.seen.as_ref()?));
            Some(seen.collect::<Vec<_>>()).filter(|seen| !seen.is_empty())
        };
        let missing = if first.seen.is_some() { "not told" } else { "" };
        let attached = seen(|seen| seen.attached).map_or(missing.to_owned(), range);
        let cost = seen(|seen| seen.cost)
            .map_or(missing.to_owned(), |cost| format!("{:.3} s", median(&cost)));
        let (of_alone, by_cpu) = if setting == Setting::Alone {
            (String::new(), String::new())
        } else {
            (
                percent(&self.shares(setting, |sample| sample.turn.per_second)),
                percent(&self.shares(setting, |sample| sample.turn.per_cpu_second)),
            )
        };
        Some(format!(
            "| {} | {} ({} – {}) | {of_alone} | {attached} | {cost} | {by_cpu} |\n",
            setting.name(),
            grouped(median(&throughput)),
            grouped(lowest),
            grouped(highest)
        ))
    }
}

fn percent(shares: &[f64]) -> String {
    let (lowest, highest) = spread(shares);
    let [median, lowest, highest] = [median(shares), lowest, highest].map(|share| share * 100.0);
    format!("{median:.1} % ({lowest:.1} – {highest:.1})")
}

/// One number where all rounds agree, else the smallest and the largest.
fn range(values: Vec<f64>) -> String {
    let (lowest, highest) = spread(&values);
    if lowest < highest { format!("{lowest} – {highest}") } else { format!("{lowest}") }
}
