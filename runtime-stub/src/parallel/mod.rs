//! Parallel regions: the app's thread pool, kiln's own, or none.
//!
//! A region is a number of parts, each one call of a task with the part's number; it ends when all are done. `parallel_for`
//! hands it to the pool of the context, which an app gives at creation or `pool_start` installs. Workers of kiln's own pool
//! look for a new region for a short while before they sleep, since models run one region right after the other.
//!
//! Each thread has a share of the part numbers, the same share in every region of as many parts, and takes from the others' when its own
//! is done: what a thread wrote in one region, and the weights that it read, are in its own core's cache in the next.
//!
//! A region waits for parts that a thread has taken, not for threads: one that the system does not run, or that wakes too late, costs
//! nothing, the others do its share. So a worker may still look for parts of a region that is over while the next is prepared.
//! Taking a part is a decrement of a count that is zero between regions; a part that was taken keeps its region open until it is done, so
//! whatever describes the region is read after taking a part, and does not change until the part is reported.
//!
//! The mutex is only for sleeping and waking. A model that never names `pool_start` links no thread functions.

mod threads;

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering, fence};

use crate::abi::*;
use crate::error::{fail_out_of_memory, fail_with};
use crate::export::exports;
use crate::memory::{allocate_block, free_block};
use threads::{Condition, Mutex, Thread};

/// Most workers of a pool.
const MAX_WORKERS: u64 = 255;
/// Looks at a counter before a thread sleeps: some microseconds, enough from one region of a model to the next. A thread that looks
/// for longer uses up its share of a processor that others need, and then is stopped while it works.
const SPINS: u32 = 500;
/// The generation that ends the workers.
const STOP: u64 = u64::MAX;

/// A counter on a cache line of its own, since threads look at it while others work.
#[repr(align(64))]
struct Counter(AtomicU64);

/// The parts of a region that one thread takes first. On a cache line of its own, since all threads count on theirs at once.
#[repr(align(64))]
struct Share {
    /// Parts that nobody has taken: the last of those before `end`.
    left: AtomicU64,
    /// One past the last part; to be read by who has taken a part.
    end: u64,
}

/// Where threads sleep until something has changed.
struct Bell {
    condition: Condition,
    sleepers: AtomicU64,
}

impl Bell {
    const fn new() -> Bell {
        Bell { condition: Condition::new(), sleepers: AtomicU64::new(0) }
    }

    /// Waits until `changed`, first by looking, then asleep.
    unsafe fn wait(&self, mutex: &Mutex, changed: impl Fn() -> bool) {
        for _ in 0..SPINS {
            if changed() {
                return;
            }
            spin_loop();
        }
        mutex.lock();
        self.sleepers.fetch_add(1, Ordering::Relaxed);
        // Either the ringer sees the sleeper or the sleeper sees what the ringer changed: both write, fence and read.
        fence(Ordering::SeqCst);
        while !changed() {
            self.condition.wait(mutex);
        }
        self.sleepers.fetch_sub(1, Ordering::Relaxed);
        mutex.unlock();
    }

    /// Wakes the threads that sleep, after a change.
    unsafe fn ring(&self, mutex: &Mutex) {
        fence(Ordering::SeqCst);
        if self.sleepers.load(Ordering::Relaxed) > 0 {
            mutex.lock();
            self.condition.wake_all();
            mutex.unlock();
        }
    }
}

/// A pool: `workers` threads besides the caller.
struct Pool {
    mutex: Mutex,
    /// Rung when a region begins or the pool stops.
    work: Bell,
    /// Rung when the last part of a region is done.
    done: Bell,
    /// Counts regions; a worker that has seen fewer has work. `STOP` at the end.
    generation: Counter,
    /// Parts of the region that are not done.
    undone: Counter,
    /// Workers that have taken a number: each has its own, the caller has 0.
    numbered: AtomicU64,
    task: TaskFn,
    task_user: *mut u8,
    workers: u64,
    threads: [Thread; MAX_WORKERS as usize],
    shares: [Share; MAX_WORKERS as usize + 1],
}

unsafe extern "C" fn no_task(_user: *mut u8, _index: u64) {}

impl Pool {
    /// A pool without workers; not to be moved after `init`.
    const fn new() -> Pool {
        Pool {
            mutex: Mutex::new(),
            work: Bell::new(),
            done: Bell::new(),
            generation: Counter(AtomicU64::new(0)),
            undone: Counter(AtomicU64::new(0)),
            numbered: AtomicU64::new(0),
            task: no_task,
            task_user: core::ptr::null_mut(),
            workers: 0,
            threads: [Thread::NONE; MAX_WORKERS as usize],
            shares: [const { Share { left: AtomicU64::new(0), end: 0 } }; MAX_WORKERS as usize + 1],
        }
    }

