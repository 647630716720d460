//! Secrets of a configuration and of the program: no way to print them, however they are held.

use std::fmt::{Debug, Display};

use gatepost::config::{SharedSettings, StoreUrl, WebhookSecret, WebhookUrl};
use gatepost::key::{IdKey, MintedKey, Secret};
use gatepost::secret_key::{SecretKey, SecretKeys};
use gatepost::store::ChainKeys;
use serde::Serialize;

use super::{File, MINIMAL};

/// Whether a type implements a trait, as the compiler sees it: it takes the constant of the type
/// itself, which is there only for those that do, before the trait's, which is always there.
macro_rules! implements {
    ($type:ty, $trait:path) => {{
        #[allow(dead_code, reason = "only one of the two constants is ever taken")]
        trait Otherwise {
            const ANSWER: bool = false;
        }
        #[allow(dead_code, reason = "it exists as a type alone")]
        struct Asked<T: ?Sized>(std::marker::PhantomData<T>);
        impl<T: ?Sized> Otherwise for Asked<T> {}
        #[allow(dead_code, reason = "only one of the two constants is ever taken")]
        impl<T: ?Sized + $trait> Asked<T> {
            const ANSWER: bool = true;
        }
        <Asked<$type>>::ANSWER
    }};
}

macro_rules! none_implements {
    ($trait:path: $($type:ty),+ $(,)?) => {
        $(assert!(
            !implements!($type, $trait),
            "{} has {}", stringify!($type), stringify!($trait),
        );)+
    };
}

#[test]
fn what_holds_a_secret_can_neither_be_shown_nor_written_out() {
    assert!(implements!(String, Display) && implements!(String, Serialize), "it can tell");
    none_implements!(Display: Secret, MintedKey, IdKey, SecretKey, SecretKeys, ChainKeys);
    none_implements!(Display: StoreUrl, SharedSettings, WebhookUrl, WebhookSecret);
    none_implements!(Serialize: Secret, MintedKey, IdKey, SecretKey, SecretKeys, ChainKeys);
    none_implements!(Serialize: StoreUrl, SharedSettings, WebhookUrl, WebhookSecret);
}

#[test]
fn what_has_one_holder_cannot_be_copied() {
    none_implements!(Clone: Secret, MintedKey, SecretKey, SecretKeys, ChainKeys);
}

#[test]
fn what_nobody_needs_to_debug_has_no_debug() {
    none_implements!(Debug: SecretKeys, ChainKeys);
    let key = SecretKey::parse("0123456789abcdef0123456789abcdef").unwrap();
    assert_eq!(format!("{key:?}"), "SecretKey([redacted])");
}

#[test]
fn a_configuration_can_be_debugged_without_its_secrets() {
    let text = MINIMAL.replace("sqlite://gatepost.db", "postgres://app:hunter2@db/app");
    let file = File::new(format!(
        "{text}\n[limits]\nbackend = \"redis://:hunter3@cache/0\"\n[[webhooks]]\nurl = \
         \"https://alerts.example.com/hooks/hunter4\"\nsecret = \"hunter5-of-two-dozen-bytes\"\n"
    ));
    let config = file.load();
    let shown = format!("{config:?}\n{config:#?}");
    assert!(shown.contains("alerts.example.com"), "what is no secret is there: {shown}");
    assert!(!shown.contains("hunter"), "{shown}");
}
