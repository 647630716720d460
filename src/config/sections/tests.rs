//! `[[tests]]`.

use crate::config::PolicyTest;
use crate::config::parse::{denial, environment, host, pattern, request_line};
use crate::config::reader::Section;

pub fn tests(root: &mut Section<'_>) -> Vec<PolicyTest> {
    root.entries("tests").into_iter().filter_map(test).collect()
}

fn test(mut entry: Section<'_>) -> Option<PolicyTest> {
    let request = entry.require("request", "\"GET /health\"").and_then(|v| v.parse(request_line));
    let host = entry.read("host", host).map(|host| host.as_str().to_owned());
    let permissions = entry.list("permissions", pattern);
    let environment = entry.read("environment", environment).unwrap_or_default();
    let expect = entry.require("expect", "\"allow\"").and_then(|v| v.parse(denial));
    let place = entry.reader().line_and_column(entry.at()).unwrap_or_default();
    let (method, path) = request?;
    Some(PolicyTest { method, path, host, permissions, environment, expect: expect?, place })
}
