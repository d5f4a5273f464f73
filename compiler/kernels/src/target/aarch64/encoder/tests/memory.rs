//! Loads and stores against `dynasmrt`.

use super::super::{Arr, Mem, SP, Size, w, x};
use super::{V, agree};
use dynasmrt::{DynasmApi, dynasm};

/// Every addressing mode of a single-register access; `u` names the unscaled form.
macro_rules! modes {
    ($($ours:ident($($size:expr)?, $register:expr) $theirs:ident $unscaled:ident $file:ident $log2:literal;)*) => {$(
        agree(concat!(stringify!($ours), " ", stringify!($file)), |r, a, ops| {
            let (t, n, m) = (r.register(), r.below(31) as u8, r.register());
            let (scaled, near) = (r.offset(0, 4095 << $log2, 1 << $log2), r.offset(-256, -1, 1));
            let register = $register;
            a.$ours($($size,)? register(t), Mem::Offset(x(n), scaled));
            a.$ours($($size,)? register(t), Mem::Offset(SP, 0));
            a.$ours($($size,)? register(t), Mem::Offset(x(n), near));
            a.$ours($($size,)? register(t), Mem::Index(x(n), x(m), 0));
            let scale = $log2;
            let unsigned = scaled as u32;
            dynasm!(ops ; .arch aarch64 ; $theirs $file(t), [X(n), unsigned] ; $theirs $file(t), [sp]
                ; $unscaled $file(t), [X(n), near] ; $theirs $file(t), [X(n), X(m)]);
            if scale > 0 {
                a.$ours($($size,)? register(t), Mem::Index(x(n), x(m), scale));
                let scale = u32::from(scale as u8);
                dynasm!(ops ; .arch aarch64 ; $theirs $file(t), [X(n), X(m), LSL scale]);
            }
        });
    )*};
}

macro_rules! writeback {
    ($($ours:ident($($size:expr)?, $register:expr) $theirs:ident $file:ident;)*) => {$(
        agree(concat!(stringify!($ours), " ", stringify!($file)), |r, a, ops| {
            let (t, n, offset) = (r.below(15) as u8, 16 + r.below(15) as u8, r.offset(-256, 255, 1));
            let register = $register;
            a.$ours($($size,)? register(t), Mem::Pre(x(n), offset));
            a.$ours($($size,)? register(t), Mem::Post(x(n), offset));
            dynasm!(ops ; .arch aarch64 ; $theirs $file(t), [X(n), offset]! ; $theirs $file(t), [X(n)], offset);
        });
    )*};
}

#[test]
fn single_registers() {
    modes! {
        ldr(, x) ldr ldur X 3;
        ldr(, w) ldr ldur W 2;
        str(, x) str stur X 3;
        str(, w) str stur W 2;
        ldrh(, w) ldrh ldurh W 1;
        strh(, w) strh sturh W 1;
        ldrsh(, w) ldrsh ldursh W 1;
        ldrsh(, x) ldrsh ldursh X 1;
        ldrsw(, x) ldrsw ldursw X 2;
        ldr_v(Size::H, V) ldr ldur H 1;
        ldr_v(Size::S, V) ldr ldur S 2;
        ldr_v(Size::D, V) ldr ldur D 3;
        ldr_v(Size::Q, V) ldr ldur Q 4;
        str_v(Size::H, V) str stur H 1;
        str_v(Size::S, V) str stur S 2;
        str_v(Size::D, V) str stur D 3;
        str_v(Size::Q, V) str stur Q 4;
    }
    writeback! {
        ldr(, x) ldr X;
        ldr(, w) ldr W;
        str(, x) str X;
        ldrb(, w) ldrb W;
        strb(, w) strb W;
        ldrh(, w) ldrh W;
        ldrsb(, x) ldrsb X;
        ldrsw(, x) ldrsw X;
        ldr_v(Size::B, V) ldr B;
        ldr_v(Size::H, V) ldr H;
        ldr_v(Size::S, V) ldr S;
        ldr_v(Size::D, V) ldr D;
        ldr_v(Size::Q, V) ldr Q;
        str_v(Size::S, V) str S;
        str_v(Size::Q, V) str Q;
    }
    agree("bytes", |r, a, ops| {
        let (t, n, m, near) = (r.register(), r.below(31) as u8, r.register(), r.offset(-256, -1, 1));
        let offset = r.below(4096);
        let far = offset as i32;
        a.ldrb(w(t), Mem::Offset(x(n), far));
        a.strb(w(t), Mem::Offset(x(n), far));
        a.ldrsb(w(t), Mem::Offset(x(n), far));
        a.ldrsb(x(t), Mem::Offset(x(n), near));
        a.ldrb(w(t), Mem::Index(x(n), x(m), 0));
        a.ldr_v(Size::B, V(t), Mem::Offset(x(n), far));
        a.str_v(Size::B, V(t), Mem::Index(x(n), x(m), 0));
        dynasm!(ops ; .arch aarch64 ; ldrb W(t), [X(n), offset] ; strb W(t), [X(n), offset] ; ldrsb W(t), [X(n), offset]
            ; ldursb X(t), [X(n), near] ; ldrb W(t), [X(n), X(m)] ; ldr B(t), [X(n), offset] ; str B(t), [X(n), X(m)]);
    });
}

