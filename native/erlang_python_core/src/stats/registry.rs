//! The statistics of all contexts.

use std::ops::Deref;
use std::sync::{Arc, Mutex};

use super::counters::Counts;
use super::{ContextStats, now};
use crate::sync::lock;

/// The statistics of all contexts, including those that have ended.
pub struct Registry(Mutex<Members>);

struct Members {
    living: Vec<Arc<ContextStats>>,
    ended: Counts,
}

impl Registry {
    /// No contexts.
    pub const fn new() -> Self {
        Registry(Mutex::new(Members { living: Vec::new(), ended: Counts::ZERO }))
    }

    /// Adds a new context.
    pub fn add(&'static self) -> Member {
        let stats = Arc::new(ContextStats::new(now()));
        lock(&self.0).living.push(stats.clone());
        Member { registry: self, stats }
    }

    /// Removes a context that nobody counts on any more. Its counts stay in the totals.
    fn retire(&self, stats: &Arc<ContextStats>) {
        let mut members = lock(&self.0);
        let before = members.living.len();
        members.living.retain(|other| !Arc::ptr_eq(other, stats));
        if members.living.len() < before {
            members.ended += stats.counters.counts();
        }
    }

    /// The sums over all contexts since the VM started.
    pub fn totals(&self) -> Counts {
        let members = lock(&self.0);
        members.living.iter().fold(members.ended, |mut sum, stats| {
            sum += stats.counters.counts();
            sum
        })
    }
}

/// The statistics of one context, for as long as the context or one of its requests counts there.
pub struct Member {
    registry: &'static Registry,
    stats: Arc<ContextStats>,
}

impl Deref for Member {
    type Target = ContextStats;

    #[inline]
    fn deref(&self) -> &ContextStats {
        &self.stats
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.registry.retire(&self.stats);
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::counters::Counters;

    #[test]
    fn totals_include_contexts_that_have_ended() {
        static REGISTRY: Registry = Registry::new();
        let (one, two) = (REGISTRY.add(), REGISTRY.add());
        Counters::bump(&one.counters.calls);
        Counters::bump_own(&two.counters.calls);
        Counters::bump(&two.counters.errors);
        drop(two);
        assert_eq!(lock(&REGISTRY.0).living.len(), 1);
        Counters::bump(&one.counters.timeouts);
        assert_eq!(REGISTRY.totals(), Counts { calls: 2, errors: 1, timeouts: 1, ..Counts::default() });
    }
}
