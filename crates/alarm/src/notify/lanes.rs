//! Lanes: messages, in their parcels, that were taken and wait for their turn at one host or service. A host that answers quickly may have
//! many that wait for it; one that fails or is slow has few, so that it takes nobody's place.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::{Address, Parcel};

/// As many parcels may wait for a host that answers quickly.
const QUICK_QUEUE: usize = 256;
/// An answer is quick below this.
const QUICK: Duration = Duration::from_secs(1);
/// First pause of messages that find no place at their host; doubled with each failure of it.
const FIRST_REST: Duration = Duration::from_secs(2);
/// Longest such pause.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// A parcel that was taken.
#[derive(Clone)]
pub(super) struct Taken {
    pub(super) parcel: Parcel,
    pub(super) address: Address,
    /// Until when it is ours, by the monotonic clock.
    pub(super) until_ns: u64,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Taken>,
    running: usize,
    failures: u32,
    slow: bool,
}

/// All lanes in which something waits or runs.
pub(super) struct Lanes {
    lanes: HashMap<String, Lane>,
    per_lane: usize,
}

impl Lane {
    fn room(&self, per_lane: usize) -> usize {
        if self.failures > 0 || self.slow { per_lane } else { QUICK_QUEUE }
    }

    fn rest(&self) -> Duration {
        FIRST_REST.saturating_mul(1 << self.failures.min(5)).min(LONGEST_REST)
    }
}

impl Lanes {
    /// Lanes with `per_lane` parcels on their way at a time.
    pub(super) fn new(per_lane: usize) -> Self {
        Self { lanes: HashMap::new(), per_lane }
    }

    /// Has a parcel wait for its turn; where there is no place it comes back, and for how long it should rest.
    pub(super) fn push(&mut self, taken: Taken) -> Option<(Parcel, Duration)> {
        let lane = self.lanes.entry(taken.address.lane()).or_default();
        if lane.waiting.len() >= lane.room(self.per_lane) {
            return Some((taken.parcel, lane.rest()));
        }
        lane.waiting.push_back(taken);
        None
    }

    /// Up to `limit` parcels whose turn it is, from each lane in turn, with their lanes.
    pub(super) fn start(&mut self, limit: usize) -> Vec<(String, Taken)> {
        let mut started = Vec::new();
        loop {
            let before = started.len();
            for (name, lane) in &mut self.lanes {
                if started.len() == limit {
                    return started;
                }
                if lane.running < self.per_lane
                    && let Some(taken) = lane.waiting.pop_front()
                {
                    lane.running += 1;
                    started.push((name.clone(), taken));
                }
            }
            if started.len() == before {
                return started;
            }
        }
    }

    /// A parcel is no longer on its way, after an attempt that failed or not and took so long, or after none; parcels
    /// that have no place in the lane any more, and for how long they go back.
    pub(super) fn finish(
        &mut self,
        name: &str,
        attempt: Option<(bool, Duration)>,
    ) -> Vec<(Parcel, Duration)> {
        let Some(lane) = self.lanes.get_mut(name) else { return Vec::new() };
        lane.running = lane.running.saturating_sub(1);
        if let Some((failed, took)) = attempt {
            lane.failures = if failed { lane.failures.saturating_add(1) } else { 0 };
            lane.slow = took > QUICK;
        }
        let (room, rest) = (lane.room(self.per_lane).min(lane.waiting.len()), lane.rest());
        let back = lane.waiting.split_off(room).into_iter().map(|taken| (taken.parcel, rest)).collect();
        if lane.waiting.is_empty() && lane.running == 0 {
            self.lanes.remove(name);
        }
        back
    }

    /// How many messages wait.
    pub(super) fn waiting(&self) -> usize {
        self.lanes.values().flat_map(|lane| &lane.waiting).map(|taken| taken.parcel.size()).sum()
    }

    /// Everything that waits.
    pub(super) fn clear(&mut self) -> Vec<Parcel> {
        let waiting = self.lanes.values_mut().flat_map(|lane| lane.waiting.drain(..));
        let waiting = waiting.map(|taken| taken.parcel).collect();
        self.lanes.retain(|_, lane| lane.running > 0);
        waiting
    }
}

#[cfg(test)]
mod tests {
    use nephometer_drivers::{Delivery, NewDelivery};
    use nephometer_model::{AlarmId, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn taken(id: u128, action: &str) -> Taken {
        let message = NewDelivery {
            id: Uuid::from_u128(id),
            alarm_id: AlarmId(id.to_string()),
            project_id: None,
            action: action.to_owned(),
            payload: String::new(),
            not_before: Timestamp::default(),
            group: None,
        };
        let delivery = Delivery { message, created_at: Timestamp::default(), attempts: 0, last_error: None };
        let parcel = Parcel::one(delivery);
        Taken { parcel, address: Address::parse(action).ok().unwrap(), until_ns: 0 }
    }

    fn fill(lanes: &mut Lanes, count: u128, action: &str) -> usize {
        (0..count).filter(|id| lanes.push(taken(*id, action)).is_none()).count()
    }

    #[test]
    fn a_host_has_so_many_at_a_time() {
        let mut lanes = Lanes::new(2);
        assert_eq!(fill(&mut lanes, 5, "http://a/1"), 5);
        assert_eq!(fill(&mut lanes, 1, "http://b/1"), 1);
        let started = lanes.start(10);
        let of = |host: &str| started.iter().filter(|(lane, _)| lane.contains(host)).count();
        assert_eq!((of("//a:80"), of("//b:80")), (2, 1));
        assert!(lanes.start(10).is_empty());
        assert!(lanes.finish("http://a:80", Some((false, Duration::ZERO))).is_empty());
        let next = lanes.start(10);
        assert_eq!(next[0].1.parcel.first().message.id, Uuid::from_u128(2), "in their order");
        assert_eq!(lanes.waiting(), 2);
        assert_eq!(lanes.clear().len(), 2);
    }

    #[test]
    fn who_fails_gets_less_room_and_longer_rests() {
        let mut lanes = Lanes::new(4);
        assert_eq!(fill(&mut lanes, 300, "http://a"), QUICK_QUEUE);
        assert_eq!(lanes.start(10).len(), 4);
        let back = lanes.finish("http://a:80", Some((true, Duration::ZERO)));
        assert_eq!(back.len(), QUICK_QUEUE - 8);
        assert_eq!(back[0].1, Duration::from_secs(4));
        let (_, rest) = lanes.push(taken(999, "http://a")).unwrap();
        assert_eq!(rest, Duration::from_secs(4));
        (0..9).for_each(|_| drop(lanes.finish("http://a:80", Some((true, Duration::ZERO)))));
        let (_, rest) = lanes.push(taken(999, "http://a")).unwrap();
        assert_eq!(rest, LONGEST_REST);
        assert!(lanes.finish("http://a:80", Some((false, Duration::ZERO))).is_empty());
        assert!(lanes.push(taken(999, "http://a")).is_none());
    }
}
