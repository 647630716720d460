use super::*;

#[test]
fn one_way_to_say_where_the_body_ends() {
    assert_eq!(framing(&["Content-Length: 5"]), "allow");
    assert_eq!(framing(&["Content-Length: 0"]), "allow");
    assert_eq!(framing(&["Transfer-Encoding: chunked"]), "allow");
    assert_eq!(framing(&["transfer-encoding:  Chunked\t"]), "allow");
}

#[test]
fn smuggling_by_two_lengths() {
    assert_invalid(&framing(&["Content-Length: 5", "Transfer-Encoding: chunked"]), "both");
    assert_invalid(&framing(&["Transfer-Encoding: identity", "Content-Length: 5"]), "both");
    assert_invalid(&framing(&["Content-Length: 5", "Content-Length: 5"]), "twice");
    assert_invalid(&framing(&["Content-Length: 5", "content-length: 6"]), "twice");
}

#[test]
fn pingora_lengths_forwarded_verbatim() {
    for length in ["5, 5", "0000000005", "9223372036854775808", "+5", "-1", "0x5", "5 ", "", "5a"] {
        let verdict = framing(&[&format!("Content-Length: {length}")]);
        match length {
            "5 " => assert_eq!(verdict, "allow", "white space around a value is none of it"),
            _ => assert_invalid(&verdict, "one decimal number"),
        }
    }
}

#[test]
fn transfer_encodings_that_only_one_side_understands() {
    for coding in
        ["gzip, chunked", "chunked, chunked", "xchunked", "\"chunked\"", "chunked;q=1", ""]
    {
        assert_invalid(&framing(&[&format!("Transfer-Encoding: {coding}")]), "not `chunked`");
    }
    let twice = ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"];
    assert_invalid(&framing(&twice), "not `chunked`");
}

#[test]
fn pingora_transfer_encoding_in_http_1_0() {
    let head = ["POST /public/a HTTP/1.0", HOST, "Transfer-Encoding: chunked"];
    assert_invalid(&wire(&head), "HTTP/1.1 alone");
}

#[test]
fn header_lines_that_parsers_repair() {
    assert_invalid(&framing(&["Content-Length : 5"]), "name is malformed");
    assert_invalid(&framing(&["X-A: b", " folded: 1"]), "folded");
    assert_invalid(&framing(&["X-A: b\nX-B: c"]), "without CR");
    assert_invalid(&framing(&["X-A: b\rX-B: c"]), "control character");
    assert_invalid(&framing(&["X-A: b\0c"]), "control character");
    assert_invalid(&framing(&["X-A: b\x7fc"]), "control character");
    assert_invalid(&framing(&[": no name"]), "name is malformed");
    assert_invalid(&framing(&["no colon"]), "no colon");
    assert_invalid(&framing(&["X\u{b}: 1"]), "control character");
    assert_invalid(&wire(&["GET  /public/a HTTP/1.1", HOST]), "request line");
    assert_invalid(&wire(&["GET /public/a HTTP/1.1 ", HOST]), "request line");
    assert_invalid(&wire(&["GET /public/a HTTP/1.2", HOST]), "request line");
}

#[test]
fn empty_lines_before_a_request_are_skipped() {
    assert_eq!(wire(&["", "", GET, HOST]), "allow");
    let mut nothing_else = Request::get("/public/a");
    nothing_else.raw_head = Some(b"\r\n\r\n".to_vec());
    assert_eq!(nothing_else.opening(&gateway()), "invalid_request");
}

#[test]
fn the_head_is_bounded() {
    let many: Vec<String> = (0..100).map(|n| format!("X-{n}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(framing(&many[..99]), "allow");
    assert!(framing(&many).starts_with("headers_too_large"));
    let long = format!("X-A: {}", "a".repeat(32 * 1024));
    assert!(framing(&[&long]).starts_with("headers_too_large"));
    // The same where only parsed headers are known.
    let parsed =
        |n| (0..n).fold(Request::get("/public/a"), |r, n| r.header(&format!("x-{n}"), "1"));
    assert_eq!(parsed(99).opening(&gateway()), "allow");
    assert_eq!(parsed(100).opening(&gateway()), "headers_too_large");
    let long = Request::get("/public/a").header("x-a", "a".repeat(32 * 1024));
    assert_eq!(long.opening(&gateway()), "headers_too_large");
}

#[test]
fn expectations_other_than_the_one_we_know() {
    assert_eq!(framing(&["Expect: 100-Continue"]), "allow");
    assert_invalid(&framing(&["Expect: 200-ok"]), "Expect");
    assert_invalid(&framing(&["Expect: 100-continue", "Expect: 100-continue"]), "Expect");
}

#[test]
fn framing_is_judged_without_the_wire_as_well() {
    let post = || Request::new("POST", "/public/a").header("content-length", "5");
    assert_eq!(post().opening(&gateway()), "allow");
    assert_eq!(post().header("content-length", "5").opening(&gateway()), "invalid_request");
    assert_eq!(
        post().header("transfer-encoding", "chunked").opening(&gateway()),
        "invalid_request"
    );
}
