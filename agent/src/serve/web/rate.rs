//! How many requests are answered in a time: a bucket of tokens, one of which comes back each
//! interval.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The bucket.
#[derive(Debug)]
pub(super) struct Rate {
    interval: Duration,
    burst: f64,
    /// Tokens, and when that was.
    left: Mutex<(f64, Instant)>,
}

impl Rate {
    pub(super) fn new(interval: Duration, burst: u32) -> Self {
        let burst = f64::from(burst);
        Self { interval, burst, left: Mutex::new((burst, Instant::now())) }
    }

    /// Takes a token, if there is one.
    pub(super) fn allows(&self) -> bool {
        let now = Instant::now();
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, then) = *left;
        let came = now.saturating_duration_since(then).as_secs_f64() / self.interval.as_secs_f64();
        let tokens = (tokens + came).min(self.burst);
        let allowed = tokens >= 1.0;
        *left = (if allowed { tokens - 1.0 } else { tokens }, now);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_one_each_interval() {
        let rate = Rate::new(Duration::from_secs(1), 3);
        assert_eq!(
            [rate.allows(), rate.allows(), rate.allows(), rate.allows()],
            [true, true, true, false]
        );
        advance(Duration::from_millis(500)).await;
        assert!(!rate.allows());
        advance(Duration::from_millis(600)).await;
        assert!(rate.allows() && !rate.allows());
        advance(Duration::from_secs(1000)).await;
        let allowed = (0..10).filter(|_| rate.allows()).count();
        assert_eq!(allowed, 3);
    }
}
