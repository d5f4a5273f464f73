//! The heap of a test program in memory that the emulated program shares, at the same address.
//!
//! Every `Vec` and `Box` of the tests can so be read and written by emulated kernels, without copies and without translating pointers. Where the mapping
//! cannot be made, the heap is the ordinary one and nothing can be emulated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where the shared memory lies in both programs: far from where systems place programs, libraries and stacks.
pub const ADDRESS: usize = 0x20_0000_0000;
/// Its length; only what is touched takes memory.
pub const LENGTH: usize = 0x2_0000_0000;

/// Largest page size of the architecture.
const PAGE: usize = 65536;
/// As in `harness.c`: slots with an inaccessible page at either end, at the end of the shared memory.
const EDGE_SLOT: usize = 4 * PAGE;
const EDGE_SLOTS: usize = 16;
/// End of the heap, start of the edge slots.
const HEAP_END: usize = ADDRESS + LENGTH - EDGE_SLOT * EDGE_SLOTS;

/// The file descriptor of the shared memory, or `NONE` (not tried yet), or `FAILED`.
static DESCRIPTOR: AtomicUsize = AtomicUsize::new(NONE);
const NONE: usize = usize::MAX;
const FAILED: usize = usize::MAX - 1;

/// Size classes are powers of two.
const CLASSES: usize = 48;

struct Heap {
    next: usize,
    free: [usize; CLASSES],
}

static HEAP: Mutex<Heap> = Mutex::new(Heap { next: 0, free: [0; CLASSES] });

/// The allocator: blocks of a power of two of bytes, reused by size.
pub struct Shared;

#[global_allocator]
static ALLOCATOR: Shared = Shared;

/// Whether an address lies in the shared memory.
pub fn contains(address: u64) -> bool {
    (ADDRESS as u64..(ADDRESS + LENGTH) as u64).contains(&address)
}

/// The file descriptor of the shared memory, for the emulated program to inherit.
pub fn descriptor() -> Option<i32> {
    match DESCRIPTOR.load(Ordering::Acquire) {
        NONE | FAILED => None,
        descriptor => Some(descriptor as i32),
    }
}

/// Memory of the emulated program that ends where an inaccessible page begins, for `length` bytes; the slots are for one test at a time.
pub fn edge(slot: usize, length: usize) -> *mut u8 {
    assert!(slot < EDGE_SLOTS && length <= EDGE_SLOT - 2 * PAGE, "edge slots are small and few");
    (HEAP_END + (slot + 1) * EDGE_SLOT - PAGE - length) as *mut u8
}

/// As [`edge`], but starting where an inaccessible page ends.
pub fn edge_start(slot: usize) -> *mut u8 {
    assert!(slot < EDGE_SLOTS, "edge slots are few");
    (HEAP_END + slot * EDGE_SLOT + PAGE) as *mut u8
}

fn class(layout: Layout) -> usize {
    layout.size().max(layout.align()).max(16).next_power_of_two().trailing_zeros() as usize
}

/// Makes the shared mapping. Must not allocate.
fn map() -> usize {
    // SAFETY: plain system calls; the mapping replaces nothing.
    unsafe {
        let descriptor = libc::memfd_create(c"kiln-kernel-tests".as_ptr(), 0);
        if descriptor < 0 || libc::ftruncate(descriptor, LENGTH as libc::off_t) != 0 {
            return FAILED;
        }
        let flags = libc::MAP_SHARED | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let at = libc::mmap(ADDRESS as *mut libc::c_void, LENGTH, access, flags, descriptor, 0);
        if at as usize == ADDRESS { descriptor as usize } else { FAILED }
    }
}

impl Heap {
    /// Whether there is shared memory; the first call makes it.
    fn is_open(&mut self) -> bool {
        if self.next == 0 {
            self.next = ADDRESS;
            DESCRIPTOR.store(map(), Ordering::Release);
        }
        DESCRIPTOR.load(Ordering::Acquire) != FAILED
    }

    /// A block of `1 << class` bytes, aligned to that up to a page; 0 if there is none.
    fn take(&mut self, class: usize) -> usize {
        let block = self.free[class];
        if block != 0 {
            // SAFETY: a free block begins with the address of the next one of its class.
            self.free[class] = unsafe { *(block as *const usize) };
            return block;
        }
        let start = self.next.next_multiple_of(1 << class);
        match start.checked_add(1 << class) {
            Some(end) if end <= HEAP_END => {
                self.next = end;
                start
            }
            _ => 0,
        }
    }
}

// SAFETY: blocks handed out are disjoint, large enough and aligned to their size, a power of two no less than the alignment asked for;
// those outside the shared memory come from the system allocator and go back to it.
unsafe impl GlobalAlloc for Shared {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut heap = HEAP.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if !heap.is_open() {
            // SAFETY: as the caller promises.
            return unsafe { System.alloc(layout) };
        }
        heap.take(class(layout)) as *mut u8
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !contains(block as u64) {
            // SAFETY: it came from the system allocator.
            return unsafe { System.dealloc(block, layout) };
        }
        let class = class(layout);
        let mut heap = HEAP.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // SAFETY: the block is at least 16 bytes and not in use any more.
        unsafe { *block.cast::<usize>() = heap.free[class] };
        heap.free[class] = block as usize;
    }
}
