use http::{HeaderValue, Method};

/// The HTTP method registry of IANA, sorted; without `PRI` and `*`, which it reserves.
const REGISTERED: &[&str] = &[
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "TRACE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// A set of methods registered with IANA.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MethodSet(Vec<Method>);

impl MethodSet {
    /// Whether IANA's registry has this method. Method names are case-sensitive.
    pub fn is_registered(name: &str) -> bool {
        REGISTERED.binary_search(&name).is_ok()
    }

    /// Every registered method, in order: to find the one that was meant.
    pub fn registered() -> &'static [&'static str] {
        REGISTERED
    }

    /// `CONNECT` asks for a tunnel and `TRACE` for the request's own headers, credentials among
    /// them: neither is ever forwarded.
    pub fn is_forwarded(method: &Method) -> bool {
        match *method {
            Method::CONNECT | Method::TRACE => false,
            Method::GET | Method::POST | Method::PUT | Method::DELETE | Method::HEAD => true,
            _ => Self::is_registered(method.as_str()),
        }
    }

    /// The methods given, and `HEAD` wherever `GET` is.
    pub fn new(methods: impl IntoIterator<Item = Method>) -> Self {
        let mut all: Vec<Method> = methods.into_iter().collect();
        if all.contains(&Method::GET) {
            all.push(Method::HEAD);
        }
        all.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        all.dedup();
        Self(all)
    }

    pub fn contains(&self, method: &Method) -> bool {
        self.0.contains(method)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Method> {
        self.0.iter()
    }

    pub fn overlaps(&self, other: &MethodSet) -> bool {
        self.iter().any(|method| other.contains(method))
    }

    /// Whether no forwarded method is left out.
    pub(super) fn is_every_method(&self) -> bool {
        let names = || REGISTERED.iter().filter(|name| !matches!(**name, "CONNECT" | "TRACE"));
        names().all(|name| self.iter().any(|method| method.as_str() == *name))
    }

    /// The value of an `Allow` header.
    pub fn to_allow_header(&self) -> HeaderValue {
        let names: Vec<&str> = self.iter().map(Method::as_str).collect();
        // Methods are tokens, which a header value may hold.
        HeaderValue::try_from(names.join(", ")).unwrap_or(HeaderValue::from_static(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_sorted_as_searching_it_needs() {
        assert!(REGISTERED.is_sorted());
        assert!(REGISTERED.iter().all(|name| MethodSet::is_registered(name)));
        for name in ["get", "FOO", "", "PRI", "*"] {
            assert!(!MethodSet::is_registered(name), "{name}");
        }
    }

    #[test]
    fn get_includes_head() {
        let set = MethodSet::new([Method::POST, Method::GET, Method::GET]);
        assert_eq!(set.to_allow_header(), "GET, HEAD, POST");
        assert!(!MethodSet::new([Method::POST]).contains(&Method::HEAD));
    }

    #[test]
    fn connect_and_trace_and_strangers_are_never_forwarded() {
        for name in ["CONNECT", "TRACE", "FOO", "get", "PRI"] {
            assert!(!MethodSet::is_forwarded(&name.parse().unwrap()), "{name}");
        }
        for name in ["GET", "OPTIONS", "PATCH", "QUERY", "PROPFIND"] {
            assert!(MethodSet::is_forwarded(&name.parse().unwrap()), "{name}");
        }
    }
}
