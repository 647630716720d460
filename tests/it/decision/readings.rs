//! If a request is let in, every reading of its path that an upstream could make is the same
//! route's, or nobody's.
//!
//! The model is an upstream with a router of its own over the same map. It looks at paths and at
//! its map through lenses, any of those that servers are known for, in any order; what it then
//! serves must be what was judged.

use gatepost::decision::{Opening, open};
use gatepost::policy::{Policy, Route, RouteOptions, Segment};
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::fixture::{Request, RouteExt, policy, route};
use super::targets::piece;

/// How a server repairs a path before it looks for a handler.
type Lens = fn(&str) -> String;

const LENSES: [(&str, Lens); 11] = [
    ("as it is", str::to_owned),
    ("decoded", decode),
    ("decoded but for slashes", decode_but_slashes),
    ("lower case", |path| path.to_lowercase()),
    ("upper case", |path| path.to_uppercase()),
    ("NFKC", |path| path.nfkc().collect()),
    ("without parameters", without_parameters),
    ("cut at delimiters", |path| path.split([';', '?', '#', '\0']).next().unwrap_or("").to_owned()),
    ("backslashes turned", |path| path.replace('\\', "/")),
    ("normalised", normalise),
    ("without a slash at the end", |path| path.trim_end_matches('/').to_owned()),
];

fn decode(path: &str) -> String {
    decode_if(path, |_| true)
}

fn decode_but_slashes(path: &str) -> String {
    decode_if(path, |byte| byte != b'/')
}

fn decode_if(path: &str, wanted: impl Fn(u8) -> bool) -> String {
    let mut decoded = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte.filter(|&byte| *first == b'%' && wanted(byte)) {
            Some(byte) => (rest, _) = (&tail[2..], decoded.push(byte)),
            None => (rest, _) = (tail, decoded.push(*first)),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn without_parameters(path: &str) -> String {
    let names = path.split('/').map(|segment| segment.split(';').next().unwrap_or(""));
    names.collect::<Vec<_>>().join("/")
}

/// Dot segments resolved, slashes merged.
fn normalise(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let slash = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    format!("/{}{}", kept.join("/"), if slash && !kept.is_empty() { "/" } else { "" })
}

/// A character that no lens changes stands for what a parameter takes.
const ANY: &str = "\u{e000}";
const REST: &str = "\u{e001}";

/// The pattern of a route, as a text that lenses can be held over.
fn outline(route: &Route) -> String {
    let segments = route.path.segments().iter().map(|segment| match segment {
        Segment::Literal(text) => format!("/{text}"),
        Segment::Param(_) => format!("/{ANY}"),
        Segment::Rest(_) => format!("/{REST}"),
    });
    segments.collect()
}

fn takes(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(REST), Some(first)) => return !first.is_empty() || path.next().is_some(),
            (Some(ANY), Some(segment)) if !segment.is_empty() => {}
            (Some(wanted), Some(segment)) if wanted == segment => {}
            _ => return false,
        }
    }
}

/// Literals before parameters before the rest, as every router has it.
fn rank(pattern: &str) -> Vec<u8> {
    let rank = |segment| match segment {
        REST => 2,
        ANY => 1,
        _ => 0,
    };
    pattern.split('/').map(rank).collect()
}

/// The path pattern that such an upstream serves.
fn served<'r>(routes: &'r [Route], lenses: &[usize], path: &str) -> Option<&'r str> {
    let through =
        |text: &str| lenses.iter().fold(text.to_owned(), |text, &lens| LENSES[lens].1(&text));
    let path = through(path);
    let candidates = routes.iter().map(|route| (through(&outline(route)), route));
    let taking = candidates.filter(|(pattern, _)| takes(pattern, &path));
    let best = taking.min_by_key(|(pattern, _)| rank(pattern));
    best.map(|(_, route)| route.path.as_str())
}

fn routes() -> impl Strategy<Value = Vec<Route>> {
    let segment = prop_oneof![
        3 => prop::sample::select(vec!["a", "a", "admin", "Orders", "caf%C3%A9", "x:y"]),
        2 => Just("{p}"),
    ];
    let end = prop::sample::select(vec!["", "", "/", "/{*rest}"]);
    let exceptions =
        prop::sample::select(vec![(false, false), (true, false), (false, true), (true, true)]);
    let one = (prop::collection::vec(segment, 1..4), end, exceptions).prop_map(
        |(segments, end, (slash, semicolon))| {
            let names = segments.iter().enumerate();
            let path: String = names
                .map(|(n, s)| format!("/{}", s.replace("{p}", &format!("{{p{n}}}"))))
                .collect();
            let allow = |options: &mut RouteOptions| {
                let rest = end == "/{*rest}";
                options.exceptions.encoded_slash = slash && !rest;
                options.exceptions.semicolon = semicolon && !rest;
            };
            route(&format!("{path}{end}")).with(allow)
        },
    );
    prop::collection::vec(one, 1..7).prop_map(|mut routes| {
        routes.sort_by_key(outline);
        routes.dedup_by_key(|route| outline(route));
        routes
    })
}

