//! Words that are one slip apart: a letter too many, too few, another one, or two that changed places.
//! The same that the index finds with an automaton.

/// Whether `other` is `word` but for one slip at most.
pub(super) fn is_near(word: &str, other: &str) -> bool {
    let (word, other) = behind_what_is_common(word, other);
    let common = word.iter().rev().zip(other.iter().rev()).take_while(|(one, other)| one == other).count();
    match (&word[..word.len() - common], &other[..other.len() - common]) {
        ([], [] | [_]) | ([_], [] | [_]) => true,
        ([a, b], [c, d]) => a == d && b == c,
        _ => false,
    }
}

/// Whether `other` begins with `word`, but for one slip at most.
pub(super) fn begins_near(word: &str, other: &str) -> bool {
    let (word, other) = behind_what_is_common(word, other);
    let is_swapped = || match (&word[..], &other[..]) {
        ([a, b, word @ ..], [c, d, other @ ..]) => a == d && b == c && other.starts_with(word),
        _ => false,
    };
    match (&word[..], &other[..]) {
        ([] | [_], _) => true,
        (_, []) => false,
        ([_, rest @ ..], [_, behind @ ..]) => {
            behind.starts_with(rest) || other.starts_with(rest) || behind.starts_with(&word) || is_swapped()
        }
    }
}

fn behind_what_is_common(word: &str, other: &str) -> (Vec<char>, Vec<char>) {
    let (word, other): (Vec<char>, Vec<char>) = (word.chars().collect(), other.chars().collect());
    let common = word.iter().zip(&other).take_while(|(one, other)| one == other).count();
    (word[common..].to_vec(), other[common..].to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By definition: optimal string alignment.
    fn distance(word: &[char], other: &[char]) -> usize {
        let mut rows = vec![vec![0; other.len() + 1]; word.len() + 1];
        for i in 0..=word.len() {
            for j in 0..=other.len() {
                rows[i][j] = match (i, j) {
                    (0, _) | (_, 0) => i + j,
                    _ => {
                        let other_letter = usize::from(word[i - 1] != other[j - 1]);
                        let edits =
                            [rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + other_letter];
                        let swapped =
                            i > 1 && j > 1 && word[i - 1] == other[j - 2] && word[i - 2] == other[j - 1];
                        let swap = if swapped { rows[i - 2][j - 2] + 1 } else { usize::MAX };
                        edits.into_iter().chain([swap]).min().unwrap()
                    }
                };
            }
        }
        rows[word.len()][other.len()]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn near_is_a_distance_of_one_at_most(word in "[ab é]{0,6}", other in "[ab é]{0,7}") {
            let (a, b): (Vec<char>, Vec<char>) = (word.chars().collect(), other.chars().collect());
            prop_assert_eq!(is_near(&word, &other), distance(&a, &b) <= 1);
            let begins = (0..=b.len()).any(|end| distance(&a, &b[..end]) <= 1);
            prop_assert_eq!(begins_near(&word, &other), begins);
        }
    }
}
