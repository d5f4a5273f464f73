//! The arena plan: offsets for buffers whose sizes are constant.
//!
//! A buffer lives from the first statement that names it to the last; where a loop names it that began
//! after the buffer did, to the end of that loop. What a parallel loop names lives all the while. Naming a local or a stack slot that holds a buffer's address, such as
//! a table of pointers, is naming the buffer. Buffers are placed one by one, each at the lowest offset where it fits between those already placed
//! that live at the same time: the largest first, or the one with the largest product of size and life, or in the order of their lives. The best of these is improved
//! by placing first what sticks out. Kernels that threads share get as many parts, with scratch memory each, as there is room for.

use crate::lower::BufferId;
use kiln_loops::plan::{Local, Operand, Slot, Split, Stmt};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Alignment of buffers.
const ALIGN: u64 = 64;

/// The buffers of a method.
#[derive(Default)]
pub struct Buffers {
    sizes: Vec<u64>,
    /// Buffers that belong to one value, whose reader may write its result into them.
    reusable: HashSet<BufferId>,
}

impl Buffers {
    /// A new buffer of so many bytes; `reusable` as for [`Buffers::is_reusable`].
    pub fn add(&mut self, bytes: u64, reusable: bool) -> BufferId {
        self.sizes.push(bytes);
        let id = self.sizes.len() as BufferId - 1;
        if reusable {
            self.reusable.insert(id);
        }
        id
    }

    /// The size of a buffer.
    pub fn bytes(&self, buffer: BufferId) -> u64 {
        self.sizes[buffer as usize]
    }

    /// Whether the value in the buffer may be overwritten by the last reader's result.
    pub fn is_reusable(&self, buffer: BufferId) -> bool {
        self.reusable.contains(&buffer)
    }

    /// Keeps a buffer from being overwritten by readers.
    pub fn pin(&mut self, buffer: BufferId) {
        self.reusable.remove(&buffer);
    }
}

#[derive(Clone, Copy)]
struct Life {
    first: usize,
    last: usize,
}

/// Replaces buffer numbers in a method's statements by offsets. Returns the bytes needed; none where they do not fit
/// in 63 bits.
pub fn plan_arena(body: &mut [Stmt], buffers: &Buffers) -> Option<u64> {
    let mut scan = Scan { at: 0, lives: vec![None; buffers.sizes.len()], loops: Vec::new(), holders: HashMap::new() };
    scan.statements(body);
    let mut sizes = buffers.sizes.clone();
    share_room(body, &mut sizes, &scan.lives);
    let (offsets, total) = place(&sizes, &scan.lives)?;
    rewrite(body, &offsets);
    Some(total)
}

/// Parts of a kernel that have scratch memory each, however little room there is.
const FEWEST_PARTS: u32 = 4;

/// Gives kernels that several threads share as many parts, each with scratch memory of its own, as fit into the memory that is needed
/// elsewhere anyway.
fn share_room(body: &mut [Stmt], sizes: &mut [u64], lives: &[Option<Life>]) {
    let mut scratches: Vec<(usize, u64, u32)> = Vec::new();
    for_splits(body, &mut |split, buffer, bytes| {
        sizes[buffer] = bytes * u64::from(split.parts.min(FEWEST_PARTS));
        scratches.push((buffer, bytes, split.parts));
    });
    let used = used(sizes, lives);
    let most = used.iter().copied().max().unwrap_or(0);
    for (buffer, bytes, parts) in scratches {
        let Some(life) = lives[buffer] else { continue };
        let others = used[life.first..=life.last].iter().max().map_or(0, |used| used.saturating_sub(sizes[buffer]));
        let fit = (most.saturating_sub(others) / bytes.max(1)).max(u64::from(FEWEST_PARTS));
        sizes[buffer] = bytes * fit.min(u64::from(parts));
    }
    for_splits(body, &mut |split, buffer, bytes| {
        split.parts = sizes[buffer].checked_div(bytes).map_or(split.parts, |n| n as u32)
    });
}

