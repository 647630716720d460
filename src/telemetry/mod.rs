//! Log set-up: to stderr, without ever waiting for it, and without what others let slip.

mod sink;

use std::io::IsTerminal as _;

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, FilterFn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::config::LogSettings;
use sink::Sink;

const ACCESS: &str = "gatepost::access";
const OURS: &str = env!("CARGO_PKG_NAME");

/// Logging, for as long as it is held. Dropping it writes what is still queued.
#[must_use = "what is still queued is written when this is dropped"]
pub struct Logging {
    sink: Sink,
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.sink.flush();
    }
}

/// Sets up logging for the process: the lines of `tracing` and of the `log` crate, which Pingora
/// uses. A second call leaves the first one's settings.
pub fn init(settings: &LogSettings) -> Logging {
    let sink = Sink::stderr();
    let (filter, invalid) = match EnvFilter::try_new(&settings.filter) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    let subscriber = Registry::default()
        .with(lines(settings, sink.clone()))
        .with(filter)
        .with(FilterFn::new(wanted(settings.access)));
    if subscriber.try_init().is_ok()
        && let Some(error) = invalid
    {
        tracing::warn!(%error, "the log filter is not valid; `info` is used");
    }
    Logging { sink }
}

fn lines<S>(settings: &LogSettings, sink: Sink) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let layer = fmt::layer().with_writer(move || sink.line());
    let for_people = std::io::stderr().is_terminal();
    if settings.json.unwrap_or(!for_people) {
        return layer.json().flatten_event(true).boxed();
    }
    // Colours are for people; `NO_COLOR` is heeded by the layer itself.
    if for_people { layer.compact().boxed() } else { layer.compact().with_ansi(false).boxed() }
}

/// What passes through, access lines included or not.
fn wanted(access: bool) -> impl Fn(&Metadata<'_>) -> bool {
    move |line| may_be_logged(line) && (access || line.target() != ACCESS)
}

/// Whether a line may be logged, whatever the filter asks for.
///
/// Below `warn`, the libraries under us print what passes through them: Pingora up to 2 KiB of a
/// request head that does not parse, h2 whole header frames, the drivers their parameters. Keys
/// are in there. What they warn of is a fault of a connection, told without a request's head.
fn may_be_logged(line: &Metadata<'_>) -> bool {
    let is_ours = line.target().split("::").next() == Some(OURS);
    is_ours || *line.level() <= LevelFilter::WARN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(filter: &str) -> LogSettings {
        LogSettings { filter: filter.into(), json: Some(true), access: true }
    }

    /// The only test that sets the process's logging.
    #[test]
    fn a_filter_cannot_ask_for_what_libraries_print_below_warn() {
        let _logging = init(&settings("trace"));
        assert!(tracing::enabled!(target: "gatepost::directory", tracing::Level::DEBUG));
        assert!(tracing::enabled!(target: "pingora_proxy", tracing::Level::WARN));
        assert!(!tracing::enabled!(target: "pingora_proxy", tracing::Level::INFO));
        assert!(!tracing::enabled!(target: "pingora_core::protocols", tracing::Level::DEBUG));
        assert!(!tracing::enabled!(target: "gatepost_like", tracing::Level::DEBUG));

        // Nor does a second set-up undo it, or panic.
        let _again = init(&settings("pingora_proxy=debug"));
        assert!(!tracing::enabled!(target: "pingora_proxy", tracing::Level::DEBUG));
    }
}
