//! Answers of a hostile or broken upstream: never passed on as they are.

use super::arena::{Arena, get, statuses};
use super::recorder::{Recorder, find};

/// What the upstream says, by the last part of the target.
fn script(target: &str) -> Vec<u8> {
    let head = match target.rsplit('/').next().unwrap_or_default() {
        "switching" => "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n",
        "both" => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "lengths" => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
        "length" => "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n",
        "negative" => "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n",
        "coding" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n",
        "status" => "HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n",
        "version" => "HTTP/9.9 200 OK\r\nContent-Length: 5\r\n",
        "garbage" => "\0\u{1}\u{2} nothing of the kind\r\n",
        "silent" => return Vec::new(),
        "huge" => {
            let lines: String =
                (0..2_048).map(|n| format!("X-{n}: {}\r\n", "a".repeat(1_024))).collect();
            return format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{lines}\r\nhello").into();
        }
        "split" => {
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nX-Evil: 1\r\n\
             Content-Length: 5\r\n"
        }
        _ => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Gatepost-User-Id: evil\r\n",
    };
    [head, "\r\nhello"].concat().into_bytes()
}

#[tokio::test]
async fn answers_that_read_two_ways_are_a_502() {
    let arena = Arena::with(Recorder::saying(script).await, "").await;
    for fault in [
        "switching",
        "lengths",
        "length",
        "negative",
        "coding",
        "status",
        "version",
        "garbage",
        "silent",
        "huge",
    ] {
        let answer = arena.say(&get(format!("/files/{fault}"))).await.expect("an answer");
        assert_eq!(statuses(&answer), [502], "{fault}: {}", answer.escape_ascii());
        assert!(find(&answer, b"hello").is_none(), "{fault}");
    }
    let answer = arena.say(&get("/files/fine")).await.expect("an answer");
    assert_eq!(statuses(&answer), [200]);
    assert!(find(&answer, b"evil").is_none());
}

/// The framework takes `Content-Length` away from such an answer before a hook sees it. What the
/// client gets has one framing, and ends early when the body is not what that framing says.
#[tokio::test]
async fn an_answer_of_two_lengths_is_never_passed_on_as_it_is() {
    let arena = Arena::with(Recorder::saying(script).await, "").await;
    let answer = arena.say(&get("/files/both")).await.expect("an answer");
    assert!(find(&answer.to_ascii_lowercase(), b"content-length").is_none());
    assert!(find(&answer, b"hello").is_none() && !answer.ends_with(b"0\r\n\r\n"));
}

#[tokio::test]
async fn a_second_answer_goes_to_nobody() {
    let arena = Arena::with(Recorder::saying(script).await, "").await;
    for _ in 0..5 {
        let answer = arena.say(&get("/files/split")).await.expect("an answer");
        assert_eq!(statuses(&answer), [200]);
        let answer = arena.say(&get("/files/fine")).await.expect("an answer");
        assert_eq!(statuses(&answer), [200]);
        assert!(find(&answer, b"X-Evil").is_none(), "the connection was used again");
    }
}