/// Bytes in use at every statement.
fn used(sizes: &[u64], lives: &[Option<Life>]) -> Vec<u64> {
    let mut used = vec![0u64; lives.iter().flatten().map(|life| life.last + 1).max().unwrap_or(0)];
    for (&size, life) in sizes.iter().zip(lives) {
        let Some(life) = life else { continue };
        used[life.first..=life.last].iter_mut().for_each(|used| *used = used.saturating_add(size));
    }
    used
}

/// Calls `visit` on the divisions of kernels with scratch memory, with its buffer and the bytes of one part.
fn for_splits(body: &mut [Stmt], visit: &mut dyn FnMut(&mut Split, usize, u64)) {
    for stmt in body {
        match stmt {
            Stmt::Kernel { args, split: Some(split), .. } => {
                let scratch = split.scratch.and_then(|(at, bytes)| Some((args.get(at as usize)?, bytes)));
                if let Some((&Operand::Arena(buffer), bytes)) = scratch {
                    visit(split, buffer as usize, bytes.into());
                }
            }
            Stmt::If { then, orelse, .. } => {
                for_splits(then, visit);
                for_splits(orelse, visit);
            }
            Stmt::Loop { body } | Stmt::Parallel { body, .. } => for_splits(body, visit),
            _ => {}
        }
    }
}

struct Scan {
    at: usize,
    lives: Vec<Option<Life>>,
    /// For each enclosing loop: where it began, and what it names.
    loops: Vec<(usize, Vec<usize>)>,
    /// Buffers whose addresses a local or slot may hold.
    holders: HashMap<Holder, BTreeSet<usize>>,
}

/// What holds an address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    Local(Local),
    Slot(Slot),
}

fn holder(operand: Operand) -> Option<Holder> {
    match operand {
        Operand::Local(local) => Some(Holder::Local(local)),
        Operand::Slot(slot, _) => Some(Holder::Slot(slot)),
        _ => None,
    }
}

impl Scan {
    fn statements(&mut self, body: &mut [Stmt]) {
        for stmt in body {
            self.at += 1;
            let mut named = BTreeSet::new();
            for_operands(stmt, &mut |operand| match holder(*operand) {
                Some(holder) => named.extend(self.holders.get(&holder).into_iter().flatten()),
                None => {
                    if let Operand::Arena(buffer) = operand {
                        named.insert(*buffer as usize);
                    }
                }
            });
            let holds = match stmt {
                Stmt::Scalar { dst, .. } => Some(Holder::Local(*dst)),
                Stmt::Store { base, .. } => holder(*base),
                _ => None,
            };
            if let Some(holder) = holds.filter(|_| !named.is_empty()) {
                self.holders.entry(holder).or_default().extend(&named);
            }
            named.into_iter().for_each(|buffer| self.name(buffer));
            match stmt {
                Stmt::If { then, orelse, .. } => {
                    self.statements(then);
                    self.statements(orelse);
                }
                Stmt::Loop { body } => self.enter_loop(body),
                Stmt::Parallel { body, .. } => self.enter_parallel(body),
                _ => {}
            }
        }
    }

    fn name(&mut self, buffer: usize) {
        let at = self.at;
        let life = self.lives[buffer].get_or_insert(Life { first: at, last: at });
        life.last = at;
        if let Some((_, named)) = self.loops.last_mut() {
            named.push(buffer);
        }
    }

    fn enter_loop(&mut self, body: &mut [Stmt]) {
        // What was there before the loop is needed in every iteration.
        self.enter(body, |life, began, ended| {
            if life.first < began {
                life.last = ended;
            }
        });
    }

    fn enter_parallel(&mut self, body: &mut [Stmt]) {
        // One index may be at the end of the body while another begins.
        self.enter(body, |life, began, ended| (life.first, life.last) = (life.first.min(began), ended));
    }