macro_rules! pairs {
    ($($ours:ident($($size:expr)?, $register:expr) $theirs:ident $file:ident $log2:literal;)*) => {$(
        agree(concat!(stringify!($ours), " ", stringify!($file)), |r, a, ops| {
            let (t, n, offset) = (r.below(14) as u8, 16 + r.below(15) as u8, r.offset(-(64 << $log2), 63 << $log2, 1 << $log2));
            let (u, register) = (t + 1, $register);
            a.$ours($($size,)? register(t), register(u), Mem::Offset(x(n), offset));
            a.$ours($($size,)? register(t), register(u), Mem::Pre(x(n), offset));
            a.$ours($($size,)? register(t), register(u), Mem::Post(x(n), offset));
            dynasm!(ops ; .arch aarch64 ; $theirs $file(t), $file(u), [X(n), offset] ; $theirs $file(t), $file(u), [X(n), offset]!
                ; $theirs $file(t), $file(u), [X(n)], offset);
        });
    )*};
}

#[test]
fn register_pairs() {
    pairs! {
        ldp(, x) ldp X 3;
        ldp(, w) ldp W 2;
        stp(, x) stp X 3;
        stp(, w) stp W 2;
        ldp_v(Size::S, V) ldp S 2;
        ldp_v(Size::D, V) ldp D 3;
        ldp_v(Size::Q, V) ldp Q 4;
        stp_v(Size::S, V) stp S 2;
        stp_v(Size::D, V) stp D 3;
        stp_v(Size::Q, V) stp Q 4;
    }
}

macro_rules! structures {
    ($($ours:ident $theirs:ident $count:tt: $($arr:ident $suffix:ident $bytes:literal),*;)*) => {$($(
        agree(concat!(stringify!($ours), " ", stringify!($arr)), |r, a, ops| {
            let (t, n, m) = (r.register(), r.below(31) as u8, r.below(31) as u8);
            a.$ours(Arr::$arr, V(t), Mem::Offset(x(n), 0));
            a.$ours(Arr::$arr, V(t), Mem::Post(x(n), $bytes));
            a.$ours(Arr::$arr, V(t), Mem::PostIndex(x(n), x(m)));
            dynasm!(ops ; .arch aarch64 ; $theirs { V(t).$suffix * $count }, [X(n)] ; $theirs { V(t).$suffix * $count }, [X(n)], $bytes
                ; $theirs { V(t).$suffix * $count }, [X(n)], X(m));
        });
    )*)*};
}

