//! The access matrix: key states × routes, as a file that people review.

use gatepost::decision::{Answer, admit_known};
use gatepost::key::{AccountLock, Environment, KeyRecord, MintedKey};
use gatepost::policy::Route;

use super::fixture::{
    NOW, Request, RouteExt, code, grants, known, later, mint, policy, record, route,
};

const REVIEWED: &str = include_str!("matrix.txt");

#[test]
fn the_access_matrix_is_the_reviewed_one() {
    let found = matrix();
    if found != REVIEWED {
        let new = concat!(env!("CARGO_TARGET_TMPDIR"), "/matrix.txt");
        std::fs::write(new, &found).expect("the target folder can be written");
        panic!(
            "the access matrix has changed:\n{found}\nReview it, and accept it with\n  \
             cp {new} tests/it/decision/matrix.txt"
        );
    }
}

/// Handed over in process, a request meets the same judgement, but for reading a credential.
#[test]
fn a_key_that_another_door_admitted_is_judged_the_same() {
    let routes = routes();
    let policy = policy(routes.iter().map(|(_, route)| route.clone()));
    let right = |name: &str| !["two keys", "wrong secret"].contains(&name);
    for (name, mut request, answer) in states().into_iter().filter(|(name, ..)| right(name)) {
        let Answer::Known(key) = &answer else { continue };
        for (_, route) in &routes {
            request.target = route.path.as_str().into();
            let known = admit_known(&request.view(), &policy, key, NOW);
            assert_eq!(code(&known), code(&request.judge(&policy, answer.clone())), "{name}");
        }
    }
}

fn routes() -> Vec<(&'static str, Route)> {
    let admin = |route: Route| route.with(|options| options.admin_suffices = true);
    let live = [Environment::default()];
    vec![
        ("public", route("/public").public()),
        ("any key", route("/any-key")),
        ("read", route("/read").all_of(&["orders:read"])),
        ("read+write", route("/both").all_of(&["orders:read", "orders:write"])),
        ("read|write", route("/either").any_of(&["orders:read", "orders:write"])),
        ("users", admin(route("/users").all_of(&["users:read"]))),
        ("live only", route("/live").with(|options| options.environments = live.into())),
    ]
}

/// What a caller sends, and what the directory then finds.
type State = (&'static str, Request, Answer);

fn states() -> Vec<State> {
    let minted = mint();
    let key = |name: &'static str, change: fn(&mut KeyRecord)| {
        let mut record = record(&minted, &["orders:read"]);
        change(&mut record);
        (name, Request::get("/").key(&minted), known(record))
    };
    let mut states = without_a_good_key(&minted);
    states.extend([
        key("may read", |_| {}),
        key("may read and write", |k| k.permissions = grants(&["orders:*"])),
        key("may do everything", |k| k.permissions = grants(&["*"])),
        key("admin", |k| k.permissions = grants(&["admin"])),
        key("may do nothing", |k| k.permissions = grants(&[])),
        key("owner without roles", |k| k.owner.grants = grants(&[])),
        key("admin key, owner reads", |k| {
            k.permissions = grants(&["*"]);
            k.owner.grants = grants(&["orders:read"]);
        }),
        key("revoked", |k| k.revoked_at = Some(NOW)),
        key("disabled", |k| k.disabled = true),
        key("expires now", |k| k.expires_at = Some(NOW)),
        key("expires later", |k| k.expires_at = Some(later())),
        key("revoked, disabled, expired", |k| {
            (k.revoked_at, k.disabled, k.expires_at) = (Some(NOW), true, Some(NOW));
        }),
        key("owner deleted", |k| k.owner.disabled = true),
        key("owner locked", |k| k.owner.lock = Some(AccountLock { until: None })),
        key("owner locked for a while", |k| {
            k.owner.lock = Some(AccountLock { until: Some(later()) });
        }),
        key("owner's lock is over", |k| k.owner.lock = Some(AccountLock { until: Some(NOW) })),
        key("allowed address", |k| k.allowed_ips = ["192.0.2.0/24".parse().unwrap()].into()),
        key("another address", |k| k.allowed_ips = ["10.0.0.0/8".parse().unwrap()].into()),
        key("key of test", |k| k.environment = Environment::parse("test").unwrap()),
    ]);
    states
}

fn without_a_good_key(minted: &MintedKey) -> Vec<State> {
    let secret = minted.secret.reveal();
    let get = || Request::get("/");
    vec![
        ("no key", get(), Answer::Unknown),
        ("empty key", get().header("x-api-key", ""), Answer::Unknown),
        ("garbage", get().header("x-api-key", "gp_garbage"), Answer::Unknown),
        ("cut short", get().header("x-api-key", &secret[..60]), Answer::Unknown),
        ("of another system", get().header("x-api-key", "sk_123"), Answer::Unknown),
        ("two keys", get().key(minted).key(minted), known(record(minted, &["*"]))),
        ("unknown key", get().key(minted), Answer::Unknown),
        ("wrong secret", get().key(&mint()), known(record(minted, &["*"]))),
        ("store away", get().key(minted), Answer::Unavailable),
    ]
}

fn matrix() -> String {
    let routes = routes();
    let policy = policy(routes.iter().map(|(_, route)| route.clone()));
    let head = routes.iter().map(|(name, _)| *name).collect();
    let rows = states().into_iter().map(|(name, mut request, answer)| {
        let cells = routes.iter().map(|(_, route)| {
            request.target = route.path.as_str().into();
            code(&request.judge(&policy, answer.clone()))
        });
        (name, cells.collect())
    });
    table([("", head)].into_iter().chain(rows).collect())
}

fn table(rows: Vec<(&str, Vec<&str>)>) -> String {
    let lines = rows.iter().map(|(name, cells)| {
        let cells: String = cells.iter().map(|cell| format!("{cell:<26}")).collect();
        format!("{name:<27}{}\n", cells.trim_end())
    });
    lines.collect()
}
