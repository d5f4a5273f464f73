//! Vector forms against `dynasmrt`, every arrangement of each.

use super::super::{Arr, Size, w, x};
use super::{V, agree, each};
use dynasmrt::{DynasmApi, dynasm};

macro_rules! same3 {
    (($ours:ident $theirs:ident) $arr:ident $suffix:ident) => {
        agree(concat!(stringify!($ours), " ", stringify!($arr)), |r, a, ops| {
            let (d, n, m) = (r.register(), r.register(), r.register());
            a.$ours(Arr::$arr, V(d), V(n), V(m));
            dynasm!(ops ; .arch aarch64 ; $theirs V(d).$suffix, V(n).$suffix, V(m).$suffix);
        });
    };
}

macro_rules! same2 {
    (($ours:ident $theirs:ident) $arr:ident $suffix:ident) => {
        agree(concat!(stringify!($ours), " ", stringify!($arr)), |r, a, ops| {
            let (d, n) = (r.register(), r.register());
            a.$ours(Arr::$arr, V(d), V(n));
            dynasm!(ops ; .arch aarch64 ; $theirs V(d).$suffix, V(n).$suffix);
        });
    };
}

macro_rules! with_zero {
    (($ours:ident $theirs:ident $zero:literal) $arr:ident $suffix:ident) => {
        agree(concat!(stringify!($ours), " ", stringify!($arr)), |r, a, ops| {
            let (d, n) = (r.register(), r.register());
            a.$ours(Arr::$arr, V(d), V(n));
            dynasm!(ops ; .arch aarch64 ; $theirs V(d).$suffix, V(n).$suffix, $zero);
        });
    };
}

macro_rules! shift {
    (($ours:ident $theirs:ident $first:literal) $arr:ident $suffix:ident) => {
        agree(concat!(stringify!($ours), " ", stringify!($arr)), |r, a, ops| {
            let (d, n, shift) = (r.register(), r.register(), $first + r.below(Arr::$arr.size().bits()));
            a.$ours(Arr::$arr, V(d), V(n), shift);
            dynasm!(ops ; .arch aarch64 ; $theirs V(d).$suffix, V(n).$suffix, shift);
        });
    };
}

/// One line per form: method, `dynasmrt` mnemonic, set of arrangements.
macro_rules! table {
    ($with:ident: $($set:ident { $($ours:ident $theirs:ident $($more:literal)?),* })*) => {
        $($(each!($set $with ($ours $theirs $($more)?));)*)*
    };
}

#[test]
fn integer_three_same() {
    table! { same3:
        BHSD { vadd add, vsub sub, vaddp addp, cmeq cmeq, cmgt cmgt, cmge cmge, cmhi cmhi, cmhs cmhs, cmtst cmtst, sshl sshl, ushl ushl,
            srshl srshl, urshl urshl, sqshl sqshl, uqshl uqshl, sqrshl sqrshl, uqrshl uqrshl, sqadd sqadd, uqadd uqadd, sqsub sqsub,
            uqsub uqsub, zip1 zip1, zip2 zip2, uzp1 uzp1, uzp2 uzp2, trn1 trn1, trn2 trn2 }
        BHS { vmul mul, vmla mla, vmls mls, smax smax, smin smin, umax umax, umin umin, smaxp smaxp, sminp sminp, umaxp umaxp, uminp uminp,
            shadd shadd, uhadd uhadd, srhadd srhadd, urhadd urhadd, sabd sabd, uabd uabd, saba saba, uaba uaba }
        HS { sqdmulh sqdmulh, sqrdmulh sqrdmulh }
        B { vand and, vbic bic, vorr orr, vorn orn, veor eor, bsl bsl, bit bit, bif bif }
    }
}

