//! The units of work of convolutions: strips of output rows of one image, and where a strip finds its input.

use crate::isa::{Cond, Gpr, Slot, Src, V, VectorIsa};
use crate::kernels::conv::{Axes, Window};
use crate::kernels::copy::Border;
use crate::kernels::numbers::Numbers;

/// How the pixels of a window's image are found: in the image, or in a copy with a border.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// The copy, if any.
    pub border: Option<Border>,
    /// Elements between pixels.
    pub pitch: usize,
    /// Elements between rows.
    pub line: usize,
}

impl Source {
    /// For an image of `channels` channels, pixels `in_pitch` elements apart. What windows reach outside of the image is copied
    /// with a border.
    pub fn new(w: &Window, numbers: Numbers, channels: usize, in_pitch: usize) -> Source {
        if !w.is_padded() && !reads_beyond(w, numbers, channels, in_pitch) {
            return Source { border: None, pitch: in_pitch, line: w.image[1] * in_pitch };
        }
        let width = w.span(1, w.output[1]);
        let left = w.before[1].min(width);
        let copied = w.image[1].min(width - left);
        let right = width - left - copied;
        let line = w.image[1] * in_pitch;
        let border = Border { numbers, height: w.image[0], line, pitch: in_pitch, channels, left, copied, right };
        Source { border: Some(border), pitch: channels, line: width * channels }
    }
}

/// Whether the last step of a run of bytes reads further than the run goes: there must be something then.
fn reads_beyond(w: &Window, numbers: Numbers, channels: usize, in_pitch: usize) -> bool {
    let run = if w.dilation[1] == 1 && in_pitch == channels { w.kernel[1] * channels } else { channels };
    numbers.is_integer() && !run.is_multiple_of(4)
}

/// Bytes behind a copy that may be read, too.
const SLACK: usize = 4;

/// Frame slots of the strips. The caller sets the first three; [`Strips::enter`] sets the others.
#[derive(Clone, Copy, Debug)]
pub struct StripSlots {
    /// Address of the first image.
    pub input: Slot,
    /// Address of the first output pixel.
    pub output: Slot,
    /// Memory for the copy with a border.
    pub scratch: Slot,
    /// Address of the source's first row for this strip.
    pub source: Slot,
    /// Address of the strip's first output pixel.
    pub c: Slot,
    /// Number of that pixel among all of the batch.
    pub pixel: Slot,
    /// First output row of the strip within its image.
    pub y: Slot,
    /// Output rows of the strip.
    pub rows: Slot,
    image: Slot,
    first: Slot,
    count: Slot,
}

impl StripSlots {
    /// New slots.
    pub fn new(isa: &mut dyn VectorIsa) -> Self {
        let mut slot = || isa.slot();
        StripSlots {
            input: slot(),
            output: slot(),
            scratch: slot(),
            source: slot(),
            c: slot(),
            pixel: slot(),
            y: slot(),
            rows: slot(),
            image: slot(),
            first: slot(),
            count: slot(),
        }
    }
}

/// Strips of the output rows of a batch of images.
#[derive(Clone, Copy, Debug)]
pub struct Strips {
    /// Its output is what is computed, which may be more than what exists.
    pub window: Window,
    /// What of the output exists.
    pub output: Axes,
    /// What is read.
    pub numbers: Numbers,
    /// Elements between input pixels.
    pub in_pitch: usize,
    /// Bytes between output pixels.
    pub out_step: usize,
    /// Output rows of a strip.
    pub rows: usize,
    /// Where input is read.
    pub source: Source,
    /// Slots.
    pub slots: StripSlots,
}

impl Strips {
    /// Goes to the strip with number `unit` (in `Gpr(0)`) and copies its input where there is a border. All registers are
    /// clobbered.
    pub fn enter(&self, isa: &mut dyn VectorIsa) {
        let (w, st) = (&self.window, &self.slots);
        let [height, _] = w.output;
        let strips = height.div_ceil(self.rows);
        let (unit, n, y, t, u) = (Gpr(0), Gpr(1), Gpr(2), Gpr(3), Gpr(4));
        isa.mov(t, Src::Imm(strips as i64));
        isa.udiv(n, unit, t, [V(0), V(1)]);
        isa.mul(t, n, Src::Imm(strips as i64));
        isa.sub(y, unit, Src::Reg(t));
        isa.mul(y, y, Src::Imm(self.rows as i64));
        isa.store_slot(st.y, y);
        isa.mov(t, Src::Imm(height as i64));
        isa.sub(t, t, Src::Reg(y));
        isa.mov(u, Src::Imm(self.rows as i64));
        isa.mov_if(Cond::Gt, t, Src::Reg(u), t, u);
        isa.store_slot(st.rows, t);
        isa.sub(t, t, Src::Imm(1));
        isa.mul(t, t, Src::Imm(w.stride[0] as i64));
        isa.add(t, t, Src::Imm(w.span(0, 1) as i64));
        isa.store_slot(st.count, t);
        // First output pixel, and its address.
        isa.mul(t, n, Src::Imm(self.output[0] as i64));
        isa.add(t, t, Src::Reg(y));
        isa.mul(t, t, Src::Imm(self.output[1] as i64));
        isa.store_slot(st.pixel, t);
        isa.mul(t, t, Src::Imm(self.out_step as i64));
        isa.load_slot(u, st.output);
        isa.add(t, t, Src::Reg(u));
        isa.store_slot(st.c, t);
        self.enter_image(isa, [n, y, t, u]);
        if let Some(border) = self.source.border {
            border.emit(isa, st.image, st.first, st.count, st.scratch);
        }
    }

    /// Address of the image and of the strip's first input row.
    fn enter_image(&self, isa: &mut dyn VectorIsa, [n, y, t, u]: [Gpr; 4]) {
        let (w, st) = (&self.window, &self.slots);
        let line = (self.numbers.element().bytes() * w.image[1] * self.in_pitch) as i64;
        isa.mul(t, n, Src::Imm(w.image[0] as i64));
        isa.mul(t, t, Src::Imm(line));
        isa.load_slot(u, st.input);
        isa.add(t, t, Src::Reg(u));
        isa.store_slot(st.image, t);
        isa.mul(y, y, Src::Imm(w.stride[0] as i64));
        isa.sub(u, y, Src::Imm(w.before[0] as i64));
        isa.store_slot(st.first, u);
        if self.source.border.is_some() {
            isa.load_slot(t, st.scratch);
        } else {
            isa.mul(y, y, Src::Imm(line));
            isa.add(t, t, Src::Reg(y));
        }
        isa.store_slot(st.source, t);
    }

    /// Bytes of the copy with a border; 0 if there is none.
    pub fn border_bytes(&self) -> usize {
        let bytes = self.numbers.element().bytes() * self.source.line * self.window.span(0, self.rows);
        self.source.border.map_or(0, |_| bytes + SLACK)
    }
}
