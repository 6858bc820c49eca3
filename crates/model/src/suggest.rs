//! The closest known name to one that is not known, for error messages.

/// The candidate closest to `wrong`, if one is close enough to be a likely slip of the fingers.
pub fn closest_name<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (wrong.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (distance(wrong, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_else() {
        let known = ["metric_api.listen", "metric_api.max_limit", "storage.data_dir"];
        assert_eq!(closest_name("metric_api.listne", known), Some("metric_api.listen"));
        assert_eq!(closest_name("metric.max_limit", known), Some("metric_api.max_limit"));
        assert_eq!(closest_name("alarm.evaluation", known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "é"), 1);
    }
}
