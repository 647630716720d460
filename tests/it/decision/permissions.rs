use gatepost::key::{Grants, Pattern, Permission};
use proptest::prelude::*;

/// Few names, so that they meet.
fn permission() -> impl Strategy<Value = Permission> {
    let text = prop_oneof![9 => "[ab]b?:[ab]b?", 1 => Just("admin".to_owned())];
    text.prop_map(|text| Permission::parse(&text).expect("a permission"))
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let text = prop_oneof![
        6 => "[ab]b?:[ab]b?",
        3 => "[ab]b?:\\*",
        3 => "\\*:[ab]b?",
        1 => Just("*".to_owned()),
        1 => Just("admin".to_owned()),
    ];
    text.prop_map(|text| Pattern::parse(&text).expect("a pattern"))
}

/// Every permission of these names, and of one that no pattern mentions: it stands for all others.
fn universe() -> Vec<Permission> {
    let names = ["a", "ab", "b", "bb", "other"];
    let pairs = names.iter().flat_map(|r| names.iter().map(move |a| format!("{r}:{a}")));
    let texts = pairs.chain(["admin".to_owned()]);
    texts.map(|text| Permission::parse(&text).expect("a permission")).collect()
}

proptest! {
    #[test]
    fn anything_is_a_permission_or_is_refused(text in "\\PC*") {
        if let Ok(permission) = Permission::parse(&text) {
            prop_assert_eq!(permission.as_str(), &text);
        }
        let _ = Pattern::parse(&text);
    }

    #[test]
    fn a_permission_is_the_pattern_of_itself_alone(a in permission(), b in permission()) {
        prop_assert_eq!(Pattern::from(a.clone()).matches(&b), a == b);
    }

    #[test]
    fn covering_is_matching_everything_the_other_matches(wide in pattern(), narrow in pattern()) {
        let inside = universe().into_iter().filter(|permission| narrow.matches(permission));
        prop_assert_eq!(wide.covers(&narrow), inside.into_iter().all(|p| wide.matches(&p)));
    }

    #[test]
    fn a_set_allows_what_one_of_its_patterns_matches(
        patterns in prop::collection::vec(pattern(), 0..6),
        asked in permission(),
        given in pattern(),
    ) {
        let set: Grants = patterns.iter().cloned().collect();
        prop_assert_eq!(set.allow(&asked), patterns.iter().any(|p| p.matches(&asked)));
        prop_assert_eq!(set.cover(&given), patterns.iter().any(|p| p.covers(&given)));
    }
}
