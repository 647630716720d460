//! Nobody gives more than they have: not to a key, not to a role, not through a role to a user.

use super::caller::Caller;
use super::plane::ControlPlane;
use super::wire::{ApiError, Whose};
use crate::key::{Grants, KeyRecord, Pattern};

/// Whether the caller has everything that `patterns` would give: with this key and by their
/// roles, as for every other use of a key.
pub(super) fn check_giver(caller: &Caller, patterns: &[Pattern]) -> Result<(), ApiError> {
    within(patterns, Whose::Giver, |pattern| has(&caller.key, pattern))
}

/// Whether the roles of a key's owner grant everything that `patterns` would let the key do.
pub(super) fn check_owner(owner: &Grants, patterns: &[Pattern]) -> Result<(), ApiError> {
    within(patterns, Whose::Owner, |pattern| owner.cover(pattern))
}

/// Whether the caller has everything that `roles` grant. The role `admin` grants `*`, so only
/// who holds `*` can give it.
pub(super) async fn check_roles(
    plane: &ControlPlane,
    caller: &Caller,
    roles: &[String],
) -> Result<(), ApiError> {
    for name in roles {
        let role = plane.store().role(name).await?;
        let role =
            role.ok_or_else(|| ApiError::field("roles", format!("names no role `{name}`")))?;
        check_giver(caller, &role.permissions)?;
    }
    Ok(())
}

/// What a user's roles grant together. A role that has just gone grants nothing.
pub(super) async fn grants_of(plane: &ControlPlane, roles: &[String]) -> Result<Grants, ApiError> {
    let mut patterns = Vec::new();
    for name in roles {
        if let Some(role) = plane.store().role(name).await? {
            patterns.extend(role.permissions);
        }
    }
    Ok(patterns.into_iter().collect())
}

fn has(key: &KeyRecord, pattern: &Pattern) -> bool {
    key.permissions.cover(pattern) && key.owner.grants.cover(pattern)
}

fn within(
    patterns: &[Pattern],
    whose: Whose,
    covered: impl Fn(&Pattern) -> bool,
) -> Result<(), ApiError> {
    match patterns.iter().find(|pattern| !covered(pattern)) {
        None => Ok(()),
        Some(first) => Err(ApiError::ExceedsOwnPermissions { pattern: first.clone(), whose }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::management::caller::tests::caller;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
    }

    fn refused(result: Result<(), ApiError>) -> Option<(String, Whose)> {
        match result {
            Ok(()) => None,
            Err(ApiError::ExceedsOwnPermissions { pattern, whose }) => {
                Some((pattern.to_string(), whose))
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_giver_needs_it_in_the_key_and_in_the_roles() {
        let giving = |key: &[&str], roles: &[&str], given: &[&str]| {
            refused(check_giver(&caller(key, roles), &patterns(given))).map(|(pattern, _)| pattern)
        };
        assert_eq!(giving(&["orders:*"], &["*"], &["orders:read", "orders:*"]), None);
        assert_eq!(giving(&["orders:*"], &["orders:read"], &["orders:*"]).unwrap(), "orders:*");
        assert_eq!(giving(&["orders:read"], &["*"], &["orders:delete"]).unwrap(), "orders:delete");
        assert_eq!(giving(&["*"], &["*"], &["*"]), None);
        assert_eq!(giving(&["admin"], &["*"], &["*"]).unwrap(), "*");
        assert_eq!(giving(&[], &[], &[]), None);
    }

    #[test]
    fn the_first_that_is_too_much_is_named() {
        let given = patterns(&["orders:read", "users:read", "users:delete"]);
        let result = check_giver(&caller(&["orders:*"], &["orders:*"]), &given);
        assert_eq!(refused(result), Some(("users:read".into(), Whose::Giver)));
    }

    #[test]
    fn a_mighty_giver_cannot_make_a_key_mightier_than_its_owner() {
        let owner: Grants = patterns(&["orders:read"]).into_iter().collect();
        assert_eq!(refused(check_owner(&owner, &patterns(&["orders:read"]))), None);
        let result = check_owner(&owner, &patterns(&["orders:*"]));
        assert_eq!(refused(result), Some(("orders:*".into(), Whose::Owner)));
    }
}
