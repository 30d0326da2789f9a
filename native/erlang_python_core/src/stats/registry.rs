//! The statistics of all contexts.

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
    pub fn add(&self) -> Arc<ContextStats> {
        let stats = Arc::new(ContextStats::new(now()));
        lock(&self.0).living.push(stats.clone());
        stats
    }

    /// Removes a context that has ended. Its counts stay in the totals.
    pub fn retire(&self, stats: &Arc<ContextStats>) {
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
        let registry = Registry::new();
        let (one, two) = (registry.add(), registry.add());
        Counters::bump(&one.counters.calls);
        Counters::bump_own(&two.counters.calls);
        Counters::bump(&two.counters.errors);
        registry.retire(&two);
        registry.retire(&two);
        assert_eq!(registry.totals(), Counts { calls: 2, errors: 1, ..Counts::default() });
    }
}
