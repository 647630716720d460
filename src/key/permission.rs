use std::fmt;

/// One concrete permission, `resource:action`, or `admin`, which stands alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Permission(Box<str>);

/// What a role or a key may be given: a permission, `orders:*`, `*:read` or `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern(Box<str>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a permission: {reason}")]
pub struct InvalidPermission {
    pub text: String,
    pub reason: &'static str,
}

impl Permission {
    pub fn parse(text: &str) -> Result<Self, InvalidPermission> {
        let _ = text;
        todo!()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Self, InvalidPermission> {
        let _ = text;
        todo!()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn matches(&self, permission: &Permission) -> bool {
        let _ = permission;
        todo!()
    }

    /// Whether everything that `other` matches, `self` matches too.
    pub fn covers(&self, other: &Pattern) -> bool {
        let _ = other;
        todo!()
    }
}

/// A set of patterns, made for being asked often. The empty set grants nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    patterns: Box<[Pattern]>,
}

impl Grants {
    pub fn allow(&self, permission: &Permission) -> bool {
        let _ = permission;
        todo!()
    }

    pub fn cover(&self, pattern: &Pattern) -> bool {
        let _ = pattern;
        todo!()
    }

    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
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

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The 24 built-in permissions: name, category, description.
pub const BUILT_IN_PERMISSIONS: &[(&str, &str, &str)] = &[];

/// The four built-in roles: name, description, patterns.
pub const BUILT_IN_ROLES: &[(&str, &str, &[&str])] = &[];
