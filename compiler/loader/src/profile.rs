//! Time by place: what a model compiled with marks reports while it runs.
//!
//! Such a model calls [`mark`] after each kernel and computation. The time since the last mark of the same thread is that
//! site's; a [`Profile`] adds it up. Nothing is measured outside of [`Profile::record`].

use std::cell::RefCell;
use std::time::{Duration, Instant};

/// Times by site, summed over calls.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// For each site: how often it was reached, and the time that led to it.
    pub sites: Vec<(u64, Duration)>,
}

struct Recording {
    profile: Profile,
    last: Instant,
}

thread_local! {
    static RECORDING: RefCell<Option<Recording>> = const { RefCell::new(None) };
}

impl Profile {
    /// Runs `call` and adds what its marks say.
    pub fn record<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let profile = std::mem::take(self);
        RECORDING.with_borrow_mut(|r| *r = Some(Recording { profile, last: Instant::now() }));
        let result = call();
        if let Some(recording) = RECORDING.take() {
            *self = recording.profile;
        }
        result
    }
}

/// Called by the model: all time since the last mark was spent at `site`.
pub(crate) extern "C" fn mark(site: i64) {
    RECORDING.with_borrow_mut(|recording| {
        let Some(Recording { profile, last }) = recording else { return };
        let Ok(site) = usize::try_from(site) else { return };
        let now = Instant::now();
        if profile.sites.len() <= site {
            profile.sites.resize(site + 1, (0, Duration::ZERO));
        }
        profile.sites[site].0 += 1;
        profile.sites[site].1 += now - *last;
        *last = now;
    });
}
