//! Threads, mutexes and condition variables of the platform: POSIX's, or Windows'.
//!
//! The POSIX objects are opaque; the room here is more than any supported system needs (64 bytes on Apple's, 48 elsewhere).

#[cfg(not(windows))]
pub(super) use posix::{Condition, Mutex, Thread, processor_count};
#[cfg(windows)]
pub(super) use windows::{Condition, Mutex, Thread, processor_count};

/// The function of a thread.
type Entry = unsafe extern "C" fn(*mut u8) -> *mut u8;

/// Stack of a worker: kernels use little, and some systems would give only 128 kB.
const STACK_BYTES: usize = 1 << 20;

#[cfg(not(windows))]
mod posix {
    use core::cell::UnsafeCell;
    use core::ptr::null_mut;

    use super::{Entry, STACK_BYTES};

    /// Room for any opaque object of the system.
    type Opaque = UnsafeCell<[u64; 16]>;

    unsafe extern "C" {
        fn pthread_mutex_init(mutex: *mut u64, attributes: *const u8) -> i32;
        fn pthread_mutex_lock(mutex: *mut u64) -> i32;
        fn pthread_mutex_unlock(mutex: *mut u64) -> i32;
        fn pthread_mutex_destroy(mutex: *mut u64) -> i32;
        fn pthread_cond_init(condition: *mut u64, attributes: *const u8) -> i32;
        fn pthread_cond_wait(condition: *mut u64, mutex: *mut u64) -> i32;
        fn pthread_cond_broadcast(condition: *mut u64) -> i32;
        fn pthread_cond_destroy(condition: *mut u64) -> i32;
        fn pthread_attr_init(attributes: *mut u64) -> i32;
        fn pthread_attr_setstacksize(attributes: *mut u64, bytes: usize) -> i32;
        fn pthread_attr_destroy(attributes: *mut u64) -> i32;
        fn pthread_create(thread: *mut usize, attributes: *const u64, entry: Entry, argument: *mut u8) -> i32;
        fn pthread_join(thread: usize, result: *mut *mut u8) -> i32;
        fn sysconf(name: i32) -> isize;
    }

    /// A mutex; not to be moved after `init`.
    pub(crate) struct Mutex(Opaque);

    impl Mutex {
        pub(crate) const fn new() -> Mutex {
            Mutex(UnsafeCell::new([0; 16]))
        }

        pub(crate) unsafe fn init(&self) -> bool {
            pthread_mutex_init(self.0.get().cast(), null_mut()) == 0
        }

        pub(crate) unsafe fn lock(&self) {
            pthread_mutex_lock(self.0.get().cast());
        }

        pub(crate) unsafe fn unlock(&self) {
            pthread_mutex_unlock(self.0.get().cast());
        }

        pub(crate) unsafe fn destroy(&self) {
            pthread_mutex_destroy(self.0.get().cast());
        }
    }

    /// A condition variable; not to be moved after `init`.
    pub(crate) struct Condition(Opaque);

    impl Condition {
        pub(crate) const fn new() -> Condition {
            Condition(UnsafeCell::new([0; 16]))
        }

        pub(crate) unsafe fn init(&self) -> bool {
            pthread_cond_init(self.0.get().cast(), null_mut()) == 0
        }

        pub(crate) unsafe fn wait(&self, mutex: &Mutex) {
            pthread_cond_wait(self.0.get().cast(), mutex.0.get().cast());
        }

        pub(crate) unsafe fn wake_all(&self) {
            pthread_cond_broadcast(self.0.get().cast());
        }

        pub(crate) unsafe fn destroy(&self) {
            pthread_cond_destroy(self.0.get().cast());
        }
    }

    /// A thread that is to be joined.
    #[derive(Clone, Copy)]
    pub(crate) struct Thread(usize);

    impl Thread {
        pub(crate) const NONE: Thread = Thread(0);

        pub(crate) unsafe fn start(entry: Entry, argument: *mut u8) -> Option<Thread> {
            let mut attributes = [0u64; 16];
            if pthread_attr_init(attributes.as_mut_ptr()) != 0 {
                return None;
            }
            pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK_BYTES);
            let mut thread = 0;
            let status = pthread_create(&mut thread, attributes.as_ptr(), entry, argument);
            pthread_attr_destroy(attributes.as_mut_ptr());
            if status == 0 { Some(Thread(thread)) } else { None }
        }

