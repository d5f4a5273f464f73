//! An unstable sort that orders equal elements exactly as libstdc++'s `std::sort` does.
//!
//! PyTorch sorts with `std::sort` unless stability is asked for, and the places it returns for equal elements are
//! visible to programs. The algorithm is introsort: quicksort with the median of three as pivot, heapsort when the
//! recursion gets deep, and insertion sort for what is short.

use crate::algorithms::keys::Keyed;
use crate::algorithms::select::{move_median_to_first, partition};
use crate::algorithms::sort::insertion_sort;

/// Parts up to this length are left to the final insertion sort.
const THRESHOLD: usize = 16;

/// Sorts by key.
pub(crate) fn introsort(items: &mut [Keyed]) {
    if items.len() > 1 {
        quicksort(items, 2 * items.len().ilog2());
        insertion_sort(items);
    }
}

fn quicksort(mut items: &mut [Keyed], mut depth: u32) {
    while items.len() > THRESHOLD {
        if depth == 0 {
            return partial_sort(items, items.len());
        }
        depth -= 1;
        move_median_to_first(items, 0, 1, items.len() / 2, items.len() - 1);
        let cut = partition(items, 0, items.len());
        let (left, right) = items.split_at_mut(cut);
        quicksort(right, depth);
        items = left;
    }
}

/// Moves the k least to the front, as a heap (`std::__heap_select`).
pub(crate) fn heap_select(items: &mut [Keyed], k: usize) {
    for hole in (0..k / 2).rev() {
        let value = items[hole];
        sift(&mut items[..k], hole, value);
    }
    for at in k..items.len() {
        if k > 0 && items[at].key < items[0].key {
            let value = items[at];
            items[at] = items[0];
            sift(&mut items[..k], 0, value);
        }
    }
}

/// Moves the k least to the front in order (`std::partial_sort`).
pub(crate) fn partial_sort(items: &mut [Keyed], k: usize) {
    heap_select(items, k);
    for last in (1..k).rev() {
        let value = items[last];
        items[last] = items[0];
        sift(&mut items[..last], 0, value);
    }
}

/// Fills a hole of a heap: the larger children move up to the bottom, and the value climbs from there.
fn sift(heap: &mut [Keyed], top: usize, value: Keyed) {
    let (len, mut hole) = (heap.len(), top);
    let mut child = hole;
    while child < (len.saturating_sub(1)) / 2 {
        child = 2 * (child + 1);
        if heap[child].key < heap[child - 1].key {
            child -= 1;
        }
        heap[hole] = heap[child];
        hole = child;
    }
    if len % 2 == 0 && len >= 2 && child == (len - 2) / 2 {
        child = 2 * child + 1;
        heap[hole] = heap[child];
        hole = child;
    }
    while hole > top && heap[(hole - 1) / 2].key < value.key {
        heap[hole] = heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    heap[hole] = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(keys: &[u64]) -> Vec<Keyed> {
        let mut items: Vec<Keyed> = (0..).zip(keys).map(|(index, &key)| Keyed { key, index }).collect();
        introsort(&mut items);
        items
    }

    #[test]
    fn sorts_everything() {
        for len in 0..300usize {
            let keys: Vec<u64> = (0..len).map(|i| (i * 7919 % 37) as u64).collect();
            let items = sorted(&keys);
            assert!(items.windows(2).all(|pair| pair[0].key <= pair[1].key));
            assert!(items.iter().all(|item| keys[item.index as usize] == item.key));
        }
    }

    #[test]
    fn the_least_come_in_order() {
        for len in 0..100usize {
            for k in [0, len / 3, len] {
                let mut items: Vec<Keyed> = (0..len).map(|i| Keyed { key: (i * 31 % 17) as u64, index: i as i64 }).collect();
                partial_sort(&mut items, k);
                assert!(items[..k].windows(2).all(|pair| pair[0].key <= pair[1].key));
                assert!(items[..k].iter().all(|least| items[k..].iter().all(|other| least.key <= other.key)));
            }
        }
    }

    /// Recorded from PyTorch 2.15: `torch.sort` of `[i * i % 7 % 3 for i in range(24)]`.
    #[test]
    fn equal_elements_are_in_pytorchs_order() {
        let keys: Vec<u64> = (0..24u64).map(|i| i * i % 7 % 3).collect();
        let places: Vec<i64> = sorted(&keys).iter().map(|item| item.index).collect();
        assert_eq!(places, RECORDED);
    }

    const RECORDED: [i64; 24] = [21, 7, 14, 0, 12, 23, 22, 20, 19, 16, 15, 13, 9, 8, 6, 5, 2, 1, 11, 10, 17, 18, 4, 3];
}
