//! The collector: cycles, pauses, and how large it lets the heap grow.

use super::{
    error::ReadError,
    layout::{
        Layout,
        records::{Controller, Stats},
    },
    memory::{Bytes, Memory, Span},
    release::Minor,
    time_histogram::{self, TimeHistogram},
};
use crate::inspect::address::ProcessAddress;

/// How the collector is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gc {
    /// Cycles completed: `/gc/cycles/total:gc-cycles`.
    pub cycles: u64,
    /// Those of them that the program asked for: `/gc/cycles/forced:gc-cycles`.
    pub forced_cycles: u64,
    /// Sum of all pauses in nanoseconds: `debug.GCStats.PauseTotal`.
    pub pause_total_nanoseconds: u64,
    /// End of the last cycle, in nanoseconds since the Unix epoch; 0 before the first.
    pub last_end_unix_nanoseconds: u64,
    /// Pauses: `/gc/pauses:seconds`.
    pub pauses: TimeHistogram,
}

/// The collector's view of the heap, and what it was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapGoal {
    /// Bytes that the last cycle found alive: `/gc/heap/live:bytes`.
    pub live_bytes: u64,
    /// Size at the end of this cycle: `/gc/heap/goal:bytes`.
    pub goal_bytes: u64,
    /// Memory of the whole runtime that was not given back to the system:
    /// `/memory/classes/total:bytes` less `/memory/classes/heap/released:bytes`.
    pub mapped_bytes: u64,
    /// `GOMEMLIMIT`, `/gc/gomemlimit:bytes`; `None` where there is no limit.
    pub memory_limit: Option<u64>,
    /// `GOGC`, `/gc/gogc:percent`; `None` where it is off.
    pub percent: Option<u32>,
}

/// Reads the collector's statistics. `stats` is `runtime.memstats`.
///
/// # Errors
/// [`ReadError::Implausible`], [`ReadError::Memory`].
pub(super) fn read(
    memory: &impl Memory,
    layout: &Layout,
    minor: Minor,
    stats: ProcessAddress,
    sched: ProcessAddress,
) -> Result<Gc, ReadError> {
    let wrong = |why| ReadError::implausible("runtime.memstats", why);
    let Stats { pause_total_ns, last_gc_unix, numgc, numforcedgc, .. } = layout.stats;
    let at = |base: ProcessAddress, offset: u32| {
        base.0.checked_add(u64::from(offset)).map(ProcessAddress).ok_or(wrong("it is no address"))
    };
    let spans = [
        Span { at: at(stats, pause_total_ns)?, length: 8 },
        Span { at: at(stats, last_gc_unix)?, length: 8 },
        Span { at: at(stats, numgc)?, length: 4 },
        Span { at: at(stats, numforcedgc)?, length: 4 },
    ];
    let mut buffer = [0; 24];
    memory.read_many(&spans, &mut buffer)?;
    let words = Bytes(&buffer);
    let pauses = match (layout.sched.stw_total_time_gc, layout.stats.gc_pause_dist) {
        (Some(offset), _) => at(sched, offset)?,
        (None, Some(offset)) => at(stats, offset)?,
        (None, None) => return Err(wrong("it has no pauses")),
    };
    let fields = || -> Option<Gc> {
        Some(Gc {
            cycles: u64::from(words.u32(16)?),
            forced_cycles: u64::from(words.u32(20)?),
            pause_total_nanoseconds: words.u64(0)?,
            last_end_unix_nanoseconds: words.u64(8)?,
            pauses: TimeHistogram::default(),
        })
    };
    let gc = fields().ok_or(wrong("it is cut off"))?;
    if gc.forced_cycles > gc.cycles {
        return Err(wrong("more cycles were asked for than done"));
    }
    Ok(Gc { pauses: time_histogram::read(memory, &layout.histogram, minor, pauses)?, ..gc })
}

/// The words of `runtime.gcController` that the goal is made of.
#[derive(Clone, Copy, Debug)]
struct Pacer {
    gc_percent: i32,
    memory_limit: i64,
    sweep_dist_min_trigger: u64,
    gc_percent_heap_goal: u64,
    triggered: u64,
    heap_marked: u64,
    total_alloc: u64,
    total_free: u64,
    mapped_ready: u64,
    heap_free: u64,
}

