//! Traces of literal records.

use goroscope_ebpf_probes::trace::{
    KIND_WAKEUP, KIND_WAKEUP_NEW, SWITCH_DEAD, SWITCH_PREEMPTED, Switch, Transition, Wakeup,
};

use super::*;

const RUNNABLE: u8 = 1;
const RUNNING: u8 = 2;
const SYSCALL: u8 = 3;
const WAITING: u8 = 4;
const DEAD: u8 = 6;
const SLEEP: u8 = 19;

/// A goroutine's record lies at a hundred times its number.
fn goes(at: u64, goid: u64, tid: u32, old: u8, new: u8) -> TraceRecord {
    TraceRecord::Transition(Transition {
        kind: 1,
        tid,
        at,
        g: goid * 100,
        goid,
        startpc: if old == DEAD { 0x4000 } else { 0 },
        processor: if new == RUNNING { 0 } else { -1 },
        old,
        new,
        reason: if old == WAITING || new == WAITING { SLEEP } else { 0 },
        reserved: 0,
    })
}

fn switch(at: u64, cpu: u32, prev: u32, flags: u32, next: u32) -> TraceRecord {
    TraceRecord::Switch(Switch { kind: 2, cpu, at, prev, next, flags, reserved: 0 })
}

fn wakeup(at: u64, tid: u32) -> TraceRecord {
    TraceRecord::Wakeup(Wakeup { kind: KIND_WAKEUP, tid, at })
}

fn trace(records: &[TraceRecord]) -> Trace {
    Trace::new(records.to_vec(), Window { begin: 0, end: 1000 })
}

fn goroutine(trace: &Trace, goid: u64) -> &GoroutineTrack {
    trace.goroutines.iter().find(|track| track.goid == goid).unwrap()
}

/// What a goroutine did: from, to, what.
fn did(trace: &Trace, goid: u64) -> Vec<(u64, u64, Doing)> {
    let slices = &goroutine(trace, goid).slices;
    slices.iter().map(|slice| (slice.start, slice.end, slice.doing)).collect()
}

fn thread_did(trace: &Trace, tid: u32) -> Vec<(u64, u64, ThreadState)> {
    let track = trace.threads.iter().find(|track| track.tid == tid).unwrap();
    track.slices.iter().map(|slice| (slice.start, slice.end, slice.state)).collect()
}

#[test]
fn a_life() {
    let trace = trace(&[
        goes(100, 1, 11, DEAD, RUNNABLE),
        goes(150, 1, 11, RUNNABLE, RUNNING),
        goes(200, 1, 11, RUNNING, WAITING),
        goes(500, 1, 12, WAITING, RUNNABLE),
        goes(520, 1, 12, RUNNABLE, RUNNING),
        goes(600, 1, 12, RUNNING, SYSCALL),
        goes(650, 1, 12, SYSCALL, RUNNING),
        goes(700, 1, 12, RUNNING, DEAD),
    ]);
    assert_eq!(
        did(&trace, 1),
        [
            (100, 150, Doing::Runnable),
            (150, 200, Doing::Running),
            (200, 500, Doing::Waiting(SLEEP)),
            (500, 520, Doing::Runnable),
            (520, 600, Doing::Running),
            (600, 650, Doing::Syscall),
            (650, 700, Doing::Running),
        ]
    );
    let track = goroutine(&trace, 1);
    assert_eq!(track.startpc, 0x4000);
    let split = track.split;
    assert_eq!((split.queue, split.thread(), split.turns), (70, 0, 2));
    assert_eq!((split.longest_turn, split.longest_run, split.waiting), (50, 80, 300));
    // Its threads were never switched: they had their CPUs all the time.
    assert_eq!(split.on_cpu, 230);
    let slice = |start, end, tid| ProcessorSlice { start, end, goid: 1, tid };
    let busy = [slice(150, 200, 11), slice(520, 600, 12), slice(650, 700, 12)];
    assert_eq!(trace.processors, [ProcessorTrack { id: 0, slices: busy.to_vec() }]);
    assert_eq!(trace.processors[0].busy(), 180);
}

#[test]
fn what_was_before_and_what_goes_on() {
    let trace = trace(&[
        goes(100, 1, 11, WAITING, RUNNABLE),
        goes(300, 2, 12, RUNNING, WAITING),
        goes(400, 3, 13, RUNNABLE, RUNNING),
    ]);
    assert_eq!(did(&trace, 1), [(0, 100, Doing::Waiting(SLEEP)), (100, 1000, Doing::Runnable)]);
    assert_eq!(did(&trace, 2), [(0, 300, Doing::Running), (300, 1000, Doing::Waiting(SLEEP))]);
    assert_eq!(did(&trace, 3), [(0, 400, Doing::Runnable), (400, 1000, Doing::Running)]);
    // One that never got its turn was in the queue all the time.
    assert_eq!(goroutine(&trace, 1).split.queue, 900);
}