    unsafe fn init(&self) -> bool {
        self.mutex.init() && self.work.condition.init() && self.done.condition.init()
    }

    unsafe fn destroy(&self) {
        self.mutex.destroy();
        self.work.condition.destroy();
        self.done.condition.destroy();
    }
}

/// Takes a part of a share, if one is left. What the caller of the region wrote before is then visible.
unsafe fn take(share: *const Share) -> Option<u64> {
    let less = |left: u64| left.checked_sub(1);
    let left = (*share).left.fetch_update(Ordering::Acquire, Ordering::Relaxed, less).ok()?;
    Some((*share).end - left)
}

/// Runs parts until none is left: those of thread `own` first, then those of the others in turn. Returns how many it ran.
unsafe fn run_parts(pool: *const Pool, own: u64) -> u64 {
    let count = (*pool).workers + 1;
    let mut ran = 0;
    for other in 0..count {
        let share = (&raw const (*pool).shares).cast::<Share>().add(((own + other) % count) as usize);
        while let Some(part) = take(share) {
            ((*pool).task)((*pool).task_user, part);
            ran += 1;
        }
    }
    ran
}

/// The life of a worker.
unsafe extern "C" fn work(pool: *mut u8) -> *mut u8 {
    let pool: *const Pool = pool.cast_const().cast();
    let own = (*pool).numbered.fetch_add(1, Ordering::Relaxed) + 1;
    let generation = &(*pool).generation.0;
    let mut seen = 0;
    loop {
        (*pool).work.wait(&(*pool).mutex, || generation.load(Ordering::Acquire) != seen);
        seen = generation.load(Ordering::Acquire);
        if seen == STOP {
            return core::ptr::null_mut();
        }
        let ran = run_parts(pool, own);
        // From here on the region may end, and another begin.
        if ran > 0 && (*pool).undone.0.fetch_sub(ran, Ordering::AcqRel) == ran {
            (*pool).done.ring(&(*pool).mutex);
        }
    }
}

/// Publishes a new generation and wakes the workers that sleep.
unsafe fn announce(pool: *const Pool, generation: u64) {
    (*pool).generation.0.store(generation, Ordering::Release);
    (*pool).work.ring(&(*pool).mutex);
}

/// Runs a region with the workers and the calling thread: the `parallel_for` of a context with a pool of its own.
unsafe extern "C" fn run_region(pool: *mut u8, parts: u64, task: TaskFn, task_user: *mut u8) {
    let pool: *mut Pool = pool.cast();
    (*pool).task = task;
    (*pool).task_user = task_user;
    (*pool).undone.0.store(parts, Ordering::Relaxed);
    let count = (*pool).workers + 1;
    // Products of quotients and remainders, so that no number of parts overflows.
    let first = |thread: u64| parts / count * thread + parts % count * thread / count;
    for thread in 0..count {
        let share = (&raw mut (*pool).shares).cast::<Share>().add(thread as usize);
        (*share).end = first(thread + 1);
        // From here on a worker may take parts of this share, also one that comes late from the region before.
        (*share).left.store((*share).end - first(thread), Ordering::Release);
    }
    announce(pool, (*pool).generation.0.load(Ordering::Relaxed) + 1);
    let ran = run_parts(pool, 0);
    let undone = &(*pool).undone.0;
    undone.fetch_sub(ran, Ordering::Relaxed);
    (*pool).done.wait(&(*pool).mutex, || undone.load(Ordering::Acquire) == 0);
}

const POOL_ALIGN: u64 = 64;

/// Starts the workers; those that the system refuses are done without.
unsafe fn start_workers(pool: *mut Pool, wanted: u64) {
    for i in 0..wanted as usize {
        match Thread::start(work, pool.cast()) {
            Some(thread) => (*pool).threads[i] = thread,
            None => return,
        }
        (*pool).workers += 1;
    }
}

