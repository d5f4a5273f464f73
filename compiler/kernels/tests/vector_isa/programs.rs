//! Random straight-line programs: whatever an assembler reorders or joins must not show.

use super::build;
use super::common::{Rng, runnable};
use kiln_kernels::isa::{BinOp, Gpr, Mem, Src, UnOp, V, VectorIsa};

type OfBits = fn(u32, u32) -> u32;

/// What a random program does, in terms of 32-bit words.
struct Machine {
    lanes: usize,
    /// Vectors 0..9: six of any bits, three sums of f32.
    vectors: Vec<Vec<u32>>,
    factors: Vec<Vec<f32>>,
    memory: Vec<u32>,
    constants: Vec<f32>,
    /// Word offset of the second pointer into the memory.
    second: usize,
}

const WORDS: usize = 400;
const STEPS: usize = 150;
/// Arguments of a random program; the second pointer leads into the memory.
const MEMORY: Gpr = Gpr(0);
const CONSTANTS: Gpr = Gpr(1);
const SECOND: Gpr = Gpr(2);
const RESULTS: Gpr = Gpr(3);

impl Machine {
    fn new(lanes: usize, rng: &mut Rng) -> Self {
        Machine {
            lanes,
            vectors: vec![vec![0; lanes]; 9],
            factors: vec![vec![0.0; lanes]; 2],
            memory: (0..WORDS).map(|_| rng.next() as u32).collect(),
            constants: rng.floats(8 * lanes),
            second: 3,
        }
    }

    /// A vector-sized place: its first word, and its address through one of the two pointers.
    fn place(&self, rng: &mut Rng) -> (usize, Mem) {
        let at = self.second + rng.below(WORDS / 2);
        match rng.below(2) {
            0 => (at, Mem::new(MEMORY, 4 * at as i32)),
            _ => (at, Mem::new(SECOND, 4 * (at - self.second) as i32)),
        }
    }

    /// Does and emits one random operation.
    fn step(&mut self, rng: &mut Rng, isa: &mut dyn VectorIsa) {
        let [d, a, b] = [(); 3].map(|()| rng.below(6));
        let (sum, factor) = (6 + rng.below(3), rng.below(2));
        let v = |i: usize| V(i as u8);
        let lanes = self.lanes;
        match rng.below(12) {
            0..=2 => {
                let (op, f): (BinOp, OfBits) = match rng.below(3) {
                    0 => (BinOp::AddInt, u32::wrapping_add),
                    1 => (BinOp::Xor, |x, y| x ^ y),
                    _ => (BinOp::SubInt, u32::wrapping_sub),
                };
                isa.binary(op, v(d), v(a), v(b));
                self.vectors[d] = (0..lanes).map(|i| f(self.vectors[a][i], self.vectors[b][i])).collect();
            }
            3 => {
                isa.unary(UnOp::Shr(3), v(d), v(a));
                self.vectors[d] = self.vectors[a].iter().map(|x| x >> 3).collect();
            }
            4 | 5 => {
                let (at, m) = self.place(rng);
                isa.load(v(d), m);
                self.vectors[d] = self.memory[at..at + lanes].to_vec();
            }
            6 | 7 => {
                let (at, m) = self.place(rng);
                isa.store(m, v(a));
                self.memory[at..at + lanes].copy_from_slice(&self.vectors[a]);
            }
            8 => {
                let (at, m) = self.place(rng);
                isa.load_splat(v(d), m);
                self.vectors[d] = vec![self.memory[at]; lanes];
            }
            9 => {
                let at = rng.below(7 * lanes);
                isa.load(v(9 + factor), Mem::new(CONSTANTS, 4 * at as i32));
                self.factors[factor] = self.constants[at..at + lanes].to_vec();
            }
            10 => {
                isa.fma(v(sum), v(9), v(10));
                let products = self.factors[0].iter().zip(&self.factors[1]);
                let sums = products.zip(&self.vectors[sum]).map(|((x, y), s)| x.mul_add(*y, f32::from_bits(*s)).to_bits());
                self.vectors[sum] = sums.collect();
            }
            _ => self.integer_step(rng, isa),
        }
    }

    fn integer_step(&mut self, rng: &mut Rng, isa: &mut dyn VectorIsa) {
        let (at, m) = self.place(rng);
        match rng.below(3) {
            0 if self.second < 30 => {
                isa.add(SECOND, SECOND, Src::Imm(8));
                self.second += 2;
            }
            1 => {
                let (to, other) = self.place(rng);
                isa.load_int(Gpr(5), m);
                isa.store_int(other, Gpr(5));
                self.memory.copy_within(at..at + 2, to);
            }
            _ => {
                isa.mov(Gpr(6), Src::Imm(at as i64));
                isa.add(Gpr(6), Gpr(6), Src::Imm(70_000));
                isa.store_word(m, Gpr(6));
                self.memory[at] = at as u32 + 70_000;
            }
        }
    }
}

/// Straight-line programs in which neighbouring operations share registers and overlapping memory, through pointers that move.
#[test]
fn random_programs() {
    for target in &runnable() {
        let lanes = target.isa.lanes();
        for seed in 1..=300 {
            let mut rng = Rng(0x9e37_79b9_7f4a_7c15u64.wrapping_mul(seed));
            let mut machine = Machine::new(lanes, &mut rng);
            let (mut memory, constants) = (machine.memory.clone(), machine.constants.clone());
            let mut results = vec![0u32; 9 * lanes];
            let code = build(target, 4, |isa| {
                (0..11).for_each(|i| isa.splat(V(i), 0));
                for _ in 0..STEPS {
                    machine.step(&mut rng, isa);
                }
                (0..9u8).for_each(|i| isa.store(Mem::new(RESULTS, 4 * lanes as i32 * i32::from(i)), V(i)));
            });
            let address = memory.as_mut_ptr() as u64;
            code.call(&[address, constants.as_ptr() as u64, address + 12, results.as_mut_ptr() as u64]);
            assert_eq!(memory, machine.memory, "{}: memory of program {seed}", target.isa.name());
            assert_eq!(results, machine.vectors.concat(), "{}: vectors of program {seed}", target.isa.name());
        }
    }
}