#[test]
fn floating_three_same() {
    table! { same3:
        HSD { fadd fadd, fsub fsub, fmul fmul, fmulx fmulx, fdiv fdiv, fmla fmla, fmls fmls, fmax fmax, fmin fmin, fmaxnm fmaxnm, fminnm fminnm,
            fabd fabd, fcmeq fcmeq, fcmge fcmge, fcmgt fcmgt, facge facge, facgt facgt, frecps frecps, frsqrts frsqrts, faddp faddp,
            fmaxp fmaxp, fminp fminp, fmaxnmp fmaxnmp, fminnmp fminnmp }
    }
}

#[test]
fn two_registers() {
    table! { same2:
        BHSD { vneg neg, vabs abs }
        B { vnot mvn, vcnt cnt, rev16 rev16, vmov mov }
        BH { rev32 rev32 }
        BHS { rev64 rev64, vclz clz }
        HSD { fabs fabs, fneg fneg, fsqrt fsqrt, frintn frintn, frintm frintm, frintp frintp, frintz frintz, frinta frinta, frintx frintx,
            frinti frinti, fcvtns fcvtns, fcvtnu fcvtnu, fcvtms fcvtms, fcvtmu fcvtmu, fcvtps fcvtps, fcvtpu fcvtpu, fcvtzs fcvtzs,
            fcvtzu fcvtzu, fcvtas fcvtas, fcvtau fcvtau, scvtf scvtf, ucvtf ucvtf, frecpe frecpe, frsqrte frsqrte }
    }
    table! { with_zero:
        BHSD { cmeq_zero cmeq 0, cmgt_zero cmgt 0, cmge_zero cmge 0, cmle_zero cmle 0, cmlt_zero cmlt 0 }
        HSD { fcmeq_zero fcmeq 0.0, fcmgt_zero fcmgt 0.0, fcmge_zero fcmge 0.0, fcmle_zero fcmle 0.0, fcmlt_zero fcmlt 0.0 }
    }
}

#[test]
fn shifts() {
    table! { shift:
        BHSD { shl shl 0, sli sli 0, sqshl_imm sqshl 0, uqshl_imm uqshl 0, sqshlu_imm sqshlu 0, sshr sshr 1, ushr ushr 1, srshr srshr 1,
            urshr urshr 1, ssra ssra 1, usra usra 1, srsra srsra 1, ursra ursra 1, sri sri 1 }
        HSD { scvtf_fixed scvtf 1, ucvtf_fixed ucvtf 1, fcvtzs_fixed fcvtzs 1, fcvtzu_fixed fcvtzu 1 }
    }
}

/// Calls `$case!` for the half and the full form of each narrow arrangement: arrangement, its suffix, the wide suffix.
macro_rules! narrow_and_wide {
    (B $case:ident $low:tt $high:tt) => { $case!($low B8 b8 h8); $case!($high B16 b16 h8); };
    (HS $case:ident $low:tt $high:tt) => {
        $case!($low H4 h4 s4); $case!($high H8 h8 s4); $case!($low S2 s2 d2); $case!($high S4 s4 d2);
    };
    (BHS $case:ident $low:tt $high:tt) => {
        narrow_and_wide!(B $case $low $high); narrow_and_wide!(HS $case $low $high);
    };
}

macro_rules! long3 {
    (($ours:ident $theirs:ident) $arr:ident $narrow:ident $wide:ident) => {
        agree(concat!(stringify!($ours), " ", stringify!($arr)), |r, a, ops| {
            let (d, n, m) = (r.register(), r.register(), r.register());
            a.$ours(Arr::$arr, V(d), V(n), V(m));
            dynasm!(ops ; .arch aarch64 ; $theirs V(d).$wide, V(n).$narrow, V(m).$narrow);
        });
    };
}

macro_rules! wide3 {
    (($ours:ident $theirs:ident) $arr:ident $narrow:ident $wide:ident) => {
        agree(concat!(stringify!($ours), " ", stringify!($arr)), |r, a, ops| {
            let (d, n, m) = (r.register(), r.register(), r.register());
            a.$ours(Arr::$arr, V(d), V(n), V(m));
            dynasm!(ops ; .arch aarch64 ; $theirs V(d).$wide, V(n).$wide, V(m).$narrow);
        });
    };
}

