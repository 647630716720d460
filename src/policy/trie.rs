use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::fold::fold;
use super::path::split_segment;
use super::{Match, MethodSet, Route, Segment};
use http::Method;

/// The routes of one host, by the segments of their paths as the most lenient upstream would read
/// them: folded, and without a slash at the end.
///
/// So all paths that could be taken for one another meet in one node, and a single walk finds the
/// exact match together with everything that a lenient reader would rather match.
#[derive(Debug, Default)]
pub struct Node {
    /// A fixed hash will do: only the configuration puts keys in.
    literals: HashMap<Box<[u8]>, Node, FixedState>,
    param: Option<Box<Node>>,
    /// The paths that end here; more than one can be told apart only by an exact reader.
    ends: Vec<Place>,
    rest: Vec<Place>,
}

/// One path, and its routes: those for certain methods before the one for any.
#[derive(Debug)]
pub struct Place {
    routes: Vec<Arc<Route>>,
}

impl Node {
    /// Routes are to be added in match order.
    pub fn insert(&mut self, route: &Arc<Route>) {
        let mut node = self;
        for segment in route.path.segments() {
            node = match segment {
                // The empty literal after a slash at the end.
                Segment::Literal(text) if text.is_empty() => node,
                Segment::Literal(text) => {
                    node.literals.entry(fold(text.as_bytes()).into()).or_default()
                }
                Segment::Param(_) => node.param.get_or_insert_default(),
                Segment::Rest(_) => return Place::add(&mut node.rest, route),
            };
        }
        Place::add(&mut node.ends, route);
    }

    /// Asks `judge` about the places that the rest of a folded path leads to, most specific
    /// first, until it has an answer.
    ///
    /// Every node has one way to it, so that none is visited twice, and no more than a path's
    /// literals and parameters open.
    pub fn visit<'t, R>(
        &'t self,
        path: &[u8],
        judge: &mut impl FnMut(&'t [Place]) -> Option<R>,
    ) -> Option<R> {
        if path.is_empty() {
            return judge(&self.ends);
        }
        let (segment, rest) = split_segment(path);
        let rest = rest.unwrap_or_default();
        let literal = self.literals.get(segment);
        literal
            .and_then(|child| child.visit(rest, judge))
            .or_else(|| self.param.as_ref().and_then(|child| child.visit(rest, judge)))
            .or_else(|| judge(&self.rest))
    }
}

impl Place {
    fn add(places: &mut Vec<Place>, route: &Arc<Route>) {
        match places.iter_mut().find(|place| place.routes[0].path.same_paths(&route.path)) {
            Some(place) => place.routes.push(Arc::clone(route)),
            None => places.push(Place { routes: vec![Arc::clone(route)] }),
        }
    }

    pub fn matches(&self, path: &[u8]) -> bool {
        self.routes.first().is_some_and(|route| route.path.matches(path))
    }

    pub fn holds(&self, route: &Arc<Route>) -> bool {
        self.routes.iter().any(|own| Arc::ptr_eq(own, route))
    }

    /// The most specific path decides, whether or not it takes the method: a wider route behind
    /// it is not asked, or `DELETE` on a path that only allows `GET` could slip into a catch-all.
    pub fn answer(&self, method: &Method) -> Match<'_> {
        let takes = |route: &&Arc<Route>| match &route.methods {
            Some(methods) => methods.contains(method),
            None => true,
        };
        match self.routes.iter().find(takes) {
            Some(route) => Match::Route(route),
            None => Match::MethodNotAllowed(self.methods()),
        }
    }

    fn methods(&self) -> MethodSet {
        let sets = self.routes.iter().filter_map(|route| route.methods.as_ref());
        MethodSet::new(sets.flat_map(MethodSet::iter).cloned())
    }
}
