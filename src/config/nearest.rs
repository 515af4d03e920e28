//! The known name nearest to a misspelt one.

/// The candidate with the fewest single-character edits from `name`, the first of equals.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates.into_iter().min_by_key(|candidate| distance(name, candidate))
}

/// Levenshtein's distance. `known` is a name of ours, thus short; the work is proportional to both lengths.
fn distance(given: &str, known: &str) -> usize {
    let mut row: Vec<usize> = (0..=known.chars().count()).collect();
    for (above, a) in given.chars().enumerate() {
        // What stood diagonally above the cell that is written next.
        let mut diagonal = above;
        let mut left = above + 1;
        for (at, b) in known.chars().enumerate() {
            let Some(cell) = row.get_mut(at + 1) else { break };
            let best = (diagonal + usize::from(a != b)).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_insertions_deletions_and_replacements() {
        for (given, known, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("hostnme", "hostname", 1),
            ("ab", "ba", 2),
        ] {
            assert_eq!(distance(given, known), edits, "{given} → {known}");
            assert_eq!(distance(known, given), edits, "{known} → {given}");
        }
    }

    #[test]
    fn the_nearest_of_several_is_found() {
        assert_eq!(nearest("lisen", ["hostname", "listen", "version"]), Some("listen"));
        assert_eq!(nearest("anything", []), None);
    }
}
