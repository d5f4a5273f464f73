//! List scheduling of one straight run of instructions for an in-order core.
//!
//! In: the words of a block. Out: their new order. Loads move ahead of their uses as far as the registers allow, and independent sums are interleaved. The
//! model is a dual-issue core like Cortex-A55 (one vector operation, one memory access and up to two integer operations a cycle, two in
//! all); out-of-order cores do not mind. Registers are not renamed. Accesses stay in order with respect to stores, unless they go
//! through the same unchanged register to places that do not overlap.

use super::effects::{Effects, Set, Unit, effects};
use std::cmp::Reverse;

/// Longer blocks are scheduled in pieces, which bounds the time this takes.
const WINDOW: usize = 256;

/// An instruction that waits for others.
struct Node {
    effects: Effects,
    /// Those that must come later, with the cycles in between.
    successors: Vec<(usize, u32)>,
    predecessors: usize,
    /// Longest way in cycles to the end of the block.
    height: u32,
    /// First cycle at which all operands are there.
    ready: u32,
}

/// The order in which to write the words: position by position the present index of each.
pub(super) fn schedule(words: &[u32]) -> Vec<usize> {
    let mut order = Vec::with_capacity(words.len());
    while order.len() < words.len() {
        let start = order.len();
        let run = words[start..].iter().take(WINDOW).map_while(|&word| effects(word)).collect::<Vec<_>>();
        if run.is_empty() {
            order.push(start);
        } else {
            order.extend(schedule_run(&run).into_iter().map(|i| start + i));
        }
    }
    order
}

fn schedule_run(run: &[Effects]) -> Vec<usize> {
    let mut nodes = dependences(run);
    for i in (0..nodes.len()).rev() {
        let below = nodes[i].successors.iter().map(|&(s, latency)| nodes[s].height + latency).max();
        nodes[i].height = below.unwrap_or(nodes[i].effects.latency);
    }
    issue_all(&mut nodes)
}

/// The graph of what must stay in order.
fn dependences(run: &[Effects]) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::with_capacity(run.len());
    for (i, &later) in run.iter().enumerate() {
        let mut predecessors = 0;
        for (j, earlier) in nodes.iter_mut().enumerate() {
            let written_between = |register: u32| run[j + 1..i].iter().any(|e| e.writes >> register & 1 == 1);
            if let Some(latency) = must_follow(&earlier.effects, &later, written_between) {
                earlier.successors.push((i, latency));
                predecessors += 1;
            }
        }
        nodes.push(Node { effects: later, successors: Vec::new(), predecessors, height: 0, ready: 0 });
    }
    nodes
}

/// Whether `later` must stay after `earlier`, and by how many cycles.
fn must_follow(earlier: &Effects, later: &Effects, written_between: impl Fn(u32) -> bool) -> Option<u32> {
    let meets = |a: Set, b: Set| a & b != 0;
    if meets(earlier.writes, later.reads) {
        return Some(earlier.latency);
    }
    if meets(earlier.writes, later.writes) {
        return Some(1);
    }
    if meets(earlier.reads, later.writes) || conflict(earlier, later, written_between) {
        return Some(0);
    }
    None
}

/// Whether two memory accesses may touch the same bytes, one of them writing.
fn conflict(earlier: &Effects, later: &Effects, written_between: impl Fn(u32) -> bool) -> bool {
    let (Some(a), Some(b)) = (earlier.access, later.access) else { return false };
    if !a.is_store && !b.is_store {
        return false;
    }
    match (a.range, b.range) {
        (Some((base, from, length)), Some((other, start, bytes))) if base == other => {
            let is_same_value = earlier.writes >> base & 1 == 0 && !written_between(base);
            let is_apart = from + length <= start || start + bytes <= from;
            !(is_same_value && is_apart)
        }
        _ => true,
    }
}

/// Units of the modelled core.
#[derive(Default)]
struct Core {
    cycle: u32,
    issued: u32,
    vector_free: u32,
    memory_free: u32,
}

impl Core {
    fn can_issue(&self, node: &Node) -> bool {
        let unit_free = match node.effects.unit {
            Unit::Integer => 0,
            Unit::Vector => self.vector_free,
            Unit::Memory => self.memory_free,
        };
        self.issued < 2 && node.ready <= self.cycle && unit_free <= self.cycle
    }

    fn issue(&mut self, node: &Node) {
        self.issued += 1;
        let until = self.cycle + node.effects.busy;
        match node.effects.unit {
            Unit::Integer => {}
            Unit::Vector => self.vector_free = until,
            Unit::Memory => self.memory_free = until,
        }
    }

