//! Leaks are found in time, and what looks like one is left in peace.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "made-up numbers are small and positive"
)]

use super::world::{Life, STUCK, World};
use crate::model::leak::Verdict;

/// Honest work: requests that take some milliseconds, at a site of their own.
fn honest(world: &mut World) {
    for _ in 0..4 {
        let lives = 0.02 + world.about(0.1);
        world.go(Life { site: 9, waits: "select", lives, runs_every: 0.05 });
    }
}

/// Leaks `per_second` goroutines of a kind from 60 s on; says after how many seconds that was
/// confirmed.
fn leak(per_second: f64, life: Life, until: f64) -> Option<f64> {
    let mut world = World::new();
    world.run(60.0, honest);
    let (start, mut leaked) = (world.now, 0.0);
    world.run(start + until, |world| {
        honest(world);
        while leaked < (world.now - start) * per_second {
            world.go(life);
            leaked += 1.0;
        }
    });
    assert!(world.confirmed.iter().all(|(_, site)| *site == life.site), "{:?}", world.confirmed);
    world.confirmed.first().map(|(at, _)| at - start)
}

#[track_caller]
fn within(seconds: f64, confirmed: Option<f64>) {
    assert!(confirmed.is_some_and(|after| after <= seconds), "{confirmed:?}");
}

#[test]
fn stuck_goroutines_are_confirmed_within_a_minute() {
    within(60.0, leak(5.0, STUCK, 120.0));
    within(60.0, leak(5.0, Life { waits: "select", ..STUCK }, 120.0));
    within(60.0, leak(5.0, Life { waits: "chan receive (nil chan)", ..STUCK }, 120.0));
    within(60.0, leak(500.0, STUCK, 120.0));
}

#[test]
fn those_among_honest_ones_of_the_same_site_too() {
    within(60.0, leak(5.0, Life { site: 9, ..STUCK }, 120.0));
}

#[test]
fn a_ticker_that_nobody_stops_too() {
    within(60.0, leak(5.0, Life { runs_every: 1.0, ..STUCK }, 120.0));
}

#[test]
fn a_slow_leak_is_confirmed_within_ten_minutes() {
    within(600.0, leak(1.0 / 60.0, STUCK, 900.0));
    within(600.0, leak(1.0 / 60.0, Life { site: 9, ..STUCK }, 900.0));
}

#[test]
fn it_is_fine_again_when_it_has_drained() {
    let mut world = World::new();
    let stuck_until = |world: &World, end: f64| Life { lives: end - world.now, ..STUCK };
    world.run(200.0, |world| {
        if world.live(1) < (world.now * 5.0) as usize {
            let life = stuck_until(world, 210.0);
            world.go(life);
        }
    });
    assert_eq!(world.leaks().first().map(|leak| leak.verdict), Some(Verdict::Confirmed));
    world.run(230.0, |_| ());
    assert!(world.leaks().is_empty(), "{:?}", world.leaks());
}

#[test]
fn a_leak_says_what_speaks_for_it() {
    let mut world = World::new();
    world.run(100.0, |world| {
        if world.live(1) < (world.now * 5.0) as usize {
            world.go(STUCK);
        }
    });
    let leaks = world.leaks();
    let [leak] = &leaks[..] else { panic!("{leaks:?}") };
    assert!((250.0..350.0).contains(&leak.per_minute), "{}", leak.per_minute);
    assert_eq!(leak.stack_bytes, leak.goroutines * 2048);
    assert!(leak.since < leak.confirmed_at.unwrap());
    let rules: Vec<_> = leak.evidence.iter().map(|evidence| evidence.rule).collect();
    assert_eq!(rules, ["growth", "survivors", "stillness", "waiting"]);
    assert!(leak.evidence[1].words.ends_with("0 have ended"), "{:?}", leak.evidence);
}

/// Ten minutes of what is no leak.
fn innocent(mut step: impl FnMut(&mut World)) {
    let mut world = World::new();
    world.run(600.0, |world| {
        honest(world);
        step(world);
    });
    assert_eq!(world.confirmed, []);
}

#[test]
fn a_pool_that_grows_to_its_size() {
    innocent(|world| {
        let wanted = (200.0 * (1.0 - (-world.now / 40.0).exp())) as usize;
        while world.live(1) < wanted {
            world.go(Life { runs_every: 0.3, ..STUCK });
        }
    });
}

#[test]
fn a_pool_whose_workers_have_nothing_to_do_yet() {
    innocent(|world| {
        while world.live(1) < (world.now * 70.0).min(2000.0) as usize {
            world.go(STUCK);
        }
    });
}

#[test]
fn a_burst_that_drains_in_two_minutes() {
    innocent(|world| {
        if (100.0..100.1).contains(&world.now) {
            for _ in 0..5000 {
                let lives = world.chance() * 120.0;
                world.go(Life { lives, ..STUCK });
            }
        }
    });
}

#[test]
fn connections_that_come_and_go_in_waves() {
    innocent(|world| {
        let growing = world.now % 360.0 < 180.0;
        if growing && world.live(1) < 2000 {
            let lives = 180.0 + world.chance() * 120.0;
            world.go(Life { waits: "IO wait", lives, ..STUCK });
        }
    });
}

#[test]
fn subscribers_that_stay_for_minutes() {
    innocent(|world| {
        if world.chance() < 0.5 {
            let lives = world.about(300.0);
            world.go(Life { waits: "select", lives, ..STUCK });
        }
    });
}

#[test]
fn thousands_of_sleepers() {
    innocent(|world| {
        if world.live(1) < 5000 {
            for _ in 0..5 {
                world.go(Life { waits: "sleep", runs_every: 60.0, ..STUCK });
            }
        }
    });
}

#[test]
fn a_cache_that_warms_up() {
    innocent(|world| {
        let wanted = (800.0 * (1.0 - (-world.now / 60.0).exp())) as usize;
        while world.live(1) < wanted {
            world.go(Life { runs_every: 4.0, ..STUCK });
        }
    });
}

#[test]
fn a_pipeline_under_back_pressure() {
    innocent(|world| {
        while world.live(1) < 50 {
            let lives = world.about(3.0);
            world.go(Life { lives, ..STUCK });
        }
    });
}

#[test]
fn jobs_that_fan_out_each_minute() {
    innocent(|world| {
        if world.now % 60.0 < 0.1 {
            for _ in 0..500 {
                let lives = 3.0 + world.chance() * 20.0;
                world.go(Life { lives, ..STUCK });
            }
        }
    });
}

#[test]
fn retries_that_back_off() {
    innocent(|world| {
        if world.live(1) < 300 {
            let lives = world.about(40.0);
            world.go(Life { waits: "sleep", lives, runs_every: 8.0, ..STUCK });
        }
    });
}

#[test]
fn coroutines() {
    innocent(|world| {
        if world.chance() < 0.5 {
            world.go(Life { waits: "coroutine", ..STUCK });
        }
    });
}

#[test]
fn churn() {
    innocent(|world| {
        for _ in 0..100 {
            let lives = world.about(0.05);
            world.go(Life { lives, ..STUCK });
        }
    });
}
