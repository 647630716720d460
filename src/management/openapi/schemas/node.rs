//! How a node is doing, and what was recorded of requests.

use serde_json::{Value, json};

use super::{ID, Named, TIME, listing, object, refer, shown};

pub(super) fn node() -> Named {
    let status = json!({ "status": "ready" });
    let diagnostics = json!({
        "node": "gate-1:4711", "version": "0.1.0", "uptime_seconds": 86400,
        "store": { "degraded": false, "ping_seconds": 0.0004, "newest_change": 117 },
        "cache": { "keys": 12 }, "feed": { "applied_change": 117, "lag_seconds": 0.4 },
        "nodes": [{ "name": "gate-1:4711", "applied_change": 117, "silent_seconds": 0.8 }],
        "usage_waiting": 0, "undefined_permissions": ["ordrs:read"],
        "undefined_tiers": [{ "tier": "gold", "users": 2 }],
        "keys": { "working": 12, "nearing_expiry": 1, "never_used": 3, "unused": 2 },
    });
    let key = json!({
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    vec![
        ("Health", shown(&status, &[])),
        (
            "Status",
            object(
                json!({ "status": { "type": "string" }, "version": { "type": "string" } }),
                &["status", "version"],
                json!({ "status": "ready", "version": "0.1.0" }),
            ),
        ),
        ("Diagnostics", shown(&diagnostics, &[])),
        (
            "KeySet",
            object(
                json!({ "keys": { "type": "array", "items": shown(&key, &[]) } }),
                &["keys"],
                json!({ "keys": [key] }),
            ),
        ),
    ]
}

pub(super) fn usage() -> Named {
    let (record, block, attempts) = (record(), block(), attempts());
    let step = json!({
        "type": "string",
        "pattern": "^[1-9][0-9]?(min|h|d)$",
        "description": "At most a thousand steps in the range",
        "examples": ["1h"],
    });
    let status = json!({ "type": "integer", "minimum": 100, "maximum": 999, "examples": [403] });
    let format = json!({ "enum": ["ndjson", "csv"], "default": "ndjson", "examples": ["csv"] });
    let dimension = json!({ "enum": ["user", "key", "route", "outcome"], "examples": ["route"] });
    vec![
        ("Address", json!({ "type": "string", "format": "ipv4", "examples": ["192.0.2.7"] })),
        ("StatusCode", status),
        ("Step", step),
        ("Dimension", dimension),
        ("OwnDimension", json!({ "enum": ["key", "route", "outcome"], "examples": ["route"] })),
        ("Format", format),
        ("LogKind", json!({ "enum": ["audit", "security", "usage"], "examples": ["usage"] })),
        ("Analytics", analytics()),
        ("RecordList", listing("Record", &record["examples"][0])),
        ("Record", json!({ "type": "object", "examples": record["examples"] })),
        ("Block", block.clone()),
        ("BlockList", listing("Block", &block["examples"][0])),
        ("Attempts", attempts.clone()),
        ("AttemptList", listing("Attempts", &attempts["examples"][0])),
    ]
}

fn analytics() -> Value {
    let totals = json!({
        "requests": 12, "errors": 0, "request_bytes": 0, "response_bytes": 4096,
        "gateway_time_us": 480, "upstream_time_us": 24000,
        "latency_us": { "p50": 2000, "p90": 2600, "p99": 3100 },
    });
    let series = json!({ "type": "array", "items": { "type": "object" } });
    object(
        json!({
            "from": refer("Time"), "to": refer("Time"),
            "totals": shown(&totals, &["latency_us"]), "series": series, "groups": series,
            "limits": { "type": "array", "items": refer("LimitStanding") },
        }),
        &["from", "to", "totals"],
        json!({ "from": TIME, "to": TIME, "totals": totals }),
    )
}

fn block() -> Value {
    let block = json!({
        "id": ID, "kind": "source", "source": "192.0.2.7", "user_id": null, "key_id": null,
        "since": TIME, "until": TIME, "strikes": 1,
    });
    shown(&block, &["source", "user_id", "key_id"])
}

fn attempts() -> Value {
    let attempts = json!({
        "kind": "guess", "source": "192.0.2.7", "user_id": null, "key_id": null, "what": null,
        "count": 7, "last_at": TIME,
    });
    shown(&attempts, &["source", "user_id", "key_id", "what"])
}

fn record() -> Value {
    let record = json!({
        "id": 1, "at": TIME, "request_id": ID, "node": "gate-1:4711", "user_id": ID, "key_id": ID,
        "route": "orders-read", "method": "GET", "path": "/api/v1/orders/7", "status": 200,
        "outcome": "allow", "gateway_time_us": 40, "upstream_time_us": 2000, "request_bytes": 0,
        "response_bytes": 512, "client_ip": "192.0.2.7",
    });
    shown(&record, &["user_id", "key_id", "route", "upstream_time_us"])
}