    /// Scans the body of a loop, and stretches the lives of what it names: from where it began, to where it ended.
    fn enter(&mut self, body: &mut [Stmt], stretch: fn(&mut Life, usize, usize)) {
        self.loops.push((self.at, Vec::new()));
        self.statements(body);
        self.at += 1;
        let (began, named) = self.loops.pop().expect("pushed above");
        for &buffer in &named {
            stretch(self.lives[buffer].as_mut().expect("it is named"), began, self.at);
        }
        if let Some((_, outer)) = self.loops.last_mut() {
            outer.extend(named);
        }
    }
}

/// Tries to improve on the order in which buffers are placed, as long as they take no more than so many comparisons of buffers in all.
const ATTEMPTS: usize = 100;
const MOST_COMPARISONS: usize = 20_000_000;

/// Chooses offsets: the best of several orders in which buffers are placed, and of what becomes of them when the buffer that ends last is placed
/// before all others, again and again, until no more is needed than the buffers of some moment take.
fn place(sizes: &[u64], lives: &[Option<Life>]) -> Option<(Vec<u64>, u64)> {
    let alive: Vec<usize> = (0..sizes.len()).filter(|&b| lives[b].is_some()).collect();
    let life = |b: usize| lives[b].expect("filtered");
    let area = |b: usize| u128::from(sizes[b]) * (life(b).last - life(b).first + 1) as u128;
    let by_size = |&b: &usize| (std::cmp::Reverse(u128::from(sizes[b])), b);
    let by_area = |&b: &usize| (std::cmp::Reverse(area(b)), b);
    let ordered = |key: &dyn Fn(&usize) -> (std::cmp::Reverse<u128>, usize)| {
        let mut order = alive.clone();
        order.sort_by_key(key);
        order
    };
    let mut in_time = alive.clone();
    in_time.sort_by_key(|&b| (life(b).first, std::cmp::Reverse(sizes[b]), b));
    let orders = [ordered(&by_size), ordered(&by_area), in_time];
    let plans: Option<Vec<_>> = orders.into_iter().map(|order| Some((place_in(&order, sizes, lives)?, order))).collect();
    let ((mut best, mut total), mut order) = plans?.into_iter().min_by_key(|((_, total), _)| *total)?;
    let least =
        used(&sizes.iter().map(|&size| whole_lines(size)).collect::<Option<Vec<u64>>>()?, lives).into_iter().max().unwrap_or(0);
    let mut offsets = best.clone();
    for _ in 0..ATTEMPTS.min(MOST_COMPARISONS / (order.len() * order.len()).max(1)) {
        if total <= least {
            break;
        }
        let Some(last) = (0..order.len()).max_by_key(|&at| offsets[order[at]] + sizes[order[at]]) else { break };
        order[..=last].rotate_right(1);
        let Some((next, needed)) = place_in(&order, sizes, lives) else { break };
        if needed < total {
            (best, total) = (next.clone(), needed);
        }
        offsets = next;
    }
    Some((best, total))
}

/// The size as it is placed.
fn whole_lines(size: u64) -> Option<u64> {
    Some(size.checked_next_multiple_of(ALIGN).filter(|&s| s < 1 << 62)?.max(ALIGN))
}

/// Offsets for buffers that are placed in this order.
fn place_in(order: &[usize], sizes: &[u64], lives: &[Option<Life>]) -> Option<(Vec<u64>, u64)> {
    let (mut offsets, mut total) = (vec![0; sizes.len()], 0u64);
    // Placed buffers as (offset, end, life), by offset.
    let mut placed: Vec<(u64, u64, Life)> = Vec::new();
    for &buffer in order {
        let life = lives[buffer].expect("filtered");
        let size = whole_lines(sizes[buffer])?;
        let mut offset = 0u64;
        for &(start, end, other) in &placed {
            let overlaps = life.first <= other.last && other.first <= life.last;
            if overlaps && offset + size > start {
                offset = offset.max(end);
            }
        }
        let end = offset.checked_add(size).filter(|&e| e < 1 << 62)?;
        let at = placed.partition_point(|&(start, ..)| start <= offset);
        placed.insert(at, (offset, end, life));
        offsets[buffer] = offset;
        total = total.max(end);
    }
    Some((offsets, total))
}