macro_rules! long2 {
    (($ours:ident $theirs:ident) $arr:ident $narrow:ident $wide:ident) => {
        agree(concat!(stringify!($ours), " ", stringify!($arr)), |r, a, ops| {
            let (d, n) = (r.register(), r.register());
            a.$ours(Arr::$arr, V(d), V(n));
            dynasm!(ops ; .arch aarch64 ; $theirs V(d).$wide, V(n).$narrow);
        });
    };
}

macro_rules! narrow2 {
    (($ours:ident $theirs:ident) $arr:ident $narrow:ident $wide:ident) => {
        agree(concat!(stringify!($ours), " ", stringify!($arr)), |r, a, ops| {
            let (d, n) = (r.register(), r.register());
            a.$ours(Arr::$arr, V(d), V(n));
            dynasm!(ops ; .arch aarch64 ; $theirs V(d).$narrow, V(n).$wide);
        });
    };
}

macro_rules! narrow_shift {
    (($ours:ident $theirs:ident) $arr:ident $narrow:ident $wide:ident) => {
        agree(concat!(stringify!($ours), " ", stringify!($arr)), |r, a, ops| {
            let (d, n, shift) = (r.register(), r.register(), 1 + r.below(Arr::$arr.size().bits()));
            a.$ours(Arr::$arr, V(d), V(n), shift);
            dynasm!(ops ; .arch aarch64 ; $theirs V(d).$narrow, V(n).$wide, shift);
        });
    };
}

macro_rules! long_shift {
    (($ours:ident $theirs:ident) $arr:ident $narrow:ident $wide:ident) => {
        agree(concat!(stringify!($ours), " ", stringify!($arr)), |r, a, ops| {
            let (d, n, shift) = (r.register(), r.register(), r.below(Arr::$arr.size().bits()));
            a.$ours(Arr::$arr, V(d), V(n), shift);
            dynasm!(ops ; .arch aarch64 ; $theirs V(d).$wide, V(n).$narrow, shift);
        });
    };
}

macro_rules! resizing {
    ($case:ident: $($set:ident { $($ours:ident $low:ident $high:ident),* })*) => {
        $($(narrow_and_wide!($set $case ($ours $low) ($ours $high));)*)*
    };
}

#[test]
fn long_and_wide() {
    resizing! { long3:
        BHS { vsmull smull smull2, vumull umull umull2, smlal smlal smlal2, umlal umlal umlal2, smlsl smlsl smlsl2, umlsl umlsl umlsl2,
            saddl saddl saddl2, uaddl uaddl uaddl2, ssubl ssubl ssubl2, usubl usubl usubl2, sabdl sabdl sabdl2, uabdl uabdl uabdl2,
            sabal sabal sabal2, uabal uabal uabal2 }
        HS { sqdmull sqdmull sqdmull2, sqdmlal sqdmlal sqdmlal2 }
    }
    resizing! { wide3: BHS { saddw saddw saddw2, uaddw uaddw uaddw2, ssubw ssubw ssubw2, usubw usubw usubw2 } }
    resizing! { long2:
        BHS { sxtl sxtl sxtl2, uxtl uxtl uxtl2 }
        HS { fcvtl fcvtl fcvtl2 }
    }
    resizing! { long_shift: BHS { sshll sshll sshll2, ushll ushll ushll2 } }
}

#[test]
fn narrowing() {
    resizing! { narrow2:
        BHS { xtn xtn xtn2, sqxtn sqxtn sqxtn2, uqxtn uqxtn uqxtn2, sqxtun sqxtun sqxtun2 }
    }
    resizing! { narrow_shift:
        BHS { shrn shrn shrn2, rshrn rshrn rshrn2, sqshrn sqshrn sqshrn2, sqrshrn sqrshrn sqrshrn2, uqshrn uqshrn uqshrn2,
            uqrshrn uqrshrn uqrshrn2, sqshrun sqshrun sqshrun2, sqrshrun sqrshrun sqrshrun2 }
    }
}

