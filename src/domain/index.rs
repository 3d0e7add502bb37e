//! Pairs in order: a one-to-many index in a persistent set.

use imbl::OrdSet;

/// What stands under `key`.
pub(crate) fn under<'a, K, V>(pairs: &'a OrdSet<(K, V)>, key: &'a K) -> impl Iterator<Item = &'a V> + 'a
where
    K: Ord + Clone,
    V: Ord + Clone + From<&'static str> + 'a,
{
    // The empty id is before every other.
    let first = (key.clone(), V::from(""));
    pairs.range(first..).take_while(move |(found, _)| found == key).map(|(_, value)| value)
}
