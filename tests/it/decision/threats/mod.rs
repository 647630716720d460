//! The ways in which gateways like ours were got round, by name.

mod framing;
mod host;
mod identity;
mod methods;
mod path;

use gatepost::decision::{Answer, Refusal};
use gatepost::policy::Policy;
use http::{Version, header};

use super::fixture::{Request, RouteExt, id_key, known, mint, policy, record, route};

/// Orders for readers, an admin area for nobody, a public folder; one upstream behind them.
fn gateway() -> Policy {
    policy([
        route("/api/v1/orders/{id}").all_of(&["orders:read"]),
        route("/api/v1/admin/{*rest}").all_of(&["admin"]),
        route("/public/{*rest}").public(),
        route("/socket").public().with(|options| options.websocket = true),
    ])
}

fn refused(request: &Request) -> Refusal {
    request.judge(&gateway(), Answer::Unknown).expect_err("refused")
}

/// The code and the detail of a request whose head is `lines`, as on the wire.
fn wire(lines: &[&str]) -> String {
    let head = lines.join("\r\n") + "\r\n\r\n";
    match Request::from_wire(head).judge(&gateway(), Answer::Unknown) {
        Ok(_) => "allow".to_owned(),
        Err(refusal) => format!("{}: {}", refusal.denial.code(), refusal.detail()),
    }
}

const GET: &str = "GET /public/a HTTP/1.1";
const HOST: &str = "Host: api.test";

fn framing(headers: &[&str]) -> String {
    wire(&[&["POST /public/a HTTP/1.1", HOST], headers].concat())
}

fn assert_invalid(verdict: &str, detail: &str) {
    assert!(verdict.starts_with("invalid_request: ") && verdict.contains(detail), "{verdict}");
}