exports! {
    /// Runs `task(task_user, i)` for every i below `parts`, on the pool of the context if there is one, and returns when all
    /// are done. Tasks do not change the context.
    fn parallel_for(ctx: *mut Context, parts: u64, task: Option<crate::abi::TaskFn>, task_user: *mut u8) {
        let Some(task) = task else { return };
        match (*ctx).parallel_for {
            Some(run) if parts > 1 => run((*ctx).parallel_user, parts, task, task_user),
            _ => (0..parts).for_each(|part| task(task_user, part)),
        }
    }

    /// Number of processors, at least 1.
    fn processor_count() -> i64 {
        threads::processor_count().max(1)
    }

    /// Gives the context a pool of `count` threads, the caller among them (0: one for each processor), unless it has one
    /// already or one thread is enough. Returns the status.
    fn pool_start(ctx: *mut Context, count: i64) -> i64 {
        let count = if count > 0 { count } else { threads::processor_count() };
        if (*ctx).parallel_for.is_some() || count <= 1 {
            return 0;
        }
        let pool = allocate_block(ctx, size_of::<Pool>() as u64, POOL_ALIGN).cast::<Pool>();
        if pool.is_null() {
            fail_out_of_memory(ctx);
            return i64::from((*ctx).status);
        }
        pool.write(Pool::new());
        if !(*pool).init() {
            free_block(ctx, pool.cast(), size_of::<Pool>() as u64, POOL_ALIGN);
            fail_with(ctx, status::INTERNAL, |text| text.push_str("the system has no mutex left"));
            return i64::from((*ctx).status);
        }
        start_workers(pool, (count as u64 - 1).min(MAX_WORKERS));
        (*ctx).parallel_for = Some(run_region);
        (*ctx).parallel_user = pool.cast();
        0
    }

    /// Ends the pool that `pool_start` made; nothing for a pool of the app's. To be called before `context_destroy`.
    fn pool_stop(ctx: *mut Context) {
        let own = (*ctx).parallel_for.is_some_and(|run| run as usize == run_region as *const () as usize);
        if !own {
            return;
        }
        let pool: *mut Pool = (*ctx).parallel_user.cast();
        announce(pool, STOP);
        for i in 0..(*pool).workers as usize {
            (*pool).threads[i].join();
        }
        (*pool).destroy();
        free_block(ctx, pool.cast(), size_of::<Pool>() as u64, POOL_ALIGN);
        (*ctx).parallel_for = None;
        (*ctx).parallel_user = core::ptr::null_mut();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_context::TestContext;

    unsafe extern "C" fn count(cells: *mut u8, index: u64) {
        unsafe { (*cells.cast::<AtomicU64>().add(index as usize)).fetch_add(1, Ordering::Relaxed) };
    }

    #[test]
    fn every_part_runs_once_in_every_region() {
        for threads in [1, 2, 5, 24] {
            let t = TestContext::new();
            let cells: Vec<AtomicU64> = (0..100).map(|_| AtomicU64::new(0)).collect();
            unsafe {
                assert_eq!(pool_start(t.ctx(), threads), 0);
                for region in 0..2000u64 {
                    parallel_for(t.ctx(), region % 101, Some(count), cells.as_ptr().cast_mut().cast());
                }
                pool_stop(t.ctx());
                assert!((*t.ctx()).parallel_for.is_none());
            }
            // Part i runs in the regions of more than i parts: 2000 regions are 19 rounds of 101 and 81 more.
            for (i, cell) in cells.iter().enumerate() {
                let expected = 19 * (100 - i as u64) + 80u64.saturating_sub(i as u64);
                assert_eq!(cell.load(Ordering::Relaxed), expected, "part {i} with {threads} threads");
            }
        }
    }

    /// A worker that the system does not run: here one that was never started.
    #[test]
    fn a_worker_that_does_not_come_is_not_waited_for() {
        let cells: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(0)).collect();
        let pool = Box::into_raw(Box::new(Pool::new()));
        unsafe {
            assert!((*pool).init());
            (*pool).workers = 1;
            for parts in [8, 1, 0, 7] {
                run_region(pool.cast(), parts, count, cells.as_ptr().cast_mut().cast());
            }
            (*pool).destroy();
            drop(Box::from_raw(pool));
        }
        let counts: Vec<u64> = cells.iter().map(|cell| cell.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [3, 2, 2, 2, 2, 2, 2, 1]);
    }

    /// Workers that went to sleep are woken.
    #[test]
    fn sleeping_workers_wake() {
        let t = TestContext::new();
        let cells: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(0)).collect();
        unsafe {
            pool_start(t.ctx(), 3);
            for _ in 0..5 {
                std::thread::sleep(std::time::Duration::from_millis(20));
                parallel_for(t.ctx(), 8, Some(count), cells.as_ptr().cast_mut().cast());
            }
            pool_stop(t.ctx());
        }
        assert!(cells.iter().all(|cell| cell.load(Ordering::Relaxed) == 5));
    }

    unsafe extern "C" fn backwards(_user: *mut u8, parts: u64, task: TaskFn, task_user: *mut u8) {
        (0..parts).rev().for_each(|part| unsafe { task(task_user, part) });
    }

    #[test]
    fn the_pool_of_the_app_comes_first() {
        let t = TestContext::new();
        let cells: Vec<AtomicU64> = (0..4).map(|_| AtomicU64::new(0)).collect();
        unsafe {
            (*t.ctx()).parallel_for = Some(backwards);
            pool_start(t.ctx(), 4);
            pool_stop(t.ctx());
            parallel_for(t.ctx(), 4, Some(count), cells.as_ptr().cast_mut().cast());
            assert!((*t.ctx()).parallel_for.is_some());
        }
        assert!(cells.iter().all(|cell| cell.load(Ordering::Relaxed) == 1));
    }
}
