use std::time::Duration;

use http::HeaderValue;

use super::MethodSet;

/// Who may call a route from a browser, and how: what the CORS protocol asks of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    pub origins: Origins,
    /// `None` is those of the route.
    pub methods: Option<MethodSet>,
    /// The value of `Access-Control-Allow-Headers`.
    pub headers: HeaderValue,
    /// How long a browser may remember it.
    pub max_age: Duration,
    /// Scripts may see what is answered to the browser's own cookies. Never with [`Origins::Any`].
    pub credentials: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    Any,
    /// `scheme://host[:port]`, as browsers send them.
    These(Box<[HeaderValue]>),
}

impl Origins {
    /// The value of `Access-Control-Allow-Origin` for a script of `origin`.
    pub fn allow(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match self {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::These(known) => known.iter().find(|known| *known == origin).cloned(),
        }
    }
}
