//! Which tier a user has.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;

use crate::config::{LimitSettings, Tier};

/// Names that are warned of once; a file with more gone tiers than this has said enough.
const WARNED: usize = 64;

/// The tiers of one configuration.
#[derive(Debug, Default)]
pub struct Tiers {
    by_name: BTreeMap<Box<str>, Tier>,
    default: Option<Tier>,
    warned: Mutex<BTreeSet<Box<str>>>,
}

impl Tiers {
    pub fn new(settings: &LimitSettings) -> Self {
        let named = |tier: &Tier| (tier.name.clone(), tier.clone());
        let default = settings.default_tier.as_ref();
        let is_default = |tier: &&Tier| Some(&tier.name) == default;
        Self {
            by_name: settings.tiers.iter().map(named).collect(),
            default: settings.tiers.iter().find(is_default).cloned(),
            warned: Mutex::default(),
        }
    }

    /// The tier called `name`, or the default one when that is gone from the file.
    pub fn find(&self, name: &str) -> Option<&Tier> {
        self.by_name.get(name).or_else(|| {
            self.warn(name);
            self.default.as_ref()
        })
    }

    pub fn names(&self) -> Vec<Box<str>> {
        self.by_name.keys().cloned().collect()
    }

    fn warn(&self, name: &str) {
        let mut warned = self.warned.lock();
        if warned.len() < WARNED && !warned.contains(name) {
            warned.insert(name.into());
            let instead = self.default.as_ref().map_or("no tier at all", |tier| &tier.name);
            tracing::warn!(tier = name, instead, "users have a tier that is not configured");
        }
    }
}
