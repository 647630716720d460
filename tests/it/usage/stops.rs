//! What a gateway leaves when it ends, politely or not, and what the next one makes of it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::time::sleep;

use super::books::{Books, CLIENTS, a_gateway, assert_all_answered, load, on_both_stores};

on_both_stores!(
    Books::postgres();
    terminated_under_load_it_leaves_no_answer_without_its_record,
    killed_under_load_it_loses_a_moment_and_doubles_nothing,
);

async fn terminated_under_load_it_leaves_no_answer_without_its_record(books: Books) {
    let (mut gateway, key) = a_gateway(&books).await;
    let load = load(&gateway, &key).await;
    for _ in 0..2 {
        sleep(Duration::from_millis(700)).await;
        assert!(gateway.terminate().await.success(), "{}", gateway.log());
        gateway.run();
        gateway.ready().await;
    }
    sleep(Duration::from_millis(300)).await;
    let ledger = load.stop().await;
    // One that has just started may not have reached its store yet: that is an answer too.
    assert_eq!(ledger.answered(), ledger.status(200) + ledger.status(503), "{ledger:?}");
    assert!(ledger.status(200) > 10, "{ledger:?}");
    assert!(gateway.terminate().await.success(), "{}", gateway.log());
    books.agree(&gateway, "orders", &ledger);
}

#[tokio::test]
async fn terminated_while_the_store_is_away_it_ships_after_the_next_start() {
    let mut books = Books::postgres();
    let (mut gateway, key) = a_gateway(&books).await;
    let load = load(&gateway, &key).await;
    sleep(Duration::from_millis(500)).await;
    books.close(&gateway);
    sleep(Duration::from_millis(500)).await;
    assert!(gateway.terminate().await.success(), "{}", gateway.log());
    let ledger = load.stop().await;
    assert_all_answered(&ledger);

    books.open_again();
    gateway.run();
    gateway.ready().await;
    assert!(gateway.terminate().await.success(), "{}", gateway.log());
    books.agree(&gateway, "orders", &ledger);
}

/// At most the last 10 ms, and what a busy machine may keep a thread waiting.
const A_MOMENT: Duration = Duration::from_millis(10 + 90);

async fn killed_under_load_it_loses_a_moment_and_doubles_nothing(books: Books) {
    let (mut gateway, key) = a_gateway(&books).await;
    let (mut answered, mut under_way) = (BTreeSet::new(), 0);
    for _ in 0..4 {
        let load = load(&gateway, &key).await;
        sleep(Duration::from_millis(700)).await;
        let killed = Instant::now();
        gateway.signal(Signal::KILL);
        gateway.ended().await;
        let ledger = load.stop().await;
        under_way += CLIENTS;
        gateway.run();
        gateway.ready().await;
        // A stop ships what both have left.
        assert!(gateway.terminate().await.success(), "{}", gateway.log());
        let recorded = books.recorded(&gateway, "orders");
        let missing = ledger.ids.iter().filter(|(id, _)| !recorded.contains(*id));
        let ages = missing.map(|(_, at)| killed.saturating_duration_since(*at));
        let oldest = ages.max().unwrap_or_default();
        assert!(oldest <= A_MOMENT, "an answer of {oldest:?} before is missing: {ledger:?}");
        answered.extend(ledger.ids.into_keys());
        let made_up = recorded.difference(&answered).count();
        assert!(made_up <= under_way, "{made_up} records without an answer");
        gateway.run();
        gateway.ready().await;
    }
}
