//! The API's document, and the pages that show it.

use reqwest::{Method, StatusCode};

use super::{call, document};
use crate::support::gateway::Gateway;

#[tokio::test]
async fn the_document_served_is_the_one_printed() {
    let gateway = Gateway::start().await;
    let (status, _, served) = call(&gateway, (Method::GET, "/openapi.json"), None, &[], None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(&served, document());
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1"));
}

#[tokio::test]
async fn the_pages_come_from_here_alone() {
    let gateway = Gateway::start().await;
    let (status, headers, page) = call(&gateway, (Method::GET, "/docs"), None, &[], None).await;
    assert_eq!(status, StatusCode::OK);
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    let page = page.as_str().unwrap();
    assert!(!page.contains("://") && !page.contains("<style"), "{page}");
    for script in page.split("<script").skip(1) {
        assert!(script.starts_with(" src=\"/docs/"), "an inline script: {script}");
    }
    for part in page.split("=\"/docs/").skip(1) {
        let path = format!("/docs/{}", part.split('"').next().unwrap());
        let (status, headers, _) = call(&gateway, (Method::GET, &path), None, &[], None).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        let media_type = headers["content-type"].to_str().unwrap();
        assert!(media_type.contains("javascript") || media_type.contains("css"), "{path}");
    }
}
