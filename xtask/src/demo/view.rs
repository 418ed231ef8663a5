//! The block of text that the demo shows.

use std::fmt::Write as _;

use super::observe::Observation;

/// Most creation sites shown.
const SITES: usize = 8;

/// All that was seen, as lines.
pub(super) fn block(title: &str, address: &str, seen: &Observation) -> String {
    let mut text = format!("{title}\nscrape it meanwhile: {address}\n\n");
    let Observation { born, died, live, growth, .. } = seen;
    // Writing to a string does not fail.
    let _ = writeln!(text, "goroutines: {born} born, {died} died, {live} live ({growth:+.1}/s)\n");
    let _ =
        writeln!(text, "{:>8} {:>10} {:>9} {:>9}  created at", "live", "growth/s", "born", "died");
    for (site, growth) in seen.sites.iter().take(SITES) {
        let _ = writeln!(
            text,
            "{:>8} {:>+10.1} {:>9} {:>9}  {} {} → {}",
            site.live,
            growth,
            site.created,
            site.exited,
            site.created_by(),
            site.location(),
            site.start()
        );
    }
    let delay = seen.delay;
    let _ = write!(
        text,
        "\nthreads waited for a CPU {} times: half up to {}, 99 % up to {}, mean {}\n\
         threads were switched {} times of themselves, {} times preempted\n",
        delay.waits,
        duration(delay.p50),
        duration(delay.p99),
        duration(delay.mean),
        seen.voluntary,
        seen.preempted
    );
    text
}

/// Seconds, in the unit that suits.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s.is_infinite() => "more than 16 s".to_owned(),
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.1} ms", s * 1e3),
        s => format!("{:.1} µs", s * 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_suits() {
        assert_eq!(duration(1.5), "1.50 s");
        assert_eq!(duration(0.0123), "12.3 ms");
        assert_eq!(duration(0.000_004_2), "4.2 µs");
    }
}
