//! Who is calling, signed: a JWT that an upstream can check without trusting the network between.
//!
//! One is signed for a caller, an upstream and what was granted, and serves their requests for
//! half its life: so signing is off the hot path, and what arrives is good for half a minute yet.

use std::hash::BuildHasher;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use foldhash::fast::FixedState;
use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use moka::sync::Cache;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::key::{KeyRecord, Permission};
use crate::secret_key::{SecretKey, SecretKeys};

/// From `iat` to `exp`.
const LIFE: SignedDuration = SignedDuration::from_secs(60);

/// For so long one is used again.
const REUSED: SignedDuration = SignedDuration::from_secs(30);

/// As many as are kept; who is not among them has one signed.
const KEPT: u64 = 16 * 1024;

/// Signs assertions, and tells how to check them.
pub struct Assertions {
    signer: Signer,
    key_set: Value,
    kept: Cache<u64, Arc<Assertion>>,
}

/// What one assertion says of a request.
#[derive(Clone, Copy)]
pub struct Claims<'a> {
    /// The realm.
    pub issuer: &'a str,
    /// The upstream.
    pub audience: &'a str,
    pub key: &'a KeyRecord,
    /// The required permissions that matched.
    pub permissions: &'a [Permission],
}

struct Assertion {
    issuer: Box<str>,
    audience: Box<str>,
    key_id: Uuid,
    permissions: Box<[Permission]>,
    issued_at: Timestamp,
    header: HeaderValue,
}

impl Assertions {
    /// With the key of the current secret; that of the previous one can still be looked up.
    pub fn new(secrets: &SecretKeys) -> Self {
        let signer = Signer::new(&secrets.current);
        let previous = secrets.previous.as_ref().map(Signer::new);
        let keys: Vec<_> = [Some(&signer), previous.as_ref()]
            .into_iter()
            .flatten()
            .map(Signer::public_key)
            .collect();
        Self { key_set: json!({ "keys": keys }), signer, kept: Cache::new(KEPT) }
    }

    /// The public keys, as a JWK set (RFC 7517).
    pub fn key_set(&self) -> &Value {
        &self.key_set
    }

    /// The assertion of `claims`, signed now or a moment before.
    pub fn of(&self, claims: &Claims<'_>, now: Timestamp) -> HeaderValue {
        let place = claims.place();
        if let Some(kept) = self.kept.get(&place)
            && kept.serves(claims, now)
        {
            return kept.header.clone();
        }
        let header = self.signer.sign(claims, now);
        let assertion = Assertion {
            issuer: claims.issuer.into(),
            audience: claims.audience.into(),
            key_id: claims.key.id,
            permissions: claims.permissions.into(),
            issued_at: now,
            header: header.clone(),
        };
        self.kept.insert(place, Arc::new(assertion));
        header
    }
}

impl Claims<'_> {
    fn place(&self) -> u64 {
        let claims = (self.issuer, self.audience, self.key.id, self.permissions);
        FixedState::default().hash_one(claims)
    }
}

impl Assertion {
    /// Two that share a place take turns; neither is ever given for the other.
    fn serves(&self, claims: &Claims<'_>, now: Timestamp) -> bool {
        let age = now.duration_since(self.issued_at);
        *self.issuer == *claims.issuer
            && *self.audience == *claims.audience
            && self.key_id == claims.key.id
            && *self.permissions == *claims.permissions
            && (SignedDuration::ZERO..REUSED).contains(&age)
    }
}

/// An Ed25519 key (RFC 8032), and the name by which checkers find it.
struct Signer {
    pair: Ed25519KeyPair,
    /// The JWK thumbprint (RFC 7638).
    id: String,
}

#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    sub: Uuid,
    aud: &'a str,
    iat: i64,
    exp: i64,
    jti: Uuid,
    key_id: Uuid,
    permissions: &'a [Permission],
}

impl Signer {
    fn new(secret: &SecretKey) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&*secret.assertion_seed())
            .expect("every 32 bytes are an Ed25519 seed");
        let x = base64(pair.public_key().as_ref());
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        Self { pair, id: base64(&Sha256::digest(canonical)) }
    }

    fn public_key(&self) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.id,
            "x": base64(self.pair.public_key().as_ref()),
        })
    }

    /// A JWS in compact form (RFC 7515).
    fn sign(&self, claims: &Claims<'_>, now: Timestamp) -> HeaderValue {
        let issued = now.as_second();
        let payload = Payload {
            iss: claims.issuer,
            sub: claims.key.owner.id,
            aud: claims.audience,
            iat: issued,
            exp: issued + LIFE.as_secs(),
            jti: Uuid::now_v7(),
            key_id: claims.key.id,
            permissions: claims.permissions,
        };
        let head = json!({ "alg": "EdDSA", "kid": self.id, "typ": "JWT" });
        let signed = format!("{}.{}", part(&head), part(&payload));
        let signature = self.pair.sign(signed.as_bytes());
        HeaderValue::from_str(&format!("{signed}.{}", base64(signature.as_ref())))
            .expect("base64 and dots are a header value")
    }
}

