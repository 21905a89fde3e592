//! What is known of addresses, for a bounded number of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::Unanswered;
use crate::domain::{HostName, OrganisationId};

/// What is known of an address.
#[derive(Debug)]
pub(super) struct Answer {
    /// Its name, if it has one and somebody answered.
    pub(super) name: Result<Option<HostName>, Unanswered>,
    /// The moment of the steady clock until which that holds.
    pub(super) until: Duration,
}

/// Who asks about which address; `None` is the service itself. How fast an answer comes tells whether somebody has asked
/// before, and that is nothing for another organisation to know.
pub(super) type Question = (Option<OrganisationId>, IpAddr);

/// A place for the answer to each question. It is empty while somebody asks.
#[derive(Debug)]
pub(super) struct Cache {
    places: Mutex<HashMap<Question, Place>>,
    capacity: usize,
}

/// Who finds it empty fills it; who comes meanwhile waits for that.
pub(super) type Place = Arc<OnceCell<Answer>>;

impl Cache {
    /// A cache of so many answers.
    pub(super) fn new(capacity: usize) -> Self {
        Self { places: Mutex::default(), capacity }
    }

    /// The place for the answer to this question: an empty one, if there is no answer or it holds no longer.
    pub(super) fn place(&self, question: Question, now: Duration) -> Place {
        let mut places = self.places.lock();
        if let Some(known) = places.get(&question).filter(|place| end(place) > now) {
            return known.clone();
        }
        if places.len() >= self.capacity {
            forget_half(&mut places);
        }
        let place = Place::default();
        places.insert(question, place.clone());
        place
    }
}

/// Until when the place is to be kept: an empty one for as long as possible.
fn end(place: &Place) -> Duration {
    place.get().map_or(Duration::MAX, |answer| answer.until)
}

/// Forgets the half that ends first, so that this is seldom done. (Who fills a forgotten place still
/// hears the answer.)
fn forget_half(places: &mut HashMap<Question, Place>) {
    let mut ends: Vec<Duration> = places.values().map(end).collect();
    let middle = ends.len() / 2;
    let median = *ends.select_nth_unstable(middle).1;
    places.retain(|_, place| end(place) > median);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn question(number: u32) -> Question {
        (None, IpAddr::V4(number.into()))
    }

    /// Fills the place of a question with an answer that holds until then.
    fn fill(cache: &Cache, number: u32, until: Duration) {
        cache.place(question(number), Duration::ZERO).set(Answer { name: Ok(None), until }).unwrap();
    }

    fn is_known(cache: &Cache, number: u32, now: Duration) -> bool {
        cache.place(question(number), now).initialized()
    }

    #[test]
    fn an_answer_is_known_until_it_ends() {
        let cache = Cache::new(8);
        fill(&cache, 1, 10 * SECOND);
        assert!(is_known(&cache, 1, 9 * SECOND));
        assert!(!is_known(&cache, 2, 9 * SECOND));
        assert!(!is_known(&cache, 1, 10 * SECOND));
    }

    #[test]
    fn there_is_one_place_for_all_who_ask_at_once() {
        let cache = Cache::new(8);
        assert!(Arc::ptr_eq(&cache.place(question(1), SECOND), &cache.place(question(1), 2 * SECOND)));
    }

    #[test]
    fn a_full_cache_forgets_what_ends_first() {
        let cache = Cache::new(8);
        for number in 1..=1_000 {
            fill(&cache, number, number * SECOND);
            assert!(cache.places.lock().len() <= 8);
        }
        let known = (1..=1_000).filter(|number| cache.places.lock().contains_key(&question(*number)));
        assert_eq!(known.collect::<Vec<_>>(), [996, 997, 998, 999, 1_000]);
    }

    #[test]
    fn a_cache_full_of_questions_stays_bounded() {
        let cache = Cache::new(8);
        for number in 0..100 {
            cache.place(question(number), Duration::ZERO);
        }
        assert!(cache.places.lock().len() <= 8);
    }
}
