//! What a decision may see of a request: the bytes that will be forwarded, and nothing else.

use std::net::IpAddr;

use http::{HeaderMap, Method, Version};

/// A borrowed view of one request head.
///
/// Every door builds it from what it will forward, so that what is judged is what is served.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    pub method: &'a Method,
    /// The request target exactly as it arrived and will be forwarded: path and query, undecoded.
    pub target: &'a [u8],
    /// `:authority` of HTTP/2, or the authority of an absolute-form target. `None` for origin-form.
    pub authority: Option<&'a str>,
    pub version: Version,
    pub headers: &'a HeaderMap,
    /// The HTTP/1 head as it came from the wire, where the door has it. A framework may repair
    /// framing faults before it shows the headers; here they are still visible.
    pub raw_head: Option<&'a [u8]>,
    /// The client's address: the socket's peer, or what a trusted proxy says it is.
    pub client: IpAddr,
}

impl<'a> RequestView<'a> {
    /// The path: the target up to the first `?`.
    pub fn path(&self) -> &'a [u8] {
        let end = memchr::memchr(b'?', self.target).unwrap_or(self.target.len());
        &self.target[..end]
    }

    /// The query without its `?`, if there is one.
    pub fn query(&self) -> Option<&'a [u8]> {
        let start = memchr::memchr(b'?', self.target)?;
        Some(&self.target[start + 1..])
    }
}