macro_rules! pairwise_long {
    (($ours:ident) $($arr:ident $from:ident $to:ident),*) => {$(
        agree(concat!(stringify!($ours), " ", stringify!($arr)), |r, a, ops| {
            let (d, n) = (r.register(), r.register());
            a.$ours(Arr::$arr, V(d), V(n));
            dynasm!(ops ; .arch aarch64 ; $ours V(d).$to, V(n).$from);
        });
    )*};
    ($($ours:ident)*) => { $(pairwise_long!(($ours) B8 b8 h4, B16 b16 h8, H4 h4 s2, H8 h8 s4, S2 s2 d1, S4 s4 d2);)* };
}

macro_rules! across {
    ($($ours:ident: $($arr:ident $suffix:ident $result:ident)*;)*) => {$($(
        agree(concat!(stringify!($ours), " ", stringify!($arr)), |r, a, ops| {
            let (d, n) = (r.register(), r.register());
            a.$ours(Arr::$arr, V(d), V(n));
            dynasm!(ops ; .arch aarch64 ; $ours $result(d), V(n).$suffix);
        });
    )*)*};
}

#[test]
fn reductions() {
    pairwise_long! { saddlp uaddlp sadalp uadalp }
    across! {
        addv: B8 b8 B B16 b16 B H4 h4 H H8 h8 H S4 s4 S;
        smaxv: B8 b8 B B16 b16 B H4 h4 H H8 h8 H S4 s4 S;
        sminv: B8 b8 B B16 b16 B H4 h4 H H8 h8 H S4 s4 S;
        umaxv: B8 b8 B B16 b16 B H4 h4 H H8 h8 H S4 s4 S;
        uminv: B8 b8 B B16 b16 B H4 h4 H H8 h8 H S4 s4 S;
        saddlv: B8 b8 H B16 b16 H H4 h4 S H8 h8 S S4 s4 D;
        uaddlv: B8 b8 H B16 b16 H H4 h4 S H8 h8 S S4 s4 D;
        fmaxv: H4 h4 H H8 h8 H S4 s4 S;
        fminv: H4 h4 H H8 h8 H S4 s4 S;
        fmaxnmv: H4 h4 H H8 h8 H S4 s4 S;
        fminnmv: H4 h4 H H8 h8 H S4 s4 S;
    }
    agree("addp_d", |r, a, ops| {
        let (d, n) = (r.register(), r.register());
        a.addp_d(V(d), V(n));
        dynasm!(ops ; .arch aarch64 ; addp D(d), V(n).d2);
    });
}

macro_rules! by_element {
    ($($ours:ident $theirs:ident: $($arr:ident $d:ident $n:ident $element:ident $registers:literal $lanes:literal),*;)*) => {$($(
        agree(concat!(stringify!($ours), " ", stringify!($arr)), |r, a, ops| {
            let (d, n, m, lane) = (r.register(), r.register(), r.below($registers) as u8, r.below($lanes));
            a.$ours(Arr::$arr, V(d), V(n), V(m), lane);
            dynasm!(ops ; .arch aarch64 ; $theirs V(d).$d, V(n).$n, V(m).$element[lane]);
        });
    )*)*};
}