    fn next_cycle(&mut self) {
        self.cycle += 1;
        self.issued = 0;
    }
}

/// How many instructions the next memory access that waits for this one still waits for. The last readers of a register let it be loaded anew, so
/// those closest to that go first.
fn readers_left(nodes: &[Node], i: usize) -> usize {
    let accesses = nodes[i].successors.iter().filter(|&&(s, _)| nodes[s].effects.unit == Unit::Memory);
    accesses.map(|&(s, _)| nodes[s].predecessors).min().unwrap_or(usize::MAX)
}

/// Issues cycle by cycle, of those that can start the one with the longest way to go; between equals, the one that soonest lets a register be
/// loaded, then the one written first.
fn issue_all(nodes: &mut [Node]) -> Vec<usize> {
    let mut core = Core::default();
    let mut waiting: Vec<usize> = (0..nodes.len()).filter(|&i| nodes[i].predecessors == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while !waiting.is_empty() {
        let candidates = waiting.iter().enumerate().filter(|&(_, &i)| core.can_issue(&nodes[i]));
        let Some((at, &i)) = candidates.max_by_key(|&(_, &i)| (nodes[i].height, Reverse(readers_left(nodes, i)), Reverse(i)))
        else {
            core.next_cycle();
            continue;
        };
        waiting.swap_remove(at);
        core.issue(&nodes[i]);
        order.push(i);
        for (s, latency) in std::mem::take(&mut nodes[i].successors) {
            nodes[s].ready = nodes[s].ready.max(core.cycle + latency);
            nodes[s].predecessors -= 1;
            if nodes[s].predecessors == 0 {
                waiting.push(s);
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::super::super::encoder::{Arr, Assembler, Mem, SP, Size, V, x};
    use super::*;

    /// The order of what `emit` writes.
    fn order(emit: impl FnOnce(&mut Assembler)) -> Vec<usize> {
        let mut a = Assembler::new();
        emit(&mut a);
        schedule(a.words_from(0))
    }

    #[test]
    fn loads_go_ahead_of_independent_work() {
        let order = order(|a| {
            a.fadd(Arr::S4, V(1), V(1), V(2));
            a.fadd(Arr::S4, V(3), V(3), V(2));
            a.ldr_v(Size::Q, V(4), Mem::Offset(x(0), 0));
            a.fadd(Arr::S4, V(5), V(4), V(2));
        });
        assert_eq!(order[0], 2, "{order:?}");
        assert_eq!(order[3], 3, "{order:?}");
    }

    /// A register is not loaded anew before its last reader.
    #[test]
    fn readers_keep_their_operand() {
        let order = order(|a| {
            a.fmla_lane(Arr::S4, V(1), V(4), V(9), 0);
            a.ldr_v(Size::Q, V(4), Mem::Offset(x(0), 0));
            a.fmla_lane(Arr::S4, V(2), V(4), V(9), 1);
        });
        assert_eq!(order, [0, 1, 2]);
    }

    #[test]
    fn stores_keep_their_order_unless_apart() {
        let place = |order: &[usize], of: usize| order.iter().position(|&i| i == of);
        let same = order(|a| {
            a.fsqrt(Arr::S4, V(1), V(1));
            a.str_v(Size::Q, V(1), Mem::Offset(x(0), 16));
            a.ldr_v(Size::Q, V(2), Mem::Offset(x(0), 28));
        });
        assert!(place(&same, 1) < place(&same, 2), "{same:?}");
        let unknown = order(|a| {
            a.fsqrt(Arr::S4, V(1), V(1));
            a.str_v(Size::Q, V(1), Mem::Offset(x(0), 16));
            a.ldr_v(Size::Q, V(2), Mem::Offset(x(1), 0));
        });
        assert!(place(&unknown, 1) < place(&unknown, 2), "{unknown:?}");
        let moved_base = order(|a| {
            a.fsqrt(Arr::S4, V(1), V(1));
            a.str_v(Size::Q, V(1), Mem::Offset(x(0), 16));
            a.add_imm(x(0), x(0), 16);
            a.ldr_v(Size::Q, V(2), Mem::Offset(x(0), 0));
        });
        assert!(place(&moved_base, 1) < place(&moved_base, 3), "{moved_base:?}");
        let apart = order(|a| {
            a.fsqrt(Arr::S4, V(1), V(1));
            a.str_v(Size::Q, V(1), Mem::Offset(SP, 16));
            a.ldr_v(Size::Q, V(2), Mem::Offset(SP, 32));
        });
        assert!(place(&apart, 2) < place(&apart, 1), "{apart:?}");
    }

    #[test]
    fn unknown_instructions_stay() {
        let order = order(|a| {
            a.fadd(Arr::S4, V(1), V(1), V(2));
            a.nop();
            a.ldr_v(Size::Q, V(4), Mem::Offset(x(0), 0));
        });
        assert_eq!(order, [0, 1, 2]);
    }

    /// Effects of one instruction of each class, by the registers named.
    #[test]
    fn effects_name_every_register() {
        let gpr = |n: u32| 1u128 << n;
        let vec = |n: u32| 1u128 << (32 + n);
        let one = |emit: &dyn Fn(&mut Assembler)| {
            let mut a = Assembler::new();
            emit(&mut a);
            let e = effects(a.words_from(0)[0]).expect("known");
            (e.reads, e.writes)
        };
        let cases: Vec<((Set, Set), (Set, Set))> = vec![
            (one(&|a| a.fmla(Arr::S4, V(1), V(2), V(30))), (vec(1) | vec(2) | vec(30), vec(1))),
            (one(&|a| a.fmla(Arr::S4, V(1), V(15), V(30))), (vec(1) | vec(15) | vec(30), vec(1))),
            (one(&|a| a.fadd(Arr::S4, V(1), V(2), V(30))), (vec(2) | vec(30), vec(1))),
            (one(&|a| a.bif(Arr::B16, V(1), V(2), V(3))), (vec(1) | vec(2) | vec(3), vec(1))),
            (one(&|a| a.fmla_lane(Arr::S4, V(1), V(2), V(31), 3)), (vec(1) | vec(2) | vec(31) | vec(15), vec(1))),
            (one(&|a| a.sdot(Arr::S4, V(1), V(2), V(3))), (vec(1) | vec(2) | vec(3), vec(1))),
            (one(&|a| a.fneg(Arr::S4, V(1), V(2))), (vec(1) | vec(2), vec(1))),
            (one(&|a| a.trn2(Arr::D2, V(1), V(2), V(3))), (vec(2) | vec(3), vec(1))),
            (one(&|a| a.dup_lane(Arr::S4, V(1), V(2), 3)), (vec(2), vec(1))),
            (one(&|a| a.sshr(Arr::S4, V(1), V(2), 3)), (vec(1) | vec(2), vec(1))),
            (one(&|a| a.movi(Arr::S4, V(1), 3, 0)), (vec(1), vec(1))),
            (one(&|a| a.ldr_v(Size::Q, V(1), Mem::Index(x(2), x(3), 0))), (gpr(2) | gpr(3), vec(1))),
            (one(&|a| a.ldp_v(Size::Q, V(1), V(2), Mem::Offset(SP, 32))), (gpr(31), vec(1) | vec(2))),
            (one(&|a| a.stp_v(Size::Q, V(1), V(2), Mem::Offset(x(3), 32))), (gpr(3) | vec(1) | vec(2), 0)),
            (one(&|a| a.str(x(1), Mem::Offset(x(2), -8))), (gpr(1) | gpr(2), 0)),
            (one(&|a| a.ldr(x(1), Mem::Offset(SP, 8))), (gpr(31), gpr(1))),
            (one(&|a| a.ld1r(Arr::S4, V(1), Mem::Offset(x(2), 0))), (gpr(2), vec(1))),
            (one(&|a| a.add_imm(x(1), SP, 8)), (gpr(31), gpr(1))),
            (one(&|a| a.cmp_imm(x(1), 8)), (gpr(1), FLAGS)),
            (one(&|a| a.cmp(x(1), x(2))), (gpr(1) | gpr(2), FLAGS)),
            (one(&|a| a.csel(x(1), x(2), x(3), super::super::a64::Cond::Lt)), (gpr(2) | gpr(3) | FLAGS, gpr(1))),
            (one(&|a| a.madd(x(1), x(2), x(3), x(4))), (gpr(2) | gpr(3) | gpr(4), gpr(1))),
            (one(&|a| a.mov(x(1), x(2))), (gpr(2), gpr(1))),
            (one(&|a| a.movk(x(1), 7, 16)), (gpr(1), gpr(1))),
            (one(&|a| a.lsl(x(1), x(2), 16)), (gpr(2), gpr(1))),
        ];
        for (i, (got, want)) in cases.into_iter().enumerate() {
            assert_eq!(got, want, "case {i}");
        }
    }

    const FLAGS: Set = 1 << 64;
}
