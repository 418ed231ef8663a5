//! In which order a list is, and what a filter lets through.

use std::cmp::Ordering;

use super::{
    columns::Column,
    picture::{Figures, SiteFigures, leak_of, verdict},
    stacks::Group,
};
use crate::model::{
    leak::Verdict,
    process::Process,
    site::{Site, SiteName},
};

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// Which column.
    pub column: Column,
    /// The other way round than usual.
    pub reversed: bool,
}

impl Sort {
    /// By a column, as usual.
    #[must_use]
    pub fn by(column: Column) -> Self {
        Self { column, reversed: false }
    }

    /// The order of two rows. What is not known comes last in any case.
    #[must_use]
    pub fn order(self, a: &Value, b: &Value) -> Ordering {
        let order = match (a, b) {
            (Value::Unknown, Value::Unknown) => return Ordering::Equal,
            (Value::Unknown, _) => return Ordering::Greater,
            (_, Value::Unknown) => return Ordering::Less,
            (Value::Number(a), Value::Number(b)) => a.total_cmp(b),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::Number(_), Value::Text(_)) => Ordering::Less,
            (Value::Text(_), Value::Number(_)) => Ordering::Greater,
        };
        if self.column.ascends() == self.reversed { order.reverse() } else { order }
    }
}

/// What a cell holds, for sorting.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nobody knows.
    Unknown,
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

impl<T: Into<f64>> From<Option<T>> for Value {
    fn from(number: Option<T>) -> Self {
        number.map_or(Self::Unknown, |number| Self::Number(number.into()))
    }
}

fn number(number: u64) -> Value {
    Value::Number(number as f64)
}

/// Verdicts before everything else, then by how many goroutines are held.
fn severity(verdict: Option<Verdict>, held: u64) -> Value {
    const MORE_THAN_ANY: f64 = 1e12;
    let rank = match verdict {
        Some(Verdict::Confirmed) => 2.0,
        Some(Verdict::Suspected) => 1.0,
        None => 0.0,
    };
    Value::Number(rank * MORE_THAN_ANY + held as f64)
}

/// Of a process.
#[must_use]
pub fn of_process(column: Column, process: &Process, figures: &Figures) -> Value {
    let known = |count: Option<u64>| count.map_or(Value::Unknown, number);
    match column {
        Column::Pid => Value::Number(process.id.pid.0.into()),
        Column::Leak => {
            severity(verdict(process), process.leaks.iter().map(|leak| leak.goroutines).sum())
        }
        Column::Growth => figures.pace.growth.into(),
        Column::Born => figures.pace.born.into(),
        Column::Died => figures.pace.died.into(),
        Column::GoP50 => figures.goroutine_delay.map(|spread| spread.p50_seconds).into(),
        Column::GoP99 => figures.goroutine_delay.map(|spread| spread.p99_seconds).into(),
        Column::CpuP50 => figures.thread_delay.map(|spread| spread.p50_seconds).into(),
        Column::CpuP99 => figures.thread_delay.map(|spread| spread.p99_seconds).into(),
        Column::Threads => known(process.threads),
        Column::Owner => {
            process.origin.owner().map_or(Value::Unknown, |owner| Value::Text(owner.to_owned()))
        }
        Column::Name => Value::Text(process.exe_base().to_owned()),
        Column::Live | Column::Trend | Column::Doing | Column::Wait | Column::Stacks => {
            known(process.goroutines())
        }
    }
}

/// Of a creation site.
#[must_use]
pub fn of_site(column: Column, process: &Process, site: &Site, figures: &SiteFigures) -> Value {
    match column {
        Column::Leak => severity(leak_of(process, site).map(|leak| leak.verdict), site.live),
        Column::Growth => figures.pace.growth.into(),
        Column::Born => figures.pace.born.into(),
        Column::Died => figures.pace.died.into(),
        Column::Wait => site.held.longest_wait_nanoseconds.map_or(Value::Unknown, number),
        Column::Stacks => number(site.held.stack_bytes),
        Column::Doing => match site.held.doing.first() {
            Some((doing, _)) => Value::Text(doing.to_string()),
            None => Value::Unknown,
        },
        Column::Name => match &site.name {
            Some(name) => Value::Text(name.created_by.clone()),
            None => Value::Unknown,
        },
        _ => number(site.live),
    }
}