#[test]
fn by_element() {
    by_element! {
        fmla_lane fmla: H4 h4 h4 h 16 8, H8 h8 h8 h 16 8, S2 s2 s2 s 32 4, S4 s4 s4 s 32 4, D2 d2 d2 d 32 2;
        fmls_lane fmls: H4 h4 h4 h 16 8, H8 h8 h8 h 16 8, S2 s2 s2 s 32 4, S4 s4 s4 s 32 4, D2 d2 d2 d 32 2;
        fmul_lane fmul: H4 h4 h4 h 16 8, H8 h8 h8 h 16 8, S2 s2 s2 s 32 4, S4 s4 s4 s 32 4, D2 d2 d2 d 32 2;
        fmulx_lane fmulx: H4 h4 h4 h 16 8, H8 h8 h8 h 16 8, S2 s2 s2 s 32 4, S4 s4 s4 s 32 4, D2 d2 d2 d 32 2;
        vmul_lane mul: H4 h4 h4 h 16 8, H8 h8 h8 h 16 8, S2 s2 s2 s 32 4, S4 s4 s4 s 32 4;
        vmla_lane mla: H4 h4 h4 h 16 8, H8 h8 h8 h 16 8, S2 s2 s2 s 32 4, S4 s4 s4 s 32 4;
        vmls_lane mls: H4 h4 h4 h 16 8, H8 h8 h8 h 16 8, S2 s2 s2 s 32 4, S4 s4 s4 s 32 4;
        sqdmulh_lane sqdmulh: H4 h4 h4 h 16 8, H8 h8 h8 h 16 8, S2 s2 s2 s 32 4, S4 s4 s4 s 32 4;
        sqrdmulh_lane sqrdmulh: H4 h4 h4 h 16 8, H8 h8 h8 h 16 8, S2 s2 s2 s 32 4, S4 s4 s4 s 32 4;
        smull_lane smull: H4 s4 h4 h 16 8, S2 d2 s2 s 32 4;
        smull_lane smull2: H8 s4 h8 h 16 8, S4 d2 s4 s 32 4;
        umull_lane umull: H4 s4 h4 h 16 8, S2 d2 s2 s 32 4;
        umull_lane umull2: H8 s4 h8 h 16 8, S4 d2 s4 s 32 4;
        smlal_lane smlal: H4 s4 h4 h 16 8, S2 d2 s2 s 32 4;
        smlal_lane smlal2: H8 s4 h8 h 16 8, S4 d2 s4 s 32 4;
        umlal_lane umlal: H4 s4 h4 h 16 8, S2 d2 s2 s 32 4;
        umlal_lane umlal2: H8 s4 h8 h 16 8, S4 d2 s4 s 32 4;
        smlsl_lane smlsl: H4 s4 h4 h 16 8, S2 d2 s2 s 32 4;
        umlsl_lane umlsl2: H8 s4 h8 h 16 8, S4 d2 s4 s 32 4;
        sqdmull_lane sqdmull: H4 s4 h4 h 16 8, S2 d2 s2 s 32 4;
        sqdmlal_lane sqdmlal2: H8 s4 h8 h 16 8, S4 d2 s4 s 32 4;
        sdot_lane sdot: S2 s2 b8 b4 32 4, S4 s4 b16 b4 32 4;
        udot_lane udot: S2 s2 b8 b4 32 4, S4 s4 b16 b4 32 4;
        fmlal_lane fmlal: S2 s2 h2 h 16 8, S4 s4 h4 h 16 8;
        fmlal2_lane fmlal2: S2 s2 h2 h 16 8, S4 s4 h4 h 16 8;
        fmlsl_lane fmlsl: S2 s2 h2 h 16 8, S4 s4 h4 h 16 8;
        fmlsl2_lane fmlsl2: S2 s2 h2 h 16 8, S4 s4 h4 h 16 8;
    }
}

macro_rules! mixed3 {
    ($($ours:ident: $($arr:ident $d:ident $n:ident),*;)*) => {$($(
        agree(concat!(stringify!($ours), " ", stringify!($arr)), |r, a, ops| {
            let (d, n, m) = (r.register(), r.register(), r.register());
            a.$ours(Arr::$arr, V(d), V(n), V(m));
            dynasm!(ops ; .arch aarch64 ; $ours V(d).$d, V(n).$n, V(m).$n);
        });
    )*)*};
}

#[test]
fn dot_products() {
    mixed3! {
        sdot: S2 s2 b8, S4 s4 b16;
        udot: S2 s2 b8, S4 s4 b16;
        fmlal: S2 s2 h2, S4 s4 h4;
        fmlal2: S2 s2 h2, S4 s4 h4;
        fmlsl: S2 s2 h2, S4 s4 h4;
        fmlsl2: S2 s2 h2, S4 s4 h4;
    }
}

