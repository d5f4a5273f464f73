//! Python's rules for indices and slices, shared by strings, lists and tuples.

use crate::abi::{Context, NO_INDEX};
use crate::error::raise_text;

/// A slice made definite: `count` items from `start`, `step` apart.
pub(crate) struct Slice {
    pub(crate) start: i64,
    pub(crate) step: i64,
    pub(crate) count: i64,
}

/// Clamps one end of a slice to what the direction allows.
fn adjust(end: i64, length: i64, low: i64, high: i64) -> i64 {
    if end >= 0 {
        return end.min(high);
    }
    let from_end = end.saturating_add(length);
    if from_end < 0 { low } else { from_end }
}

/// The slice `start:end:step` of a sequence; absent ends are [`NO_INDEX`]. A step of 0 raises.
pub(crate) unsafe fn resolve(ctx: *mut Context, length: i64, start: i64, end: i64, step: i64) -> Option<Slice> {
    if step == 0 {
        raise_text(ctx, "List slice should have non-zero step");
        return None;
    }
    let step = step.max(-i64::MAX);
    let (low, high) = if step < 0 { (-1, length - 1) } else { (0, length) };
    let first = match (start, step < 0) {
        (NO_INDEX, true) => high,
        (NO_INDEX, false) => 0,
        _ => adjust(start, length, low, high),
    };
    let last = match (end, step < 0) {
        (NO_INDEX, true) => low,
        (NO_INDEX, false) => high,
        _ => adjust(end, length, low, high),
    };
    let count = if step < 0 && last < first {
        (first - last - 1) / -step + 1
    } else if step > 0 && first < last {
        (last - first - 1) / step + 1
    } else {
        0
    };
    Some(Slice { start: first, step, count })
}

/// The place of an index that may count from the end; `None` when it is outside.
pub(crate) fn place(index: i64, length: u64) -> Option<usize> {
    let index = if index < 0 { index.wrapping_add(length as i64) } else { index };
    if index >= 0 && (index as u64) < length { Some(index as usize) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    #[test]
    fn slices_follow_python() {
        let t = TestContext::new();
        let cases = [
            (5, NO_INDEX, NO_INDEX, -1, vec![4, 3, 2, 1, 0]),
            (5, 3, 0, -1, vec![3, 2, 1]),
            (5, -2, NO_INDEX, 1, vec![3, 4]),
            (5, -9, 2, 1, vec![0, 1]),
            (5, 1, 99, 2, vec![1, 3]),
            (5, i64::MIN, i64::MIN, -1, vec![]),
            (3, 9, i64::MIN, -2, vec![2, 0]),
            (0, NO_INDEX, NO_INDEX, 1, vec![]),
            (3, 2, 1, 1, vec![]),
            (4, 0, 4, i64::MAX, vec![0]),
            (4, 3, NO_INDEX, i64::MIN, vec![3]),
        ];
        for (length, start, end, step, expected) in cases {
            let slice = unsafe { resolve(t.ctx(), length, start, end, step) }.unwrap();
            let got: Vec<i64> = (0..slice.count).map(|i| slice.start + i * slice.step).collect();
            assert_eq!(got, expected, "{length}[{start}:{end}:{step}]");
        }
        assert!(unsafe { resolve(t.ctx(), 3, 0, 1, 0) }.is_none());
        assert_eq!(t.take_error().1, "List slice should have non-zero step");
    }
}