/// A path that a route takes, in disguise.
fn target(routes: &[Route]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let outlines: Vec<String> = routes.iter().map(outline).collect();
    let filling =
        prop::sample::select(vec!["7", "a", "admin", "Orders", "a;b", "a/b", "a@b", "%20"]);
    let path = (prop::sample::select(outlines), filling)
        .prop_map(|(outline, filling)| outline.replace(ANY, filling).replace(REST, filling));
    let dice = prop::collection::vec(0..16_u8, 64);
    let end = prop::sample::select(vec!["", "", "", "/", ";x", "%20", "?q=/"]);
    let odd = (any::<prop::sample::Index>(), prop::option::weighted(0.2, piece()));
    (path, dice, end, odd).prop_map(|(path, dice, end, (at, odd))| {
        let mut path: Vec<u8> = (disguised(&path, &dice) + end).into_bytes();
        let at = 1 + at.index(path.len());
        path.splice(at..at, odd.unwrap_or_default()).for_each(drop);
        path
    })
}

/// Some characters otherwise written, as the dice fall.
fn disguised(path: &str, dice: &[u8]) -> String {
    let spelled = path.chars().zip(dice).enumerate().map(|(n, (c, dice))| match (c, dice) {
        ('/', 0..4) if n > 0 => "%2f".to_owned(),
        ('/', 4) if n > 0 => ";p/".to_owned(),
        (c, 5) if c.is_alphabetic() => c.to_uppercase().collect(),
        (c, 6) if c.is_alphabetic() => c.to_lowercase().collect(),
        (':', 7) => "%3A".to_owned(),
        (c, _) => c.to_string(),
    });
    spelled.collect()
}

fn route_of(policy: &Policy, target: &[u8]) -> Option<String> {
    let request = Request::get(target);
    match open(&request.view(), policy) {
        Opening::Allow(admission) => Some(admission.route().path.as_str().to_owned()),
        Opening::Ask(_) | Opening::Deny(_) => None,
    }
}

/// Each lens, each two of them, and `more`.
fn lens_sets(more: Vec<usize>) -> impl Iterator<Item = Vec<usize>> {
    let pairs = (0..LENSES.len()).flat_map(|a| (0..LENSES.len()).map(move |b| vec![a, b]));
    pairs.chain([more])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn what_is_let_in_is_read_as_the_same_route_by_everybody(
        (routes, target) in routes().prop_flat_map(|routes| {
            let target = target(&routes);
            (Just(routes), target)
        }),
        more in prop::collection::vec(0..LENSES.len(), 3..6),
    ) {
        let policy = policy(routes.iter().cloned().map(RouteExt::public));
        let Some(judged) = route_of(&policy, &target) else { return Ok(()) };
        let path = String::from_utf8(target).expect("what is let in is ASCII");
        let path = path.split('?').next().unwrap_or_default();
        for lenses in lens_sets(more) {
            let served = served(&routes, &lenses, path);
            let names: Vec<&str> = lenses.iter().map(|&lens| LENSES[lens].0).collect();
            prop_assert!(
                served.is_none_or(|served| served == judged),
                "{path} is judged by {judged}; {names:?}, {served:?} serves it"
            );
        }
    }
}

/// The model has to find what the gate is there to refuse.
#[test]
fn the_lenses_see_what_lenient_servers_see() {
    let routes = [route("/admin"), route("/{*rest}")];
    let lens = |name: &str| LENSES.iter().position(|(own, _)| *own == name).expect(name);
    for (path, lenses) in [
        ("/Admin", &["lower case"][..]),
        ("/%61dmin", &["decoded"]),
        ("/%2561dmin", &["decoded", "decoded"]),
        ("/x/../admin", &["normalised"]),
        ("//admin", &["normalised"]),
        ("/admin/", &["without a slash at the end"]),
        ("/admin;x", &["without parameters"]),
        ("/x%2f..%2fadmin", &["decoded", "normalised"]),
        ("/x\\..\\admin", &["backslashes turned", "normalised"]),
        ("/%EF%BD%81dmin", &["decoded", "NFKC"]),
    ] {
        let lenses: Vec<usize> = lenses.iter().map(|name| lens(name)).collect();
        assert_eq!(served(&routes, &lenses, path), Some("/admin"), "{path}");
        let policy = policy(routes.iter().cloned().map(RouteExt::public));
        assert_eq!(route_of(&policy, path.as_bytes()), None, "{path}");
    }
}