macro_rules! lane_moves {
    ($($size:ident $e:ident $lanes:literal $gpr:ident $g:ident, $($arr:ident $suffix:ident)*;)*) => {$(
        agree(concat!("lanes of ", stringify!($size)), |r, a, ops| {
            let (d, n, to, from) = (r.register(), r.register(), r.below($lanes), r.below($lanes));
            a.ins(Size::$size, V(d), to, $g(n));
            a.ins_lane(Size::$size, V(d), to, V(n), from);
            a.umov(Size::$size, $g(d), V(n), from);
            a.mov_lane_scalar(Size::$size, V(d), V(n), from);
            dynasm!(ops ; .arch aarch64
                ; ins V(d).$e[to], $gpr(n)
                ; ins V(d).$e[to], V(n).$e[from]
                ; umov $gpr(d), V(n).$e[from]
                ; mov $size(d), V(n).$e[from]);
            $(
                a.dup_lane(Arr::$arr, V(d), V(n), from);
                a.dup(Arr::$arr, V(d), $g(n));
                dynasm!(ops ; .arch aarch64 ; dup V(d).$suffix, V(n).$e[from] ; dup V(d).$suffix, $gpr(n));
            )*
        });
    )*};
}

#[test]
fn lanes() {
    lane_moves! {
        B b 16 W w, B8 b8 B16 b16;
        H h 8 W w, H4 h4 H8 h8;
        S s 4 W w, S2 s2 S4 s4;
        D d 2 X x, D2 d2;
    }
    agree("smov", |r, a, ops| {
        let (d, n, b, h, s) = (r.register(), r.register(), r.below(16), r.below(8), r.below(4));
        a.smov(Size::B, w(d), V(n), b);
        a.smov(Size::B, x(d), V(n), b);
        a.smov(Size::H, w(d), V(n), h);
        a.smov(Size::H, x(d), V(n), h);
        a.smov(Size::S, x(d), V(n), s);
        dynasm!(ops ; .arch aarch64 ; smov W(d), V(n).b[b] ; smov X(d), V(n).b[b] ; smov W(d), V(n).h[h]
            ; smov X(d), V(n).h[h] ; smov X(d), V(n).s[s]);
    });
    agree("ext", |r, a, ops| {
        let (d, n, m, half, full) = (r.register(), r.register(), r.register(), r.below(8), r.below(16));
        a.ext(Arr::B8, V(d), V(n), V(m), half);
        a.ext(Arr::B16, V(d), V(n), V(m), full);
        dynasm!(ops ; .arch aarch64 ; ext V(d).b8, V(n).b8, V(m).b8, half ; ext V(d).b16, V(n).b16, V(m).b16, full);
    });
}

macro_rules! tables {
    ($(($ours:ident $theirs:ident $count:tt) $arr:ident $suffix:ident)*) => {$(
        agree(stringify!($ours), |r, a, ops| {
            let (d, n, m) = (r.register(), r.register(), r.register());
            a.$ours(Arr::$arr, V(d), V(n), V(m));
            dynasm!(ops ; .arch aarch64 ; $theirs V(d).$suffix, { V(n).b16 * $count }, V(m).$suffix);
        });
    )*};
}

#[test]
fn table_lookups() {
    tables! {
        (tbl tbl 1) B8 b8 (tbl tbl 1) B16 b16 (tbl_2 tbl 2) B16 b16 (tbl_3 tbl 3) B16 b16 (tbl_4 tbl 4) B8 b8 (tbx tbx 1) B16 b16
    }
}

macro_rules! scalar3 {
    ($($ours:ident $theirs:ident)*) => {$(
        agree(stringify!($ours), |r, a, ops| {
            let (d, n, m) = (r.register(), r.register(), r.register());
            a.$ours(Size::H, V(d), V(n), V(m));
            a.$ours(Size::S, V(d), V(n), V(m));
            a.$ours(Size::D, V(d), V(n), V(m));
            dynasm!(ops ; .arch aarch64 ; $theirs H(d), H(n), H(m) ; $theirs S(d), S(n), S(m) ; $theirs D(d), D(n), D(m));
        });
    )*};
}

