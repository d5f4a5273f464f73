//! An unstable sort that orders equal elements exactly as libstdc++'s `std::sort` does.
//!
//! PyTorch sorts with `std::sort` unless stability is asked for, and the places it returns for equal elements are
//! visible to programs. The algorithm is introsort: quicksort with the median of three as pivot, heapsort when the
//! recursion gets deep, and insertion sort for what is short.

use crate::algorithms::keys::Keyed;

/// Parts up to this length are left to the final insertion sort.
const THRESHOLD: usize = 16;

/// Sorts by key.
pub(crate) fn introsort(items: &mut [Keyed]) {
    if items.len() > 1 {
        quicksort(items, 2 * items.len().ilog2());
        super::sort::insertion_sort(items);
    }
}

fn quicksort(mut items: &mut [Keyed], mut depth: u32) {
    while items.len() > THRESHOLD {
        if depth == 0 {
            return heapsort(items);
        }
        depth -= 1;
        let cut = partition(items);
        let (left, right) = items.split_at_mut(cut);
        quicksort(right, depth);
        items = left;
    }
}

/// Moves the median of the second, the middle and the last element to the front and partitions the others by it:
/// none before the returned place is larger, none from it on is smaller.
fn partition(items: &mut [Keyed]) -> usize {
    let (middle, last) = (items.len() / 2, items.len() - 1);
    let median = median_of(items, 1, middle, last);
    items.swap(0, median);
    let pivot = items[0].key;
    let (mut low, mut high) = (1, items.len());
    loop {
        while items[low].key < pivot {
            low += 1;
        }
        high -= 1;
        while pivot < items[high].key {
            high -= 1;
        }
        if low >= high {
            return low;
        }
        items.swap(low, high);
        low += 1;
    }
}

/// Which of three places has the median; among equals the one that libstdc++ takes.
fn median_of(items: &[Keyed], a: usize, b: usize, c: usize) -> usize {
    let less = |x: usize, y: usize| items[x].key < items[y].key;
    match (less(a, b), less(b, c), less(a, c)) {
        (true, true, _) | (false, false, false) => b,
        (true, false, true) | (false, true, false) => c,
        (true, false, false) | (false, _, true) => a,
    }
}

fn heapsort(items: &mut [Keyed]) {
    let len = items.len();
    for hole in (0..len / 2).rev() {
        let value = items[hole];
        sift(items, hole, value);
    }
    for last in (1..len).rev() {
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
    fn heapsort_sorts() {
        for len in 0..100usize {
            let mut items: Vec<Keyed> = (0..len).map(|i| Keyed { key: (i * 31 % 17) as u64, index: i as i64 }).collect();
            heapsort(&mut items);
            assert!(items.windows(2).all(|pair| pair[0].key <= pair[1].key));
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
