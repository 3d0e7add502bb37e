//! Fresh ids, from the clock and from randomness.

use std::sync::{Mutex, PoisonError};

use taffrail_domain::Mint;
use ulid::{Generator, Ulid};

/// The real source of ids.
#[derive(Clone, Copy, Debug, Default)]
pub struct FreshIds;

/// Within a millisecond ids count on from a random number: whoever is born later has the greater id, which is
/// what breaks ties in lists (`issues.md` 6.1).
static IN_ORDER: Mutex<Generator> = Mutex::new(Generator::new());

const RANDOM_BITS: u32 = 80;
const TIME_DIGITS: usize = 8;
const RANDOM_DIGITS: usize = 16;

impl Mint for FreshIds {
    /// `c`, the epoch in ms and 80 random bits, both in base 36: ids sort by their time of birth.
    fn cuid(&self) -> String {
        let mut in_order = IN_ORDER.lock().unwrap_or_else(PoisonError::into_inner);
        let id = in_order.generate().unwrap_or_else(|full| full.commit_overflow_increment()).0;
        drop(in_order);
        let mut text = String::with_capacity(1 + TIME_DIGITS + RANDOM_DIGITS);
        text.push('c');
        push_base36(&mut text, id >> RANDOM_BITS, TIME_DIGITS);
        push_base36(&mut text, id & ((1 << RANDOM_BITS) - 1), RANDOM_DIGITS);
        text
    }

    fn hex16(&self) -> String {
        let random = Ulid::generate().0 & u128::from(u64::MAX);
        format!("{random:016x}")
    }
}

/// Appends the last `digits` base 36 digits of `number`, most significant first.
fn push_base36(text: &mut String, number: u128, digits: usize) {
    let mut power = 36_u128.pow(u32::try_from(digits).unwrap_or(0));
    for _ in 0..digits {
        power /= 36;
        let digit = u8::try_from(number / power % 36).unwrap_or(0);
        text.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_entity_id_has_the_shape_that_clients_expect() {
        let ids: BTreeSet<String> = (0..1_000).map(|_| FreshIds.cuid()).collect();
        assert_eq!(ids.len(), 1_000);
        for id in ids {
            assert_eq!(id.len(), 25, "{id}");
            assert!(id.starts_with('c') && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        }
    }

    #[test]
    fn who_is_born_later_has_the_greater_id() {
        let ids: Vec<String> = (0..1_000).map(|_| FreshIds.cuid()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn eighty_random_bits_always_fit_sixteen_digits() {
        let mut text = String::new();
        push_base36(&mut text, (1 << RANDOM_BITS) - 1, RANDOM_DIGITS);
        assert_eq!(u128::from_str_radix(&text, 36).unwrap(), (1 << RANDOM_BITS) - 1);
    }

    #[test]
    fn a_suffix_is_sixteen_lowercase_hex_digits() {
        let id = FreshIds.hex16();
        assert!(id.len() == 16 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
    }
}