macro_rules! scalar2 {
    ($($ours:ident $theirs:ident)*) => {$(
        agree(stringify!($ours), |r, a, ops| {
            let (d, n) = (r.register(), r.register());
            a.$ours(Size::H, V(d), V(n));
            a.$ours(Size::S, V(d), V(n));
            a.$ours(Size::D, V(d), V(n));
            dynasm!(ops ; .arch aarch64 ; $theirs H(d), H(n) ; $theirs S(d), S(n) ; $theirs D(d), D(n));
        });
    )*};
}

macro_rules! scalar4 {
    ($($ours:ident $theirs:ident)*) => {$(
        agree(stringify!($ours), |r, a, ops| {
            let (d, n, m, c) = (r.register(), r.register(), r.register(), r.register());
            a.$ours(Size::H, V(d), V(n), V(m), V(c));
            a.$ours(Size::S, V(d), V(n), V(m), V(c));
            a.$ours(Size::D, V(d), V(n), V(m), V(c));
            dynasm!(ops ; .arch aarch64
                ; $theirs H(d), H(n), H(m), H(c) ; $theirs S(d), S(n), S(m), S(c) ; $theirs D(d), D(n), D(m), D(c));
        });
    )*};
}

#[test]
fn scalar_arithmetic() {
    scalar3! { fmul_s fmul fdiv_s fdiv fadd_s fadd fsub_s fsub fmax_s fmax fmin_s fmin fmaxnm_s fmaxnm fminnm_s fminnm fnmul_s fnmul }
    scalar2! { fmov_s fmov fabs_s fabs fneg_s fneg fsqrt_s fsqrt frintn_s frintn frintp_s frintp frintm_s frintm frintz_s frintz
    frinta_s frinta frintx_s frintx frinti_s frinti }
    scalar4! { fmadd_s fmadd fmsub_s fmsub fnmadd_s fnmadd fnmsub_s fnmsub }
}

macro_rules! scalar_pairs {
    ($($ours:ident $theirs:ident)*) => {$(
        agree(stringify!($ours), |r, a, ops| {
            let (d, n) = (r.register(), r.register());
            a.$ours(Size::H, V(d), V(n));
            a.$ours(Size::S, V(d), V(n));
            a.$ours(Size::D, V(d), V(n));
            dynasm!(ops ; .arch aarch64 ; $theirs H(d), V(n).h2 ; $theirs S(d), V(n).s2 ; $theirs D(d), V(n).d2);
        });
    )*};
}

macro_rules! to_gpr {
    ($($ours:ident $theirs:ident)*) => {$(
        agree(stringify!($ours), |r, a, ops| {
            let (d, n) = (r.register(), r.register());
            a.$ours(Size::S, w(d), V(n));
            a.$ours(Size::S, x(d), V(n));
            a.$ours(Size::D, w(d), V(n));
            a.$ours(Size::H, x(d), V(n));
            dynasm!(ops ; .arch aarch64 ; $theirs W(d), S(n) ; $theirs X(d), S(n) ; $theirs W(d), D(n) ; $theirs X(d), H(n));
        });
    )*};
}