fn rewrite(body: &mut [Stmt], offsets: &[u64]) {
    for stmt in body {
        for_operands(stmt, &mut |operand| {
            if let Operand::Arena(buffer) = operand {
                *operand = Operand::Arena(offsets[*buffer as usize]);
            }
        });
        match stmt {
            Stmt::If { then, orelse, .. } => {
                rewrite(then, offsets);
                rewrite(orelse, offsets);
            }
            Stmt::Loop { body } | Stmt::Parallel { body, .. } => rewrite(body, offsets),
            _ => {}
        }
    }
}

/// Calls `visit` on the operands of a statement itself, not of statements inside.
fn for_operands(stmt: &mut Stmt, visit: &mut dyn FnMut(&mut Operand)) {
    match stmt {
        Stmt::Scalar { args, .. } | Stmt::Kernel { args, .. } | Stmt::Runtime { args, .. } => args.iter_mut().for_each(visit),
        Stmt::Load { base, .. } => visit(base),
        Stmt::Store { base, value, .. } => {
            visit(base);
            visit(value);
        }
        Stmt::Compute { outputs, inputs, params, .. } => {
            outputs.iter_mut().chain(inputs).chain(params).for_each(visit);
        }
        Stmt::CopyBytes { to, from, bytes } => [to, from, bytes].into_iter().for_each(visit),
        Stmt::ZeroBytes { to, bytes } => [to, bytes].into_iter().for_each(visit),
        Stmt::If { test, .. } => visit(test),
        Stmt::Parallel { count, .. } => visit(count),
        Stmt::Loop { .. } | Stmt::Break | Stmt::Raise { .. } | Stmt::Fail { .. } | Stmt::Return | Stmt::At(_) | Stmt::Mark(_) => {
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(buffer: u64) -> Stmt {
        Stmt::ZeroBytes { to: Operand::Arena(buffer), bytes: Operand::Int(1) }
    }

    fn copy(to: u64, from: u64) -> Stmt {
        Stmt::CopyBytes { to: Operand::Arena(to), from: Operand::Arena(from), bytes: Operand::Int(1) }
    }

    fn offsets(body: &mut [Stmt]) -> Vec<u64> {
        let mut found = Vec::new();
        for stmt in body {
            for_operands(stmt, &mut |o| {
                if let Operand::Arena(offset) = o {
                    found.push(*offset);
                }
            });
        }
        found
    }

    /// Largest first leaves a hole here that another order fills.
    #[test]
    fn the_best_order_is_taken() {
        let life = |first, last| Some(Life { first, last });
        let sizes = [64 * 3, 64 * 2, 64 * 2, 64, 64 * 2];
        let lives = [life(3, 4), life(0, 0), life(2, 4), life(0, 1), life(0, 2)];
        assert_eq!(place_in(&[0, 1, 2, 4, 3], &sizes, &lives).unwrap().1, 64 * 7);
        let (offsets, total) = place(&sizes, &lives).unwrap();
        assert_eq!(total, 64 * 5);
        for (a, b) in (0..5).flat_map(|a| (0..a).map(move |b| (a, b))) {
            let meet = lives[a].unwrap().first <= lives[b].unwrap().last && lives[b].unwrap().first <= lives[a].unwrap().last;
            let apart = offsets[a] + sizes[a] <= offsets[b] || offsets[b] + sizes[b] <= offsets[a];
            assert!(apart || !meet, "{a} and {b} overlap");
        }
    }

    /// All of the first orders leave a hole here; placing what sticks out first leaves none.
    #[test]
    fn orders_are_improved() {
        let life = |first, last| Some(Life { first, last });
        let sizes = [64 * 5, 64 * 4, 64 * 6, 64 * 2, 64 * 5];
        let lives = [life(1, 4), life(3, 4), life(0, 0), life(1, 1), life(0, 3)];
        assert_eq!(used(&sizes, &lives).into_iter().max(), Some(64 * 14));
        assert_eq!(place(&sizes, &lives).unwrap().1, 64 * 14);
    }

    /// A kernel that could have 16 parts has as many as fit into what is needed elsewhere, but some in any case.
    #[test]
    fn scratch_memory_takes_the_room_that_there_is() {
        let parts_beside = |elsewhere: u64| {
            let mut buffers = Buffers::default();
            buffers.add(elsewhere, true);
            buffers.add(64 * 2, true);
            buffers.add(64 * 16, false);
            let split = Some(Split { parts: 16, range: [0, 0], scratch: Some((1, 64)) });
            let args = vec![Operand::Arena(1), Operand::Arena(2)];
            let mut body = vec![touch(0), touch(1), Stmt::Kernel { id: kiln_loops::plan::KernelId(0), args, split }];
            let bytes = plan_arena(&mut body, &buffers).unwrap();
            let Stmt::Kernel { split: Some(split), .. } = body[2] else { panic!("the kernel") };
            (bytes, split.parts)
        };
        assert_eq!(parts_beside(64 * 12), (64 * 12, 10));
        assert_eq!(parts_beside(64 * 100), (64 * 100, 16));
        assert_eq!(parts_beside(64), (64 * 6, 4));
    }

    /// Threads may be at different statements of the body.
    #[test]
    fn what_a_parallel_loop_names_lives_throughout() {
        let mut buffers = Buffers::default();
        for _ in 0..3 {
            buffers.add(64, true);
        }
        let chain = || vec![touch(0), copy(1, 0), copy(2, 1)];
        let mut body = vec![Stmt::Parallel { index: Local(0), count: Operand::Int(2), body: chain() }];
        assert_eq!(plan_arena(&mut chain(), &buffers), Some(128));
        assert_eq!(plan_arena(&mut body, &buffers), Some(192));
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        let mut buffers = Buffers::default();
        for _ in 0..4 {
            buffers.add(100, true);
        }
        let mut body = vec![touch(0), copy(1, 0), copy(2, 1), copy(3, 2)];
        assert_eq!(plan_arena(&mut body, &buffers), Some(256));
        assert_eq!(offsets(&mut body), [0, 128, 0, 0, 128, 128, 0]);
    }

    #[test]
    fn a_table_keeps_its_buffers_alive() {
        let mut buffers = Buffers::default();
        for _ in 0..2 {
            buffers.add(64, true);
        }
        let table = Operand::Slot(Slot(0), 0);
        let store = Stmt::Store { base: table, offset: 0, value: Operand::Arena(0), access: kiln_loops::plan::Access::Word };
        let call = Stmt::Kernel { id: kiln_loops::plan::KernelId(0), args: vec![table, Operand::Arena(1)], split: None };
        assert_eq!(plan_arena(&mut [touch(0), store, call], &buffers), Some(128));
    }

    #[test]
    fn what_a_loop_reads_lives_until_its_end() {
        let mut buffers = Buffers::default();
        for _ in 0..2 {
            buffers.add(64, true);
        }
        let mut body = vec![touch(0), Stmt::Loop { body: vec![touch(0), touch(1), Stmt::Break] }];
        assert_eq!(plan_arena(&mut body, &buffers), Some(128));
        let mut after = vec![touch(0), Stmt::Loop { body: vec![Stmt::Break] }, touch(1)];
        assert_eq!(plan_arena(&mut after, &buffers), Some(64));
    }
}
