//! Who asked lately: the newest requests in memory, and every one that is not shelved yet.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;

use super::hash::Map;
use super::shelf::runs::Name;
use crate::{LogId, Recorded, Request};

/// Notes that the frame at `offset` was asked for by `request`: frames of one batch follow each other
/// and make one entry. A request without a name is not noted.
pub(crate) fn note(requests: &mut Vec<(Name, Recorded)>, log: LogId, offset: u64, request: &Request) {
    if request.id == [0; 16] {
        return;
    }
    let name = (log, request.id);
    match requests.last_mut() {
        Some((last, recorded)) if *last == name && recorded.last + 1 == offset => recorded.last = offset,
        _ => {
            let fingerprint = request.fingerprint;
            requests.push((name, Recorded { fingerprint, first: offset, last: offset }));
        }
    }
}

/// The newest requests and the batches they made.
#[derive(Debug)]
pub(crate) struct Requests {
    /// With the group that each one stands in.
    found: Map<Name, (u64, Recorded)>,
    /// In commit order, with the group each one stands in.
    order: VecDeque<(u64, Name)>,
    keep: usize,
    max: usize,
    /// Requests of groups up to this one may be missing here.
    missing_to: u64,
}

/// What memory knows of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    Found(Recorded),
    /// Not among the requests behind this group; 0 means that it was never made.
    MissingTo(u64),
}

impl Requests {
    /// Keeps at least `keep`; at most `max` while the shelf is behind. What stands in groups up to
    /// `missing_to` was never seen.
    pub(crate) fn new(keep: usize, max: usize, missing_to: u64) -> Self {
        Self { found: Map::default(), order: VecDeque::new(), keep, max: max.max(keep), missing_to }
    }

    /// Takes in what [`note`] gathered of one group.
    pub(crate) fn add(&mut self, group: u64, requests: &[(Name, Recorded)]) {
        for (name, recorded) in requests {
            self.found.insert(*name, (group, *recorded));
            self.order.push_back((group, *name));
        }
    }

    /// Lets go of what is over the limit and, if possible, already shelved.
    pub(crate) fn evict(&mut self, shelved: u64) {
        while self.order.len() > self.keep
            && let Some((group, key)) = self.order.front().copied()
            && (group <= shelved || self.order.len() > self.max)
        {
            self.order.pop_front();
            // A name that was used again stands further behind.
            if let Entry::Occupied(found) = self.found.entry(key)
                && found.get().0 == group
            {
                found.remove();
            }
            self.missing_to = self.missing_to.max(group);
        }
    }

    /// The requests of the groups behind `after` up to `to`, in commit order.
    pub(crate) fn between(&self, after: u64, to: u64) -> Vec<(Name, Recorded)> {
        let newest_first = self.order.iter().rev().skip_while(|(group, _)| *group > to);
        let wanted = newest_first.take_while(|(group, _)| *group > after);
        let mut found: Vec<_> = wanted.filter_map(|(_, key)| Some((*key, self.found.get(key)?.1))).collect();
        found.reverse();
        found
    }

    /// Says that everything up to `group` may be missing.
    pub(crate) fn set_missing_to(&mut self, group: u64) {
        self.missing_to = group;
    }

    pub(crate) fn get(&self, log: LogId, id: [u8; 16]) -> Lookup {
        match self.found.get(&(log, id)) {
            Some((_, recorded)) => Lookup::Found(*recorded),
            None => Lookup::MissingTo(self.missing_to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(n: u8) -> Request {
        Request { id: [n; 16], fingerprint: [n; 8] }
    }

    #[test]
    fn a_batch_is_one_request_and_zero_is_no_name() {
        let mut noted = Vec::new();
        for offset in 3..=5 {
            note(&mut noted, LogId(1), offset, &request(7));
            note(&mut noted, LogId(1), offset, &request(0));
        }
        let mut requests = Requests::new(10, 10, 0);
        requests.add(1, &noted);
        let recorded = Recorded { fingerprint: [7; 8], first: 3, last: 5 };
        assert_eq!(requests.get(LogId(1), [7; 16]), Lookup::Found(recorded));
        assert_eq!(requests.get(LogId(1), [0; 16]), Lookup::MissingTo(0));
        assert_eq!(requests.between(0, 1), [((LogId(1), [7; 16]), recorded)]);
        assert_eq!(requests.between(1, 9), []);
    }

    #[test]
    fn what_is_not_shelved_stays_up_to_the_maximum() {
        let mut requests = Requests::new(2, 4, 0);
        let add = |requests: &mut Requests, n: u8| {
            let recorded = Recorded { fingerprint: [n; 8], first: u64::from(n), last: u64::from(n) };
            requests.add(u64::from(n), &[((LogId(1), [n; 16]), recorded)]);
        };
        (1..=4).for_each(|n| add(&mut requests, n));
        requests.evict(0);
        assert!(matches!(requests.get(LogId(1), [1; 16]), Lookup::Found(_)));
        requests.evict(1);
        assert_eq!(requests.get(LogId(1), [1; 16]), Lookup::MissingTo(1));
        (5..=6).for_each(|n| add(&mut requests, n));
        requests.evict(1);
        assert_eq!(requests.get(LogId(1), [2; 16]), Lookup::MissingTo(2), "over the maximum");
    }
}