#[test]
fn structures() {
    structures! {
        ld1 ld1 1: B8 b8 8, B16 b16 16, H4 h4 8, H8 h8 16, S2 s2 8, S4 s4 16, D1 d1 8, D2 d2 16;
        ld1_2 ld1 2: B16 b16 32, H4 h4 16, S4 s4 32, D1 d1 16, D2 d2 32;
        ld1_3 ld1 3: B16 b16 48, H8 h8 48, S4 s4 48, D2 d2 48;
        ld1_4 ld1 4: B8 b8 32, B16 b16 64, H8 h8 64, S4 s4 64, D2 d2 64;
        ld2 ld2 2: B8 b8 16, B16 b16 32, H8 h8 32, S2 s2 16, S4 s4 32, D2 d2 32;
        ld3 ld3 3: B8 b8 24, B16 b16 48, H8 h8 48, S2 s2 24, S4 s4 48, D2 d2 48;
        ld4 ld4 4: B8 b8 32, B16 b16 64, H8 h8 64, S2 s2 32, S4 s4 64, D2 d2 64;
        st1 st1 1: B8 b8 8, B16 b16 16, H4 h4 8, H8 h8 16, S2 s2 8, S4 s4 16, D1 d1 8, D2 d2 16;
        st1_2 st1 2: B16 b16 32, H4 h4 16, S4 s4 32, D2 d2 32;
        st1_3 st1 3: B16 b16 48, H8 h8 48, S4 s4 48, D2 d2 48;
        st1_4 st1 4: B16 b16 64, H8 h8 64, S4 s4 64, D2 d2 64;
        st2 st2 2: B8 b8 16, H8 h8 32, S4 s4 32, D2 d2 32;
        st3 st3 3: B8 b8 24, H8 h8 48, S4 s4 48, D2 d2 48;
        st4 st4 4: B8 b8 32, H8 h8 64, S4 s4 64, D2 d2 64;
    }
}

macro_rules! lanes {
    ($($size:ident $e:ident $lanes:literal $bytes:literal;)*) => {$(
        agree(concat!("one lane of ", stringify!($size)), |r, a, ops| {
            let (t, n, m, lane) = (r.register(), r.below(31) as u8, r.below(31) as u8, r.below($lanes));
            a.ld1_lane(Size::$size, V(t), lane, Mem::Offset(x(n), 0));
            a.st1_lane(Size::$size, V(t), lane, Mem::Offset(x(n), 0));
            a.ld1_lane(Size::$size, V(t), lane, Mem::Post(x(n), $bytes));
            a.st1_lane(Size::$size, V(t), lane, Mem::PostIndex(x(n), x(m)));
            dynasm!(ops ; .arch aarch64 ; ld1 { V(t).$e * 1 }[lane], [X(n)] ; st1 { V(t).$e * 1 }[lane], [X(n)]
                ; ld1 { V(t).$e * 1 }[lane], [X(n)], $bytes ; st1 { V(t).$e * 1 }[lane], [X(n)], X(m));
        });
    )*};
}

macro_rules! replicate {
    ($($arr:ident $suffix:ident $bytes:literal)*) => {$(
        agree(concat!("ld1r ", stringify!($arr)), |r, a, ops| {
            let (t, n, m) = (r.register(), r.below(31) as u8, r.below(31) as u8);
            a.ld1r(Arr::$arr, V(t), Mem::Offset(x(n), 0));
            a.ld1r(Arr::$arr, V(t), Mem::Post(x(n), $bytes));
            a.ld1r(Arr::$arr, V(t), Mem::PostIndex(x(n), x(m)));
            dynasm!(ops ; .arch aarch64 ; ld1r { V(t).$suffix * 1 }, [X(n)] ; ld1r { V(t).$suffix * 1 }, [X(n)], $bytes
                ; ld1r { V(t).$suffix * 1 }, [X(n)], X(m));
        });
    )*};
}

#[test]
fn one_lane_and_all_lanes() {
    lanes! { B b 16 1; H h 8 2; S s 4 4; D d 2 8; }
    replicate! { B8 b8 1 B16 b16 1 H4 h4 2 H8 h8 2 S2 s2 4 S4 s4 4 D1 d1 8 D2 d2 8 }
}
