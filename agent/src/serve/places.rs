//! Places for connections. Where all are taken, a new connection gets that of one whose client has
//! asked nothing for the longest time: slow or idle clients must not keep the others out.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

/// So long a connection keeps its place without a request: time for a handshake, and to ask.
const GRACE: Duration = Duration::from_millis(250);
/// Time until it is looked again where every place is busy.
const PAUSE: Duration = Duration::from_secs(1);

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    seats: Mutex<Seats>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    taken: HashMap<u64, Seat>,
}

#[derive(Debug)]
struct Seat {
    /// Requests that are being answered.
    busy: u32,
    /// When the last of them came or was answered, or the connection was made.
    since: Instant,
    /// It has to go.
    leaving: bool,
    leave: Arc<Notify>,
}

/// A place; free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    leave: Arc<Notify>,
}

impl Places {
    /// So many.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, seats: Mutex::default(), freed: Notify::new() })
    }

    /// Waits for a place.
    pub(super) async fn take(self: &Arc<Self>) -> Place {
        loop {
            match self.try_take() {
                Ok(place) => return place,
                // A place that is freed before this waits is not missed: it is noted.
                Err(pause) => drop(timeout(pause, self.freed.notified()).await),
            }
        }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, or how long to wait until there may be one.
    fn try_take(self: &Arc<Self>) -> Result<Place, Duration> {
        let now = Instant::now();
        let mut seats = self.seats();
        if seats.taken.len() < self.most {
            let (number, leave) = (seats.next, Arc::new(Notify::new()));
            seats.next = number.wrapping_add(1);
            let seat = Seat { busy: 0, since: now, leaving: false, leave: Arc::clone(&leave) };
            seats.taken.insert(number, seat);
            return Ok(Place { places: Arc::clone(self), number, leave });
        }
        let idle = seats.taken.values_mut().filter(|seat| seat.busy == 0 && !seat.leaving);
        let Some(longest) = idle.min_by_key(|seat| seat.since) else { return Err(PAUSE) };
        let rest = GRACE.saturating_sub(now.saturating_duration_since(longest.since));
        if !rest.is_zero() {
            return Err(rest);
        }
        longest.leaving = true;
        longest.leave.notify_one();
        Err(PAUSE)
    }
}

impl Place {
    /// Waits until the place is needed for another.
    pub(super) async fn needed(&self) {
        self.leave.notified().await;
    }

    /// A request is being answered, until what this gives is dropped.
    pub(super) fn busy(&self) -> Busy<'_> {
        self.note(|seat| seat.busy = seat.busy.saturating_add(1));
        Busy(self)
    }

    fn note(&self, what: impl FnOnce(&mut Seat)) {
        if let Some(seat) = self.places.seats().taken.get_mut(&self.number) {
            what(seat);
            seat.since = Instant::now();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.seats().taken.remove(&self.number);
        self.places.freed.notify_one();
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Busy<'a>(&'a Place);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.note(|seat| seat.busy = seat.busy.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// Whether it has to go within so long.
    async fn has_to_go(place: &Place, within: Duration) -> bool {
        timeout(within, place.needed()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_goes() {
        let places = Places::new(2);
        let (first, second) = (places.take().await, places.take().await);
        advance(GRACE).await;
        // The first has just been answered.
        drop(first.busy());
        let third = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take().await }
        });
        assert!(has_to_go(&second, PAUSE).await);
        drop(second);
        let third = third.await.unwrap();
        assert!(!has_to_go(&first, GRACE).await && !has_to_go(&third, GRACE).await);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_goes_while_busy_or_at_once() {
        let places = Places::new(1);
        let first = places.take().await;
        let busy = first.busy();
        let came = Instant::now();
        let second = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take().await }
        });
        assert!(!has_to_go(&first, Duration::from_secs(60)).await);
        drop(busy);
        first.needed().await;
        assert!(came.elapsed() >= Duration::from_secs(60) + GRACE);
        drop(first);
        second.await.unwrap();
        assert!(places.seats().taken.is_empty());
    }
}