#[test]
fn a_thread() {
    let new = TraceRecord::Wakeup(Wakeup { kind: KIND_WAKEUP_NEW, tid: 12, at: 500 });
    let trace = trace(&[
        switch(100, 0, 11, 0, 0),
        wakeup(300, 11),
        switch(350, 1, 0, 0, 11),
        // It is woken before it has left its CPU: nothing changes.
        wakeup(390, 11),
        switch(400, 1, 11, SWITCH_PREEMPTED, 0),
        switch(450, 0, 0, 0, 11),
        new,
        switch(510, 1, 0, 0, 12),
        switch(600, 1, 12, SWITCH_DEAD, 0),
    ]);
    let on = |cpu| ThreadState::OnCpu(Some(cpu));
    assert_eq!(
        thread_did(&trace, 11),
        [
            (0, 100, on(0)),
            (100, 300, ThreadState::Asleep),
            (300, 350, ThreadState::Woken),
            (350, 400, on(1)),
            (400, 450, ThreadState::Preempted),
            (450, 1000, on(0)),
        ]
    );
    assert_eq!(thread_did(&trace, 12), [(500, 510, ThreadState::Woken), (510, 600, on(1))]);
    assert_eq!(trace.totals().threads_waited, 110);
}

#[test]
fn a_queue_of_go() {
    // One processor, one thread, which has its CPU: the second waits for the first.
    let trace = trace(&[
        switch(0, 0, 0, 0, 11),
        goes(100, 1, 11, RUNNABLE, RUNNING),
        goes(200, 2, 11, WAITING, RUNNABLE),
        goes(700, 1, 11, RUNNING, RUNNABLE),
        goes(710, 2, 11, RUNNABLE, RUNNING),
    ]);
    let split = goroutine(&trace, 2).split;
    assert_eq!((split.queue, split.thread_in_queue, split.thread_running), (510, 0, 0));
    let woken = goroutine(&trace, 2).slices[1];
    assert_eq!((woken.doing, woken.woken_by, woken.tid), (Doing::Runnable, 1, 11));
}

#[test]
fn a_thread_without_a_cpu() {
    // It runs in Go's eyes, and is preempted twice.
    let trace = trace(&[
        switch(0, 0, 0, 0, 11),
        goes(100, 1, 11, RUNNABLE, RUNNING),
        switch(200, 0, 11, SWITCH_PREEMPTED, 0),
        switch(500, 0, 0, 0, 11),
        // A system call that sleeps, and then does not get a CPU.
        goes(600, 1, 11, RUNNING, SYSCALL),
        switch(610, 0, 11, 0, 0),
        wakeup(700, 11),
        switch(750, 0, 0, 0, 11),
        goes(760, 1, 11, SYSCALL, RUNNING),
        goes(900, 1, 11, RUNNING, WAITING),
    ]);
    let split = goroutine(&trace, 1).split;
    assert_eq!((split.queue, split.thread_in_queue, split.thread_running), (100, 0, 350));
    assert_eq!((split.on_cpu, split.asleep), (100 + 100 + 10 + 10 + 140, 90));
}

#[test]
fn the_thread_that_took_it_waited_itself() {
    // Thread 12 sleeps, is woken for the goroutine 50 later, waits 300 for a CPU, and needs 20 to
    // find it.
    let trace = trace(&[
        switch(10, 1, 12, 0, 0),
        goes(100, 1, 11, WAITING, RUNNABLE),
        wakeup(150, 12),
        switch(450, 1, 0, 0, 12),
        goes(470, 1, 12, RUNNABLE, RUNNING),
    ]);
    let split = goroutine(&trace, 1).split;
    assert_eq!((split.queue, split.thread_in_queue, split.thread_running), (70, 300, 0));
    assert_eq!((split.delay(), split.longest_turn), (370, 370));
}

#[test]
fn a_wait_that_keeps_the_thread() {
    // The collector's assistance: it goes straight back to running.
    let trace = trace(&[
        switch(0, 0, 0, 0, 11),
        goes(100, 1, 11, RUNNABLE, RUNNING),
        goes(200, 1, 11, RUNNING, WAITING),
        switch(250, 0, 11, SWITCH_PREEMPTED, 0),
        switch(350, 0, 0, 0, 11),
        goes(400, 1, 11, WAITING, RUNNING),
    ]);
    let track = goroutine(&trace, 1);
    assert!(track.slices[2].keeps_thread);
    assert_eq!((track.split.waiting, track.split.thread_running), (0, 100));
}

