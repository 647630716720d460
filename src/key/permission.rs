use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest resource or action.
const MAX_SIDE: usize = 64;

const ADMIN: &str = "admin";

/// One concrete permission, `resource:action`, or `admin`, which stands alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Permission(Box<str>);

/// What a role or a key may be given: a permission, `orders:*`, `*:read` or `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Box<str>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a permission: {reason}")]
pub struct InvalidPermission {
    pub text: String,
    pub reason: &'static str,
}

impl Permission {
    pub fn parse(text: &str) -> Result<Self, InvalidPermission> {
        if text.contains('*') {
            return Err(invalid(text, "`*` is for roles and keys; here it takes one name"));
        }
        check(text, is_name)?;
        Ok(Self(text.into()))
    }

    /// The one without a resource. On management endpoints it implies the others.
    pub fn admin() -> Self {
        Self(ADMIN.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Self, InvalidPermission> {
        if text == "*:*" {
            return Err(invalid(text, "write `*` for everything"));
        }
        if text != "*" {
            check(text, |side| side == "*" || is_name(side))?;
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn matches(&self, permission: &Permission) -> bool {
        covers(&self.0, &permission.0)
    }

    /// Whether everything that `other` matches, `self` matches too.
    pub fn covers(&self, other: &Pattern) -> bool {
        covers(&self.0, &other.0)
    }
}

/// `admin` has no sides, so that only `admin` and `*` reach it. Actions and resources are open
/// sets: `orders:*` is covered by nothing less than itself.
fn covers(pattern: &str, other: &str) -> bool {
    if pattern == "*" || pattern == other {
        return true;
    }
    let (Some((resource, action)), Some((other_resource, other_action))) =
        (pattern.split_once(':'), other.split_once(':'))
    else {
        return false;
    };
    (resource == "*" || resource == other_resource) && (action == "*" || action == other_action)
}

fn check(text: &str, is_side: impl Fn(&str) -> bool) -> Result<(), InvalidPermission> {
    if text == ADMIN {
        return Ok(());
    }
    let Some((resource, action)) = text.split_once(':') else {
        return Err(invalid(text, "it is `resource:action`, or `admin`"));
    };
    if resource.len() > MAX_SIDE || action.len() > MAX_SIDE {
        return Err(invalid(text, "each side is at most 64 characters"));
    }
    if !is_side(resource) || !is_side(action) {
        return Err(invalid(text, "each side is a-z, 0-9 and _, and begins with a letter"));
    }
    Ok(())
}

fn is_name(side: &str) -> bool {
    side.starts_with(|c: char| c.is_ascii_lowercase())
        && side.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// The text is cut: it may be a megabyte of anything.
fn invalid(text: &str, reason: &'static str) -> InvalidPermission {
    InvalidPermission { text: text.chars().take(2 * MAX_SIDE + 1).collect(), reason }
}

/// A set of patterns, made for being asked often. The empty set grants nothing.
///
/// The patterns are sorted, and a permission is matched by at most four of them (`*`, itself,
/// its resource's, its action's): each is one binary search, and nothing is kept besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    patterns: Box<[Pattern]>,
}

impl Grants {
    pub fn allow(&self, permission: &Permission) -> bool {
        self.hold_one_that_covers(&permission.0)
    }

    pub fn cover(&self, pattern: &Pattern) -> bool {
        self.hold_one_that_covers(&pattern.0)
    }

    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    fn hold_one_that_covers(&self, text: &str) -> bool {
        // `*` sorts before every other pattern.
        if self.patterns.first().is_none_or(|first| &*first.0 == "*") {
            return !self.patterns.is_empty();
        }
        self.hold([text, ""])
            || match text.split_once(':') {
                Some((resource, action)) => {
                    self.hold([resource, ":*"]) || self.hold(["*:", action])
                }
                None => false,
            }
    }

    fn hold(&self, [head, tail]: [&str; 2]) -> bool {
        let wanted = || head.bytes().chain(tail.bytes());
        self.patterns.binary_search_by(|held| held.0.bytes().cmp(wanted())).is_ok()
    }
}

impl FromIterator<Pattern> for Grants {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        let mut patterns: Vec<_> = patterns.into_iter().collect();
        patterns.sort();
        patterns.dedup();
        Self { patterns: patterns.into() }
    }
}

/// A permission is the pattern that matches it alone.
impl From<Permission> for Pattern {
    fn from(permission: Permission) -> Self {
        Self(permission.0)
    }
}

macro_rules! travels_as_a_string {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = InvalidPermission;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

travels_as_a_string!(Permission);
travels_as_a_string!(Pattern);

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(text: &str) -> Permission {
        Permission::parse(text).unwrap()
    }

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    fn grants(texts: &[&str]) -> Grants {
        texts.iter().map(|text| pattern(text)).collect()
    }

    #[test]
    fn permissions_name_one_thing() {
        for good in ["orders:read", "api_keys:rotate", "a:b", "a1_:b2", "admin"] {
            assert_eq!(permission(good).as_str(), good);
        }
        for bad in [
            "",
            "*",
            ":",
            "orders",
            "orders:",
            ":read",
            "orders:*",
            "*:read",
            "Orders:read",
            "orders:read:all",
            "1orders:read",
            "_a:b",
            "orders: read",
            "órders:read",
            "Admin",
            "orders:read\n",
            "orders.read",
            "admin:",
            "a-b:c",
        ] {
            assert!(Permission::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Permission::parse(&format!("{0}:{0}", "a".repeat(64))).is_ok());
        assert!(Permission::parse(&format!("{}:b", "a".repeat(65))).is_err());
    }

    #[test]
    fn patterns_wildcard_a_whole_side_or_everything() {
        for good in ["*", "orders:*", "*:read", "orders:read", "admin"] {
            assert_eq!(pattern(good).as_str(), good);
        }
        for bad in ["**", "ord*:read", "orders:re*", "*:", ":*", "orders", ""] {
            assert!(Pattern::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Pattern::parse("*:*").unwrap_err().reason, "write `*` for everything");
    }

    #[test]
    fn a_megabyte_is_refused_with_a_short_message() {
        let error = Pattern::parse(&"é".repeat(500_000)).unwrap_err();
        assert!(error.to_string().len() < 400);
    }

    #[test]
    fn admin_stands_alone() {
        let admin = permission("admin");
        assert!(grants(&["*"]).allow(&admin));
        assert!(grants(&["admin"]).allow(&admin));
        assert!(!grants(&["orders:*", "*:read", "users:delete"]).allow(&admin));
        assert!(!grants(&["admin"]).allow(&permission("orders:read")));
    }

    #[test]
    fn nothing_grants_nothing() {
        assert!(!grants(&[]).allow(&permission("orders:read")));
        assert!(!grants(&[]).cover(&pattern("*")));
    }

    #[test]
    fn a_set_answers_for_each_kind_of_pattern() {
        let set = grants(&["users:delete", "orders:*", "*:read", "admin"]);
        for yes in ["users:delete", "orders:cancel", "orders:read", "stock:read", "admin"] {
            assert!(set.allow(&permission(yes)), "{yes}");
        }
        for no in ["users:update", "order:cancel", "orders2:cancel", "stock:reads"] {
            assert!(!set.allow(&permission(no)), "{no}");
        }
        assert!(set.cover(&pattern("orders:*")) && set.cover(&pattern("*:read")));
        assert!(!set.cover(&pattern("users:*")) && !set.cover(&pattern("*")));
    }
}
