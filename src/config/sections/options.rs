//! What is particular about a route.

use super::cors::cors;
use super::upstreams::MANAGEMENT;
use crate::config::parse::{duration, environment, rate, size};
use crate::config::reader::Section;
use crate::policy::{Exceptions, PathPattern, RouteOptions};

/// What a route's options depend on, as far as it could be read.
pub struct Setting<'r> {
    pub path: Option<&'r PathPattern>,
    pub upstream: Option<&'r str>,
    /// Otherwise every route is in shadow.
    pub enforce: bool,
}

pub fn options(entry: &mut Section<'_>, setting: &Setting<'_>) -> RouteOptions {
    let mut options = RouteOptions {
        websocket: entry.flag("websocket").unwrap_or(false),
        environments: entry.list("environments", environment).unwrap_or_default().into(),
        max_body: entry.read("max_body", size),
        rate: entry.read("rate", rate),
        forward_key: entry.flag("forward_key").unwrap_or(false),
        exceptions: Exceptions {
            encoded_slash: exception(entry, "allow_encoded_slash", setting),
            semicolon: exception(entry, "allow_semicolon", setting),
        },
        cors: entry.table("cors").and_then(cors),
        shadow: shadow(entry, setting),
        // On a route of the operator, `admin` is a name like any other.
        admin_suffices: false,
        ..RouteOptions::default()
    };
    options.grpc = grpc(entry, &options, setting);
    if let Some(mut table) = entry.table("timeouts") {
        options.timeouts.connect = table.read("connect", duration);
        options.timeouts.read = table.read("read", duration);
        options.timeouts.write = table.read("write", duration);
    }
    options
}

impl Setting<'_> {
    fn is_served_here(&self) -> bool {
        self.upstream == Some(MANAGEMENT)
    }
}

/// Where a path takes any rest, nobody can say what its readers make of it.
fn exception(entry: &mut Section<'_>, key: &'static str, setting: &Setting<'_>) -> bool {
    let Some(value) = entry.take(key) else { return false };
    let on = value.flag() == Some(true);
    if on && setting.path.is_some_and(PathPattern::takes_any_rest) {
        let message = format!("`{key}` is impossible on a path that ends with `{{*…}}`");
        let hint = "name the segments, for example /files/{folder}/{file}";
        value.reader().error(value.at(), message, Some(hint.into()));
    }
    on
}

fn shadow(entry: &mut Section<'_>, setting: &Setting<'_>) -> bool {
    let Some(value) = entry.take("shadow").filter(|value| value.flag() == Some(true)) else {
        return !setting.enforce && !setting.is_served_here();
    };
    if setting.is_served_here() {
        let message = "`shadow` has no meaning here: `management` judges every request itself";
        value.reader().error(value.at(), message, Some("remove it".into()));
    } else {
        let message = "the route is in shadow: refusals are noted, and every request passes";
        let hint = "remove `shadow` when the noted refusals are the right ones";
        value.reader().warn(value.at(), message, Some(hint.into()));
    }
    true
}

/// Calls have an upstream that speaks HTTP/2, and nothing to upgrade to.
fn grpc(entry: &mut Section<'_>, options: &RouteOptions, setting: &Setting<'_>) -> bool {
    let Some(value) = entry.take("grpc").filter(|value| value.flag() == Some(true)) else {
        return false;
    };
    if options.websocket || setting.is_served_here() {
        let message = "`grpc` goes neither with `websocket` nor with the upstream `management`";
        value.reader().error(value.at(), message, Some("give it a route of its own".into()));
    }
    true
}
