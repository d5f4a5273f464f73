//! Near names for unknown ones.

/// The candidates nearest to `name` by edit distance, at most three, nearest first.
pub fn near<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let limit = (name.len() / 3).clamp(1, 3);
    let mut found: Vec<(usize, &str)> = candidates
        .filter(|c| c.len().abs_diff(name.len()) <= limit)
        .map(|c| (distance(name, c), c))
        .filter(|(d, _)| *d <= limit)
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(3).map(|(_, c)| c).collect()
}

/// The help of an error about an unknown name, where a candidate is near: "did you mean `softmax`?".
pub fn did_you_mean<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let near = near(name, candidates).join("`, `");
    (!near.is_empty()).then(|| format!("did you mean `{near}`?"))
}

/// Levenshtein's distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let b = b.as_bytes();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_misspelt_names() {
        assert_eq!(near("sotfmax", ["softmax", "softmin", "max"].into_iter()), ["softmax"]);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert!(near("a", ["xyz"].into_iter()).is_empty());
        assert_eq!(did_you_mean("wieght", ["weight", "bias"].into_iter()).as_deref(), Some("did you mean `weight`?"));
        assert_eq!(did_you_mean("a", ["xyz"].into_iter()), None);
    }
}