        pub(crate) unsafe fn join(self) {
            pthread_join(self.0, null_mut());
        }
    }

    /// `_SC_NPROCESSORS_ONLN`
    const PROCESSORS_ONLINE: i32 = if cfg!(target_vendor = "apple") {
        58
    } else if cfg!(target_os = "android") {
        97
    } else {
        84
    };

    pub(crate) fn processor_count() -> i64 {
        // SAFETY: reads a number.
        unsafe { sysconf(PROCESSORS_ONLINE) as i64 }
    }
}

#[cfg(windows)]
mod windows {
    use core::cell::UnsafeCell;
    use core::ptr::null_mut;

    use super::{Entry, STACK_BYTES};

    /// `INFINITE`
    const FOREVER: u32 = u32::MAX;
    /// `STACK_SIZE_PARAM_IS_A_RESERVATION`
    const RESERVE: u32 = 0x0001_0000;
    /// `ALL_PROCESSOR_GROUPS`
    const ALL_GROUPS: u16 = 0xffff;

    unsafe extern "system" {
        fn AcquireSRWLockExclusive(lock: *mut usize);
        fn ReleaseSRWLockExclusive(lock: *mut usize);
        fn SleepConditionVariableSRW(condition: *mut usize, lock: *mut usize, milliseconds: u32, flags: u32) -> i32;
        fn WakeAllConditionVariable(condition: *mut usize);
        fn CreateThread(security: *mut u8, stack: usize, entry: Entry, argument: *mut u8, flags: u32, id: *mut u32) -> *mut u8;
        fn WaitForSingleObject(handle: *mut u8, milliseconds: u32) -> u32;
        fn CloseHandle(handle: *mut u8) -> i32;
        fn GetActiveProcessorCount(group: u16) -> u32;
    }

    /// A slim lock, which needs no creation and no destruction.
    pub(crate) struct Mutex(UnsafeCell<usize>);

    impl Mutex {
        pub(crate) const fn new() -> Mutex {
            Mutex(UnsafeCell::new(0))
        }

        pub(crate) unsafe fn init(&self) -> bool {
            true
        }

        pub(crate) unsafe fn lock(&self) {
            AcquireSRWLockExclusive(self.0.get());
        }

        pub(crate) unsafe fn unlock(&self) {
            ReleaseSRWLockExclusive(self.0.get());
        }

        pub(crate) unsafe fn destroy(&self) {}
    }

    /// A condition variable, likewise.
    pub(crate) struct Condition(UnsafeCell<usize>);

    impl Condition {
        pub(crate) const fn new() -> Condition {
            Condition(UnsafeCell::new(0))
        }

        pub(crate) unsafe fn init(&self) -> bool {
            true
        }

        pub(crate) unsafe fn wait(&self, mutex: &Mutex) {
            SleepConditionVariableSRW(self.0.get(), mutex.0.get(), FOREVER, 0);
        }

        pub(crate) unsafe fn wake_all(&self) {
            WakeAllConditionVariable(self.0.get());
        }

        pub(crate) unsafe fn destroy(&self) {}
    }

    /// A thread that is to be joined.
    #[derive(Clone, Copy)]
    pub(crate) struct Thread(*mut u8);

    impl Thread {
        pub(crate) const NONE: Thread = Thread(null_mut());

        /// The entry returns a pointer where Windows takes its low 32 bits as the exit code.
        pub(crate) unsafe fn start(entry: Entry, argument: *mut u8) -> Option<Thread> {
            let handle = CreateThread(null_mut(), STACK_BYTES, entry, argument, RESERVE, null_mut());
            if handle.is_null() { None } else { Some(Thread(handle)) }
        }

        pub(crate) unsafe fn join(self) {
            WaitForSingleObject(self.0, FOREVER);
            CloseHandle(self.0);
        }
    }

    pub(crate) fn processor_count() -> i64 {
        // SAFETY: reads a number.
        i64::from(unsafe { GetActiveProcessorCount(ALL_GROUPS) })
    }
}
