//! `[tiers.NAME]` and `[limits]`.

use crate::config::parse::{duration, entry_name, nearest, quota, rate, redis_url};
use crate::config::reader::{Section, Value};
use crate::config::{LimitSettings, SharedSettings, Tier, defaults};
use crate::key::{Quota, Rate};

const MAX_BURST: u64 = 1_000_000;

/// A hundred and eighty bytes each: 18 GB.
const MAX_LIMITERS: u64 = 100_000_000;

pub fn limits(root: &mut Section<'_>) -> LimitSettings {
    let tiers: Vec<Tier> = root.named("tiers").into_iter().filter_map(tier).collect();
    let mut section = root.section("limits");
    let default_tier = section.take("default_tier").and_then(|value| known(&value, &tiers));
    let budget = section.read("backend_budget", duration);
    let backend = section.take("backend").and_then(|value| value.hidden().parse(redis_url));
    let most = section.count("max_limiters", 1..=MAX_LIMITERS).map(|most| most as usize);
    LimitSettings {
        // Somebody whose tier is gone is held to something, not to nothing.
        default_tier: default_tier.or_else(|| Some(tiers.first()?.name.clone())),
        tiers,
        backend: backend
            .map(|url| SharedSettings { url, budget: budget.unwrap_or(defaults::BACKEND_BUDGET) }),
        max_limiters: most.unwrap_or(defaults::MAX_LIMITERS),
    }
}

fn tier((name, mut section): (Value<'_>, Section<'_>)) -> Option<Tier> {
    let rate = section.read("rate", rate);
    let burst = section.take("burst");
    let quota = section.read("quota", quota).unwrap_or(Quota::Unlimited);
    if let Some(burst) = burst.as_ref().filter(|_| rate.is_none()) {
        let hint = "add rate = \"60/min\", or remove it";
        burst.reader().error(burst.at(), "`burst` says nothing without `rate`", Some(hint.into()));
    }
    let burst = burst.and_then(|value| value.count(1..=MAX_BURST));
    let rate = rate.map(|rate| Rate { burst: burst.unwrap_or(rate.burst), ..rate });
    Some(Tier { name: name.parse(entry_name)?, rate, quota })
}

fn known(value: &Value<'_>, tiers: &[Tier]) -> Option<Box<str>> {
    let name = value.parse(entry_name)?;
    if tiers.iter().any(|tier| tier.name == name) {
        return Some(name);
    }
    let names = || tiers.iter().map(|tier| &*tier.name);
    let hint = nearest(&name, names()).unwrap_or_else(|| match tiers {
        [] => "there are none: add [tiers.free] with a rate or a quota".into(),
        _ => format!("known are {}", names().collect::<Vec<_>>().join(", ")),
    });
    value.reader().absent(value.at(), format!("`{}` is not a tier", value.shown()), Some(hint));
    None
}