/// Of goroutines with the same stack.
#[must_use]
pub fn of_group(column: Column, group: &Group) -> Value {
    match column {
        Column::Wait => group.longest_wait.into(),
        Column::Doing => Value::Text(group.doing.to_string()),
        Column::Name => match group.stack.first() {
            Some(frame) => Value::Text(frame.place.function.to_string()),
            None => Value::Unknown,
        },
        _ => number(group.count),
    }
}

/// Lets through what contains a text, large and small letters alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    wanted: String,
}

impl Filter {
    /// For this text; an empty one lets everything through.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { wanted: text.to_lowercase() }
    }

    fn admits<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> bool {
        self.wanted.is_empty()
            || texts.into_iter().any(|text| text.to_lowercase().contains(&self.wanted))
    }

    /// By id, executable, name, module, unit, pod or container, or verdict.
    #[must_use]
    pub fn admits_process(&self, process: &Process) -> bool {
        let pid = process.id.pid.to_string();
        let origin = &process.origin;
        let names =
            [&origin.unit, &origin.pod, &origin.namespace, &origin.container, &origin.container_id];
        let module = process.binary.as_ref().and_then(|binary| binary.module.as_deref());
        let texts = [pid.as_str(), &process.exe, &process.comm];
        let verdict = verdict(process).map(Verdict::as_str);
        let names = names.into_iter().filter_map(|name| name.as_deref());
        self.admits(texts.into_iter().chain(names).chain(module).chain(verdict))
    }

    /// By function, place, verdict, or by what the goroutines do.
    #[must_use]
    pub fn admits_site(&self, process: &Process, site: &Site) -> bool {
        let location = site.name.as_ref().map(SiteName::location);
        let name = site.name.iter();
        let names = name.flat_map(|name| [&*name.created_by, &*name.file, &*name.start]);
        let doing = site.held.doing.iter().map(|(doing, _)| &**doing);
        let verdict = leak_of(process, site).map(|leak| leak.verdict.as_str());
        self.admits(names.chain(doing).chain(location.as_deref()).chain(verdict))
    }

    /// By any function or file on the stack, or by what the goroutines do.
    #[must_use]
    pub fn admits_group(&self, group: &Group) -> bool {
        let frames = group.stack.iter();
        let places = frames.flat_map(|frame| [&*frame.place.function, &*frame.place.file]);
        self.admits(places.chain([&*group.doing]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::top::made_up;

    #[test]
    fn the_largest_first_and_the_unknown_last() {
        let sort = Sort::by(Column::Growth);
        let mut values = vec![Value::Unknown, Value::Number(1.0), Value::Number(5.0)];
        values.sort_by(|a, b| sort.order(a, b));
        assert_eq!(values, [Value::Number(5.0), Value::Number(1.0), Value::Unknown]);
        let sort = Sort { reversed: true, ..sort };
        values.sort_by(|a, b| sort.order(a, b));
        assert_eq!(values, [Value::Number(1.0), Value::Number(5.0), Value::Unknown]);
        let (a, b) = (Value::Text("a".into()), Value::Text("b".into()));
        assert_eq!(Sort::by(Column::Name).order(&a, &b), Ordering::Less);
    }

    #[test]
    fn a_verdict_weighs_more_than_any_number() {
        let mut sick = made_up::process(1, 3);
        sick.leaks = vec![made_up::leak(&sick.sites[0], Verdict::Suspected)];
        let healthy = made_up::process(2, 1_000_000);
        let value = |process| of_process(Column::Leak, process, &Figures::default());
        let order = Sort::by(Column::Leak).order(&value(&sick), &value(&healthy));
        assert_eq!(order, Ordering::Less);
    }

    #[test]
    fn filters() {
        let mut process = made_up::process(4242, 3);
        for text in ["", "42", "APP", "shop.serv", "/srv/"] {
            assert!(Filter::new(text).admits_process(&process), "{text}");
        }
        assert!(!Filter::new("mail").admits_process(&process));
        assert!(!Filter::new("confirmed").admits_process(&process));
        process.leaks = vec![made_up::leak(&process.sites[0], Verdict::Confirmed)];
        assert!(Filter::new("confirmed").admits_process(&process));
        let site = process.sites[0].clone();
        for text in ["main.serve", "main.go:52", "func1", "chan SEND", "confirmed"] {
            assert!(Filter::new(text).admits_site(&process, &site), "{text}");
        }
        assert!(!Filter::new("select").admits_site(&process, &site));
    }
}
