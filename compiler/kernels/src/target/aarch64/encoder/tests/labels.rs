//! Labels, fix-ups and the constant pool.

use super::super::{Assembler, Cond, Reason, Size, V, w, x};
use super::word;
use dynasmrt::{DynasmLabelApi, dynasm};

#[test]
fn branches_both_ways() {
    let mut a = Assembler::new();
    let (start, end) = (a.here(), a.label());
    a.b(end);
    a.cbz(x(3), start);
    a.cbnz(w(4), end);
    a.tbz(x(5), 35, start);
    a.tbnz(w(6), 7, end);
    a.b_cond(Cond::Lt, start);
    a.b_cond(Cond::Hi, end);
    a.adr(x(9), start);
    a.adr(x(10), end);
    a.bind(end);
    a.ret();
    let mut ops = super::Dynasm::new(0);
    dynasm!(ops ; .arch aarch64 ; ->start: ; b ->end ; cbz x3, ->start ; cbnz w4, ->end ; tbz x5, 35, ->start ; tbnz w6, 7, ->end
        ; b.lt ->start ; b.hi ->end ; adr x9, ->start ; adr x10, ->end ; ->end: ; ret);
    assert_eq!(word(&a.finish().expect("bound")), word(&ops.finalize().expect("bound")));
}

#[test]
fn literals_are_aligned_and_shared() {
    let mut a = Assembler::new();
    let small = a.literal(&1.5f32.to_le_bytes());
    let wide = a.literal(&[7; 16]);
    assert_eq!(a.literal(&1.5f32.to_le_bytes()), small, "equal constants share a label");
    a.ldr_literal(Size::S, V(1), small);
    a.ldr_literal(Size::Q, V(2), wide);
    a.ldr_literal_gpr(w(3), small);
    let bytes = a.finish().expect("reachable");
    // Three instructions, padding to 16, then the larger constant first.
    assert_eq!(bytes.len(), 16 + 16 + 4);
    assert_eq!(word(&bytes[..12]), word(&[0x1c00_0101u32, 0x9c00_0062, 0x1800_00c3].map(u32::to_le_bytes).concat()));
    assert_eq!(bytes[16..32], [7; 16]);
    assert_eq!(bytes[32..], 1.5f32.to_le_bytes());
}

#[test]
fn labels_out_of_reach_or_unbound_are_errors() {
    let mut a = Assembler::new();
    let far = a.label();
    a.tbz(x(0), 1, far);
    (0..1 << 13).for_each(|_| a.nop());
    a.bind(far);
    assert_eq!(a.finish().map_err(|error| error.reason), Err(Reason::Distance(4 + (4 << 13))));

    let mut a = Assembler::new();
    let never = a.label();
    a.b(never);
    assert_eq!(a.finish().map_err(|error| (error.instruction, error.reason)), Err(("b", Reason::Label)));

    let mut a = Assembler::new();
    let twice = a.here();
    a.bind(twice);
    assert_eq!(a.finish().map_err(|error| error.reason), Err(Reason::Label));
}

#[test]
fn code_put_before_moves_labels_and_fixups() {
    let mut a = Assembler::new();
    let (start, constant) = (a.here(), a.literal(&[1; 8]));
    a.ldr_literal(Size::D, V(0), constant);
    a.nop();
    a.retract();
    a.cbz(x(1), start);
    let mut first = Assembler::new();
    first.nop();
    a.prepend(first);
    let bytes = a.finish().expect("reachable");
    assert_eq!(word(&bytes), "d503201f 5c000060 b4ffffe1 00000000 01010101 01010101 ");
}

#[test]
fn reordered_code_keeps_its_labels() {
    let mut a = Assembler::new();
    let constant = a.literal(&[2; 4]);
    let start = a.offset();
    a.nop();
    a.ldr_literal(Size::S, V(0), constant);
    a.ret();
    assert_eq!(a.words_from(start).len(), 3);
    a.reorder(start, &[1, 2, 0]);
    assert_eq!(word(&a.finish().expect("reachable")), "1c000060 d65f03c0 d503201f 02020202 ");
}