/// Reads the goal. `controller` is `runtime.gcController`.
///
/// # Errors
/// [`ReadError::Implausible`], [`ReadError::Memory`].
pub(super) fn goal(
    memory: &impl Memory,
    layout: &Controller,
    minor: Minor,
    controller: ProcessAddress,
) -> Result<HeapGoal, ReadError> {
    let wrong = |why| ReadError::implausible("runtime.gcController", why);
    let offsets = [
        layout.memory_limit,
        layout.sweep_dist_min_trigger,
        layout.gc_percent_heap_goal,
        layout.triggered,
        layout.heap_marked,
        layout.total_alloc,
        layout.total_free,
        layout.mapped_ready,
        layout.heap_free,
    ];
    let mut spans = Vec::with_capacity(offsets.len());
    for offset in offsets {
        let at = controller.0.checked_add(u64::from(offset)).ok_or(wrong("it is no address"))?;
        spans.push(Span { at: ProcessAddress(at), length: 8 });
    }
    let at = controller.0.checked_add(u64::from(layout.gc_percent));
    let at = ProcessAddress(at.ok_or(wrong("it is no address"))?);
    spans.push(Span { at, length: 4 });
    let mut buffer = [0; 76];
    memory.read_many(&spans, &mut buffer)?;
    let words = Bytes(&buffer);
    let pacer = || -> Option<Pacer> {
        Some(Pacer {
            gc_percent: words.u32(72)?.cast_signed(),
            memory_limit: words.i64(0)?,
            sweep_dist_min_trigger: words.u64(8)?,
            gc_percent_heap_goal: words.u64(16)?,
            triggered: words.u64(24)?,
            heap_marked: words.u64(32)?,
            total_alloc: words.u64(40)?,
            total_free: words.u64(48)?,
            mapped_ready: words.u64(56)?,
            heap_free: words.u64(64)?,
        })
    };
    let pacer = pacer().ok_or(wrong("it is cut off"))?;
    let memory_limit =
        u64::try_from(pacer.memory_limit).map_err(|_| wrong("the memory limit is negative"))?;
    let sizes = [pacer.gc_percent_heap_goal, pacer.heap_marked, pacer.mapped_ready];
    let possible = |size: &u64| *size < MAX_ADDRESS || *size == u64::MAX;
    if pacer.mapped_ready == 0 || !sizes.iter().all(possible) {
        return Err(wrong("a size is impossible"));
    }
    // The heap grows and shrinks by pages.
    if pacer.heap_free % HEAP_PAGE != 0 {
        return Err(wrong("a size is not one of whole pages"));
    }
    Ok(HeapGoal {
        live_bytes: pacer.heap_marked,
        goal_bytes: pacer.goal(memory_limit, minor),
        mapped_bytes: pacer.mapped_ready,
        memory_limit: (pacer.memory_limit != i64::MAX).then_some(memory_limit),
        percent: u32::try_from(pacer.gc_percent).ok(),
    })
}

/// More memory than there are addresses.
const MAX_ADDRESS: u64 = 1 << 48;
/// Bytes of a page of the heap, `pageSize`.
const HEAP_PAGE: u64 = 8192;
/// Headroom under a memory limit, in bytes, and in hundredths of the goal from 1.21.
const HEADROOM: u64 = 1 << 20;
const HEADROOM_PERCENT: u64 = 3;
/// The least distance between the size that triggers a cycle and its goal.
const MIN_RUNWAY: u64 = 64 << 10;

impl Pacer {
    /// <https://github.com/golang/go/blob/go1.26.0/src/runtime/mgcpacer.go> (`heapGoalInternal`)
    fn goal(&self, memory_limit: u64, minor: Minor) -> u64 {
        let goal = self.gc_percent_heap_goal;
        let limited = self.limited_goal(memory_limit, minor);
        if limited < goal {
            return limited;
        }
        let goal = goal.max(self.sweep_dist_min_trigger);
        match self.triggered {
            u64::MAX => goal,
            triggered => goal.max(triggered.saturating_add(MIN_RUNWAY)),
        }
    }

    /// The goal that the memory limit allows (`memoryLimitHeapGoal` there).
    fn limited_goal(&self, memory_limit: u64, minor: Minor) -> u64 {
        let in_use = self.total_alloc.saturating_sub(self.total_free);
        let not_heap = self.mapped_ready.saturating_sub(self.heap_free).saturating_sub(in_use);
        let overage = self.mapped_ready.saturating_sub(memory_limit);
        let Some(goal) = memory_limit.checked_sub(not_heap.saturating_add(overage)) else {
            return self.heap_marked;
        };
        if goal == 0 {
            return self.heap_marked;
        }
        let headroom = if minor.has_relative_headroom() {
            (goal / 100 * HEADROOM_PERCENT).max(HEADROOM)
        } else {
            HEADROOM
        };
        goal.saturating_sub(headroom).max(headroom).max(self.heap_marked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pacer() -> Pacer {
        Pacer {
            gc_percent: 100,
            memory_limit: i64::MAX,
            sweep_dist_min_trigger: 0,
            gc_percent_heap_goal: 4 << 20,
            triggered: u64::MAX,
            heap_marked: 1 << 20,
            total_alloc: 3 << 20,
            total_free: 1 << 20,
            mapped_ready: 8 << 20,
            heap_free: 2 << 20,
        }
    }

    fn goal(pacer: Pacer, limit: u64, minor: u8) -> u64 {
        pacer.goal(limit, Minor::known(minor).unwrap())
    }

    #[test]
    fn without_a_limit_the_goal_is_that_of_the_percentage() {
        let limit = u64::try_from(i64::MAX).unwrap();
        assert_eq!(goal(pacer(), limit, 26), 4 << 20);
        assert_eq!(goal(Pacer { sweep_dist_min_trigger: 5 << 20, ..pacer() }, limit, 26), 5 << 20);
        let triggered = Pacer { triggered: 4 << 20, ..pacer() };
        assert_eq!(goal(triggered, limit, 26), (4 << 20) + (64 << 10));
    }

    #[test]
    fn a_limit_lowers_the_goal_but_not_below_what_lives() {
        // 8 MiB are mapped, 2 of them free and 2 in use: 4 MiB are no heap.
        assert_eq!(goal(pacer(), 7 << 20, 19), 1 << 20);
        assert_eq!(goal(pacer(), 4 << 20, 26), 1 << 20);
        let large = Pacer { gc_percent_heap_goal: 1 << 30, ..pacer() };
        let room = (204 << 20) - (4 << 20);
        assert_eq!(goal(large, 204 << 20, 19), room - (1 << 20));
        assert_eq!(goal(large, 204 << 20, 26), room - room / 100 * 3);
    }
}