#[test]
fn scalar_conversions() {
    scalar_pairs! { faddp_s faddp fmaxp_s fmaxp fminp_s fminp fmaxnmp_s fmaxnmp fminnmp_s fminnmp }
    to_gpr! { fcvtns_gpr fcvtns fcvtms_gpr fcvtms fcvtps_gpr fcvtps fcvtzs_gpr fcvtzs fcvtas_gpr fcvtas fcvtzu_gpr fcvtzu }
    agree("from general-purpose registers", |r, a, ops| {
        let (d, n) = (r.register(), r.register());
        a.scvtf_gpr(Size::S, V(d), w(n));
        a.scvtf_gpr(Size::D, V(d), x(n));
        a.ucvtf_gpr(Size::S, V(d), x(n));
        a.fmov_from_gpr(Size::S, V(d), w(n));
        a.fmov_from_gpr(Size::D, V(d), x(n));
        a.fmov_to_gpr(Size::S, w(d), V(n));
        a.fmov_to_gpr(Size::D, x(d), V(n));
        dynasm!(ops ; .arch aarch64 ; scvtf S(d), W(n) ; scvtf D(d), X(n) ; ucvtf S(d), X(n)
            ; fmov S(d), W(n) ; fmov D(d), X(n) ; fmov W(d), S(n) ; fmov X(d), D(n));
    });
    agree("between precisions", |r, a, ops| {
        let (d, n) = (r.register(), r.register());
        a.fcvt_s(Size::H, V(d), Size::S, V(n));
        a.fcvt_s(Size::S, V(d), Size::H, V(n));
        a.fcvt_s(Size::D, V(d), Size::S, V(n));
        a.fcvt_s(Size::S, V(d), Size::D, V(n));
        a.fcvt_s(Size::D, V(d), Size::H, V(n));
        a.fcvt_s(Size::H, V(d), Size::D, V(n));
        dynasm!(ops ; .arch aarch64 ; fcvt H(d), S(n) ; fcvt S(d), H(n) ; fcvt D(d), S(n) ; fcvt S(d), D(n)
            ; fcvt D(d), H(n) ; fcvt H(d), D(n));
    });
    agree("comparisons", |r, a, ops| {
        let (n, m) = (r.register(), r.register());
        a.fcmp_s(Size::S, V(n), V(m));
        a.fcmp_s(Size::D, V(n), V(m));
        a.fcmp_zero_s(Size::S, V(n));
        a.fcsel_s(Size::S, V(n), V(m), V(n), super::super::Cond::Gt);
        dynasm!(ops ; .arch aarch64 ; fcmp S(n), S(m) ; fcmp D(n), D(m) ; fcmp S(n), 0.0 ; fcsel S(n), S(m), S(n), gt);
    });
}

#[test]
fn immediates() {
    agree("movi", |r, a, ops| {
        let (d, byte) = (r.register(), r.below(256));
        a.movi(Arr::B16, V(d), byte as u8, 0);
        a.movi(Arr::H4, V(d), byte as u8, 8);
        a.movi(Arr::H8, V(d), byte as u8, 0);
        a.movi(Arr::S2, V(d), byte as u8, 0);
        a.movi(Arr::S4, V(d), byte as u8, 16);
        a.mvni(Arr::S4, V(d), byte as u8, 24);
        a.mvni(Arr::H8, V(d), byte as u8, 8);
        dynasm!(ops ; .arch aarch64 ; movi V(d).b16, byte ; movi V(d).h4, byte, LSL 8 ; movi V(d).h8, byte ; movi V(d).s2, byte
            ; movi V(d).s4, byte, LSL 16 ; mvni V(d).s4, byte, LSL 24 ; mvni V(d).h8, byte, LSL 8);
    });
    agree("fmov", |r, a, ops| {
        let d = r.register();
        let magnitude = f64::from(16 + r.below(16)) / 16.0 * f64::from(r.below(8) as i32 - 3).exp2();
        let value = if r.below(2) == 0 { magnitude } else { -magnitude };
        a.fmov_imm(Arr::S2, V(d), value);
        a.fmov_imm(Arr::S4, V(d), value);
        a.fmov_imm(Arr::D2, V(d), value);
        a.fmov_imm(Arr::H8, V(d), value);
        a.fmov_imm_s(Size::S, V(d), value);
        a.fmov_imm_s(Size::D, V(d), value);
        let value = value as f32;
        dynasm!(ops ; .arch aarch64 ; fmov V(d).s2, value ; fmov V(d).s4, value ; fmov V(d).d2, value ; fmov V(d).h8, value
            ; fmov S(d), value ; fmov D(d), value);
    });
}
