use std::collections::BTreeMap;

use super::fold::fold;
use super::{MethodSet, Route, Segment};

/// Two routes that cannot stand beside each other, by their index in the list given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conflict {
    /// Equal in host, path and a method.
    Equal { first: usize, second: usize },
    /// `second` can never match: `first` takes everything it would.
    Shadowed { first: usize, second: usize },
    /// The two differ only in case or a trailing slash: every request to either is refused.
    Lookalike { first: usize, second: usize },
}

/// A host and a path as the most lenient reader sees them.
type Key<'r> = (Option<&'r str>, Vec<Step>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Literal(Box<[u8]>),
    Param,
    Rest,
}

/// Every conflict, in the order of the second route.
pub fn conflicts(routes: &[Route]) -> Vec<Conflict> {
    let mut places: BTreeMap<Key<'_>, Vec<usize>> = BTreeMap::new();
    for (index, route) in routes.iter().enumerate() {
        places.entry(key(route)).or_default().push(index);
    }
    let mut found = Vec::new();
    for (key, here) in &places {
        found.extend(
            here.iter()
                .enumerate()
                .filter_map(|(n, &second)| conflict_with_earlier(routes, &here[..n], second)),
        );
        found.extend(all_methods_taken(routes, here));
        found.extend(rest_taken(&places, key, here));
    }
    found.sort_by_key(|conflict| conflict.second());
    found
}

impl Conflict {
    fn second(&self) -> usize {
        match *self {
            Conflict::Equal { second, .. }
            | Conflict::Shadowed { second, .. }
            | Conflict::Lookalike { second, .. } => second,
        }
    }
}

fn key(route: &Route) -> Key<'_> {
    let step = |segment: &Segment| match segment {
        // The empty literal after a slash at the end.
        Segment::Literal(text) if text.is_empty() => None,
        Segment::Literal(text) => Some(Step::Literal(fold(text.as_bytes()).into())),
        Segment::Param(_) => Some(Step::Param),
        Segment::Rest(_) => Some(Step::Rest),
    };
    let host = route.host.as_ref().map(|host| host.as_str());
    (host, route.path.segments().iter().filter_map(step).collect())
}

/// `earlier` and `second` look alike to a lenient reader: are they equal, or only similar?
fn conflict_with_earlier(routes: &[Route], earlier: &[usize], second: usize) -> Option<Conflict> {
    let route = &routes[second];
    let same_path = |&&first: &&usize| routes[first].path.same_paths(&route.path);
    let equal = |&&first: &&usize| match (&routes[first].methods, &route.methods) {
        (None, None) => true,
        (Some(a), Some(b)) => a.overlaps(b),
        _ => false,
    };
    if let Some(&first) = earlier.iter().filter(same_path).find(equal) {
        return Some(Conflict::Equal { first, second });
    }
    let other_path = |first: &&usize| !same_path(first);
    earlier.iter().find(other_path).map(|&first| Conflict::Lookalike { first, second })
}

/// The route for any method is dead where others leave it none.
fn all_methods_taken(routes: &[Route], here: &[usize]) -> Option<Conflict> {
    let second = *here.iter().find(|&&i| routes[i].methods.is_none())?;
    let sets = here.iter().filter_map(|&i| routes[i].methods.as_ref());
    let taken = MethodSet::new(sets.flat_map(MethodSet::iter).cloned());
    let first = *here.iter().find(|&&i| i != second)?;
    taken.is_every_method().then_some(Conflict::Shadowed { first, second })
}

/// `/a/{*rest}` is dead beside `/a/{x}` and `/a/{x}/{*rest}`, at any depth: the two take one
/// segment and more than one.
fn rest_taken(
    places: &BTreeMap<Key<'_>, Vec<usize>>,
    (host, steps): &Key<'_>,
    here: &[usize],
) -> Option<Conflict> {
    let (Step::Rest, prefix) = steps.split_last()? else { return None };
    let mut path = prefix.to_vec();
    loop {
        path.push(Step::Param);
        places.get(&(*host, path.clone()))?;
        let wider: Vec<Step> = path.iter().cloned().chain([Step::Rest]).collect();
        if let Some(first) = places.get(&(*host, wider)).and_then(|routes| routes.first()) {
            return Some(Conflict::Shadowed { first: *first, second: *here.first()? });
        }
    }
}