fn part(json: &impl Serialize) -> String {
    base64(&serde_json::to_vec(json).expect("it has no map whose keys are not texts"))
}

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;
    use crate::key::{Digest, Environment, Owner};

    const SECRET: &str = "2f6b1c9e84d07a35b8e1f4029c7d6a5031e8b7f2c4d90a61";
    const OLD_SECRET: &str = "c41d7a90be5f2683e70419fd8ab6c25d3e1f70948b6a5c2d";

    fn assertions(current: &str, previous: Option<&str>) -> Assertions {
        let parse = |text: &str| SecretKey::parse(text).unwrap();
        Assertions::new(&SecretKeys { current: parse(current), previous: previous.map(parse) })
    }

    fn record(id: u128) -> KeyRecord {
        KeyRecord {
            id: Uuid::from_u128(id),
            lookup_id: None,
            digest: Digest::of(b"a key"),
            name: "test".into(),
            environment: Environment::default(),
            permissions: [].into_iter().collect(),
            allowed_ips: Box::default(),
            expires_at: None,
            disabled: false,
            revoked_at: None,
            rate: None,
            quota: None,
            owner: Owner {
                id: Uuid::from_u128(id + 1),
                email: "a@example.com".into(),
                tier: None,
                lock: None,
                disabled: false,
                roles: Box::default(),
                grants: [].into_iter().collect(),
            },
        }
    }

    fn permissions(names: &[&str]) -> Vec<Permission> {
        names.iter().map(|name| Permission::parse(name).unwrap()).collect()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn ask(assertions: &Assertions, key: &KeyRecord, to: (&str, &[&str]), now: i64) -> String {
        let permissions = permissions(to.1);
        let claims = Claims { issuer: "orders", audience: to.0, key, permissions: &permissions };
        assertions.of(&claims, at(now)).to_str().unwrap().to_owned()
    }

    #[test]
    fn one_serves_the_same_claims_for_half_its_life() {
        let (assertions, key) = (assertions(SECRET, None), record(1));
        let first = ask(&assertions, &key, ("app", &["orders:read"]), 0);
        assert_eq!(first, ask(&assertions, &key, ("app", &["orders:read"]), 29));
        for (other, to, now) in [
            (&key, ("app", &["orders:read"][..]), 30),
            // A clock that was set back.
            (&key, ("app", &["orders:read"][..]), -5),
            (&key, ("app", &[][..]), 0),
            (&key, ("web", &["orders:read"][..]), 0),
            (&record(7), ("app", &["orders:read"][..]), 0),
        ] {
            assert_ne!(first, ask(&assertions, other, to, now), "{to:?} at {now}");
        }
    }

    #[test]
    fn the_key_set_has_the_current_key_and_the_previous_one() {
        let old = assertions(OLD_SECRET, None);
        let new = assertions(SECRET, Some(OLD_SECRET));
        let keys = new.key_set()["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[1], old.key_set()["keys"][0]);
        let jwt = ask(&new, &record(1), ("app", &[]), 0);
        let head = URL_SAFE_NO_PAD.decode(jwt.split('.').next().unwrap()).unwrap();
        let head: Value = serde_json::from_slice(&head).unwrap();
        assert_eq!(head["kid"], keys[0]["kid"]);
    }

    #[test]
    fn the_signature_is_of_head_and_payload() {
        let assertions = assertions(SECRET, None);
        let jwt = ask(&assertions, &record(1), ("app", &["orders:read"]), 0);
        let (signed, signature) = jwt.rsplit_once('.').unwrap();
        let x = assertions.key_set()["keys"][0]["x"].as_str().unwrap().to_owned();
        let key = UnparsedPublicKey::new(&ED25519, URL_SAFE_NO_PAD.decode(x).unwrap());
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(key.verify(signed.as_bytes(), &signature).is_ok());
        assert!(key.verify(&signed.as_bytes()[1..], &signature).is_err());
    }
}
