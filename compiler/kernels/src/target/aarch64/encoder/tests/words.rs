//! Forms beyond `dynasmrt` against words that `llvm-mc -show-encoding` gives for the text beside them.

use super::super::{Arr, Assembler, Mem, Prefetch, SP, V, x};
use super::word;

/// Compares what each call writes with the expected word.
macro_rules! words {
    ($($expected:literal $method:ident($($arg:expr),*) $text:literal;)*) => {$(
        let mut a = Assembler::new();
        let _ = a.$method($($arg),*);
        let bytes = a.finish().expect($text);
        let expected: u32 = $expected;
        assert_eq!(word(&bytes), format!("{expected:08x} "), $text);
    )*};
}

#[test]
fn assembler_words() {
    words! {
        0x0e83_9c41 usdot(Arr::S2, V(1), V(2), V(3)) "usdot v1.2s, v2.8b, v3.8b";
        0x0e91_9c1f usdot(Arr::S2, V(31), V(0), V(17)) "usdot v31.2s, v0.8b, v17.8b";
        0x0fbf_f841 usdot_lane(Arr::S2, V(1), V(2), V(31), 3) "usdot v1.2s, v2.8b, v31.4b[3]";
        0x0f2c_f2be sudot_lane(Arr::S2, V(30), V(21), V(12), 1) "sudot v30.2s, v21.8b, v12.4b[1]";
        0x2e46_fca4 bfdot(Arr::S2, V(4), V(5), V(6)) "bfdot v4.2s, v5.4h, v6.4h";
        0x0f56_f8a4 bfdot_lane(Arr::S2, V(4), V(5), V(22), 2) "bfdot v4.2s, v5.4h, v22.2h[2]";
        0x4e83_9c41 usdot(Arr::S4, V(1), V(2), V(3)) "usdot v1.4s, v2.16b, v3.16b";
        0x4e91_9c1f usdot(Arr::S4, V(31), V(0), V(17)) "usdot v31.4s, v0.16b, v17.16b";
        0x4fbf_f841 usdot_lane(Arr::S4, V(1), V(2), V(31), 3) "usdot v1.4s, v2.16b, v31.4b[3]";
        0x4f2c_f2be sudot_lane(Arr::S4, V(30), V(21), V(12), 1) "sudot v30.4s, v21.16b, v12.4b[1]";
        0x6e46_fca4 bfdot(Arr::S4, V(4), V(5), V(6)) "bfdot v4.4s, v5.8h, v6.8h";
        0x4f56_f8a4 bfdot_lane(Arr::S4, V(4), V(5), V(22), 2) "bfdot v4.4s, v5.8h, v22.2h[2]";
        0x4e89_a507 smmla(Arr::S4, V(7), V(8), V(9)) "smmla v7.4s, v8.16b, v9.16b";
        0x4e9d_a7df smmla(Arr::S4, V(31), V(30), V(29)) "smmla v31.4s, v30.16b, v29.16b";
        0x6e89_a507 ummla(Arr::S4, V(7), V(8), V(9)) "ummla v7.4s, v8.16b, v9.16b";
        0x6e9d_a7df ummla(Arr::S4, V(31), V(30), V(29)) "ummla v31.4s, v30.16b, v29.16b";
        0x4e89_ad07 usmmla(Arr::S4, V(7), V(8), V(9)) "usmmla v7.4s, v8.16b, v9.16b";
        0x4e9d_afdf usmmla(Arr::S4, V(31), V(30), V(29)) "usmmla v31.4s, v30.16b, v29.16b";
        0x6e4c_ed6a bfmmla(Arr::S4, V(10), V(11), V(12)) "bfmmla v10.4s, v11.8h, v12.8h";
        0x6e5d_efdf bfmmla(Arr::S4, V(31), V(30), V(29)) "bfmmla v31.4s, v30.8h, v29.8h";
        0x2ec3_fc41 bfmlalb(V(1), V(2), V(3)) "bfmlalb v1.4s, v2.8h, v3.8h";
        0x6ec3_fc41 bfmlalt(V(1), V(2), V(3)) "bfmlalt v1.4s, v2.8h, v3.8h";
        0x0fff_f841 bfmlalb_lane(V(1), V(2), V(15), 7) "bfmlalb v1.4s, v2.8h, v15.h[7]";
        0x4fe3_f041 bfmlalt_lane(V(1), V(2), V(3), 2) "bfmlalt v1.4s, v2.8h, v3.h[2]";
        0x0ea1_6841 bfcvtn(Arr::H4, V(1), V(2)) "bfcvtn v1.4h, v2.4s";
        0x4ea1_6841 bfcvtn(Arr::H8, V(1), V(2)) "bfcvtn2 v1.8h, v2.4s";
        0x2e61_6841 fcvtxn(Arr::S2, V(1), V(2)) "fcvtxn v1.2s, v2.2d";
        0x6e61_6841 fcvtxn(Arr::S4, V(1), V(2)) "fcvtxn2 v1.4s, v2.2d";
        0x0e21_6841 fcvtn(Arr::H4, V(1), V(2)) "fcvtn v1.4h, v2.4s";
        0x4e21_6841 fcvtn(Arr::H8, V(1), V(2)) "fcvtn2 v1.8h, v2.4s";
        0x0e61_6841 fcvtn(Arr::S2, V(1), V(2)) "fcvtn v1.2s, v2.2d";
        0x4e61_6841 fcvtn(Arr::S4, V(1), V(2)) "fcvtn2 v1.4s, v2.2d";
        0xf9bf_fc20 prfm(Prefetch::LoadL1Keep, Mem::Offset(x(1), 32760)) "prfm pldl1keep, [x1, #32760]";
        0xf89f_d021 prfm(Prefetch::LoadL1Stream, Mem::Offset(x(1), -3)) "prfum pldl1strm, [x1, #-3]";
        0xf8a2_6822 prfm(Prefetch::LoadL2Keep, Mem::Index(x(1), x(2), 0)) "prfm pldl2keep, [x1, x2]";
        0xf8a2_7bf0 prfm(Prefetch::StoreL1Keep, Mem::Index(SP, x(2), 3)) "prfm pstl1keep, [sp, x2, lsl #3]";
        0x2f05_e4a3 movi(Arr::D1, V(3), 0xa5, 0) "movi d3, #0xff00ff0000ff00ff";
        0x6f05_e4a3 movi(Arr::D2, V(3), 0xa5, 0) "movi v3.2d, #0xff00ff0000ff00ff";
        0xd503_245f bti_c() "bti c";
        0x9100_03e3 mov(x(3), SP) "mov x3, sp";
        0xd108_03ff sub_imm(SP, SP, 512) "sub sp, sp, #512";
        0x4f00_0401 try_splat32(V(1), 0) "movi v1.4s, #0";
        0x4f05_4561 try_splat32(V(1), 0x00ab_0000) "movi v1.4s, #0xab, lsl #16";
        0x6f05_2561 try_splat32(V(1), 0xffff_54ff) "mvni v1.4s, #0xab, lsl #8";
        0x4f05_c561 try_splat32(V(1), 0x0000_abff) "movi v1.4s, #0xab, msl #8";
        0x4f05_d561 try_splat32(V(1), 0x00ab_ffff) "movi v1.4s, #0xab, msl #16";
        0x6f05_d561 try_splat32(V(1), 0xff54_0000) "mvni v1.4s, #0xab, msl #16";
        0x4f04_e401 try_splat32(V(1), 0x8080_8080) "movi v1.16b, #0x80";
        0x4f00_a641 try_splat32(V(1), 0x1200_1200) "movi v1.8h, #0x12, lsl #8";
        0x6f00_8641 try_splat32(V(1), 0xffed_ffed) "mvni v1.8h, #0x12";
        0x4f03_f601 try_splat32(V(1), 1.0f32.to_bits()) "fmov v1.4s, #1.0";
        0x4f05_67e1 try_splat32(V(1), (-0.5f32).to_bits()) "movi v1.4s, #0xbf, lsl #24";
        0x4f07_f681 try_splat32(V(1), (-1.25f32).to_bits()) "fmov v1.4s, #-1.25";
        0x4f04_6401 try_splat32(V(1), 0x8000_0000) "movi v1.4s, #0x80, lsl #24";
        0x6f04_6401 try_splat32(V(1), 0x7fff_ffff) "mvni v1.4s, #0x80, lsl #24";
        0x4f01_a781 try_splat16(V(1), 0x3c00) "movi v1.8h, #0x3c, lsl #8";
        0x4f03_e6e1 try_splat16(V(1), 0x7777) "movi v1.16b, #0x77";
    }
}

#[test]
fn splats_without_an_immediate_form() {
    for bits in [0x1234_5678, 0.1f32.to_bits(), 0x00ff_ff00, f32::MIN_POSITIVE.to_bits() | 1] {
        let mut a = Assembler::new();
        assert!(!a.try_splat32(V(1), bits), "{bits:#x}");
        assert_eq!(a.offset(), 0, "{bits:#x}");
    }
}
