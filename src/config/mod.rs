//! The TOML file, parsed into types that cannot be wrong; every mistake at once, with its place.

mod problem;
mod settings;

pub use problem::{Problem, Problems, Severity};
pub use settings::{
    Balance, CacheSettings, Config, ConfigError, HealthCheck, Listen, LogSettings,
    ManagementSettings, PolicyTest, ProxySettings, Server, StoreSettings, StoreUrl, Upstream,
    UsageSettings,
};
