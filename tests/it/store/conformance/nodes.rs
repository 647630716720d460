use std::time::Duration;

use gatepost::store::NodeRow;

use super::Backend;

async fn live(backend: &dyn Backend) -> Vec<(String, u64)> {
    let nodes = backend.store().live_nodes().await.expect("an answer");
    let is_recent = |node: &NodeRow| node.silent_for < Duration::from_secs(10);
    assert!(nodes.iter().all(is_recent), "{nodes:?}");
    nodes.into_iter().map(|node| (node.name, node.applied)).collect()
}

pub async fn a_node_is_live_until_it_leaves(backend: &dyn Backend) {
    let store = backend.store();
    assert!(live(backend).await.is_empty());
    store.report_node("b:2", 0).await.expect("it is noted");
    store.report_node("a:1", 7).await.expect("it is noted");
    assert_eq!(live(backend).await, [("a:1".into(), 7), ("b:2".into(), 0)]);
    store.forget_node("a:1").await.expect("it is forgotten");
    store.forget_node("nobody").await.expect("there is nothing to forget");
    assert_eq!(live(backend).await, [("b:2".into(), 0)]);
}

pub async fn a_node_is_as_far_as_it_said_last(backend: &dyn Backend) {
    for applied in [3, 9] {
        backend.store().report_node("a:1", applied).await.expect("it is noted");
    }
    assert_eq!(live(backend).await, [("a:1".into(), 9)]);
}
