//! The TOML file, parsed into types that cannot be wrong; every mistake at once, with its place.
//!
//! A setting comes from the environment (`GATEPOST_<SECTION>_<KEY>`, or the content of the file
//! that `…_FILE` names), else from the file, else from [`defaults`], value by value.

mod defaults;
mod load;
mod parse;
mod problem;
mod reader;
mod sections;
mod settings;

use std::collections::BTreeMap;

pub use load::ConfigError;
pub use problem::{Problem, Problems, Severity};
pub use settings::{
    Balance, CacheSettings, Certificate, Config, HealthCheck, IdentityHeader, LimitSettings,
    Listen, LogSettings, ManagementSettings, PolicyTest, ProxySettings, Server, SharedSettings,
    StoreSettings, StoreUrl, Tier, Upstream, UsageSettings, Webhook, WebhookSecret, WebhookUrl,
};

/// Environment variables by name; they come in as an argument.
pub type Environment = BTreeMap<String, String>;