#[test]
fn a_preemption_that_is_not_seen() {
    // It is stopped for a scan of its stack; its thread takes another one meanwhile.
    let trace = trace(&[
        goes(100, 1, 11, RUNNABLE, RUNNING),
        goes(300, 2, 11, RUNNABLE, RUNNING),
        goes(500, 1, 12, WAITING, RUNNABLE),
        goes(600, 1, 12, RUNNABLE, RUNNING),
    ]);
    assert_eq!(
        did(&trace, 1)[1..],
        [
            (100, 300, Doing::Running),
            (300, 500, Doing::Preempted),
            (500, 600, Doing::Runnable),
            (600, 1000, Doing::Running),
        ]
    );
    assert_eq!(trace.totals().unknown, 0);
}

#[test]
fn a_lost_record_is_unknown_time() {
    // Its way back into the queue was lost: how long it ran is not known.
    let trace = trace(&[
        goes(100, 1, 11, RUNNABLE, RUNNING),
        goes(600, 1, 11, RUNNABLE, RUNNING),
        goes(700, 1, 11, RUNNING, DEAD),
        // So is a thread's.
        switch(100, 0, 0, 0, 13),
        switch(300, 0, 0, 0, 13),
    ]);
    assert_eq!(
        did(&trace, 1),
        [(0, 100, Doing::Runnable), (100, 600, Doing::Unknown), (600, 700, Doing::Running)]
    );
    assert_eq!(goroutine(&trace, 1).split.queue, 100);
    assert_eq!(trace.totals().unknown, 500);
    assert_eq!(thread_did(&trace, 13)[1], (100, 300, ThreadState::Unknown));
}

#[test]
fn a_record_of_the_runtime_is_used_again() {
    let second = |record| match record {
        TraceRecord::Transition(record) => TraceRecord::Transition(Transition { g: 100, ..record }),
        other => other,
    };
    let trace = trace(&[
        goes(100, 1, 11, RUNNABLE, RUNNING),
        goes(200, 1, 11, RUNNING, DEAD),
        // At its birth it has the number of the one before.
        goes(300, 1, 11, DEAD, RUNNABLE),
        second(goes(400, 2, 11, RUNNABLE, RUNNING)),
        second(goes(500, 2, 11, RUNNING, DEAD)),
    ]);
    assert_eq!(did(&trace, 1), [(0, 100, Doing::Runnable), (100, 200, Doing::Running)]);
    assert_eq!(did(&trace, 2), [(300, 400, Doing::Runnable), (400, 500, Doing::Running)]);
}

#[test]
fn slices_follow_one_another_whatever_comes() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let records: Vec<_> = (0..60)
            .map(|_| {
                let (at, tid) = (random.u64(0..1100), random.u32(10..13));
                match random.u8(0..3) {
                    0 => goes(at, random.u64(1..4), tid, random.u8(0..12), random.u8(0..12)),
                    1 => switch(at, random.u32(0..2), tid, random.u32(0..4), random.u32(10..13)),
                    _ => wakeup(at, tid),
                }
            })
            .collect();
        let trace = trace(&records);
        let in_order = |spans: Vec<(u64, u64)>| {
            let mut last = 0;
            for (start, end) in spans {
                assert!(last <= start && start < end && end <= 1000, "{start}..{end}: {records:?}");
                last = end;
            }
        };
        for track in &trace.goroutines {
            in_order(track.slices.iter().map(|slice| (slice.start, slice.end)).collect());
        }
        for track in &trace.threads {
            in_order(track.slices.iter().map(|slice| (slice.start, slice.end)).collect());
        }
        for track in &trace.processors {
            in_order(track.slices.iter().map(|slice| (slice.start, slice.end)).collect());
        }
    }
}

#[test]
fn advice() {
    let window = Window { begin: 0, end: 1_000_000_000 };
    let host = |gomaxprocs, cpus| Host { gomaxprocs, cpus };
    let totals = |queue, thread_running, processors_busy| Totals {
        goroutines: Split { queue, thread_running, longest_turn: queue, ..Split::default() },
        processors_busy,
        ..Totals::default()
    };
    let ask = |totals: Totals, host| advise(&totals, window, host);
    let (half, all) = (500_000_000, 1_000_000_000);
    assert_eq!(ask(totals(1000, 1000, all), host(1, 4)), Advice::Nothing);
    assert_eq!(ask(totals(0, 0, 0), Host::default()), Advice::Nothing);
    assert_eq!(ask(totals(half, 0, all), host(1, 4)), Advice::RaiseGomaxprocs);
    assert_eq!(ask(totals(half, 0, all), host(1, 1)), Advice::FixCode);
    assert_eq!(ask(totals(half, 0, half), host(1, 4)), Advice::Scheduler);
    assert_eq!(ask(totals(1000, half, all), host(4, 4)), Advice::MoreCpu);
}
