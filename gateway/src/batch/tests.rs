#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use super::rows::{self, AddressForm, Rows};
use super::run::{self, BatchOptions, Progress, RowResult};
use crate::api::Api;
use crate::api::auth::Guard;
use crate::api::service::{IdempotencyKey, ListQuery, Service, ServiceError};
use crate::api::types::*;
use crate::client::Client;
use async_trait::async_trait;
use crosspoint_relayer::route::PacketId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

const ALICE: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";

/// Pays once per idempotency key, as the service does, and can lose its answer after it has paid.
#[derive(Default)]
struct Till {
    paid: Mutex<BTreeMap<String, (PacketId, u128)>>,
    /// Answers that get lost, still to come.
    lose: Mutex<u32>,
    /// Is told to stop after so many payments.
    stop_after: Option<(usize, CancellationToken)>,
}

fn view(id: &PacketId) -> TransferView {
    serde_json::from_value(serde_json::json!({
        "id": id, "from": "crosspoint-1", "to": "eip155-1", "dest_client": "checkpoint-0", "stage": "settled",
        "ended": true, "since_ms": 0, "denom": "sfs", "dest_denom": null, "amount": "1", "receiver": null,
        "hashlock": null, "timeout": null, "claim_deadline": null
    }))
    .unwrap()
}

#[async_trait]
impl Service for Till {
    async fn send(&self, request: SendRequest, key: Option<IdempotencyKey>) -> Result<TransferView, ServiceError> {
        if request.memo == "refuse" {
            return Err(ServiceError::Invalid("refused".into()));
        }
        let id = {
            let mut paid = self.paid.lock().unwrap();
            let next = paid.len() + 1;
            let entry = paid.entry(key.unwrap().as_str().to_owned());
            let new = || (format!("crosspoint-1/attested-0/{next}").parse().unwrap(), request.amount.get());
            let id = entry.or_insert_with(new).0.clone();
            if let Some((limit, stop)) = &self.stop_after
                && paid.len() >= *limit
            {
                stop.cancel();
            }
            id
        };
        let mut lose = self.lose.lock().unwrap();
        if *lose > 0 {
            *lose -= 1;
            return Err(ServiceError::Unavailable("the answer was lost".into()));
        }
        Ok(view(&id))
    }
    async fn list(&self, _: ListQuery) -> Result<TransferPage, ServiceError> {
        let items = self.paid.lock().unwrap().values().map(|(id, _)| view(id)).collect();
        Ok(TransferPage { items, next_cursor: None })
    }
    async fn transfer(&self, id: &PacketId) -> Result<TransferView, ServiceError> {
        Ok(view(id))
    }
    async fn chains(&self) -> Result<Vec<ChainView>, ServiceError> {
        Ok(vec![])
    }
    async fn routes(&self) -> Result<Vec<RouteView>, ServiceError> {
        Ok(vec![])
    }
    async fn retry(&self, id: &PacketId) -> Result<TransferView, ServiceError> {
        Ok(view(id))
    }
    async fn evidence(&self, _: &PacketId) -> Result<String, ServiceError> {
        unreachable!()
    }
    async fn claim(&self, _: &PacketId, _: ClaimRequest) -> Result<HoldEndView, ServiceError> {
        Err(ServiceError::NotFound("no holds".into()))
    }
    async fn void(&self, _: &PacketId) -> Result<HoldEndView, ServiceError> {
        Err(ServiceError::NotFound("no holds".into()))
    }
    async fn invoice(&self, _: InvoiceRequest) -> Result<InvoiceView, ServiceError> {
        Err(ServiceError::NotFound("no invoices".into()))
    }
    async fn supply(&self) -> Result<SupplyView, ServiceError> {
        Err(ServiceError::NotFound("no supply".into()))
    }
    async fn readiness(&self) -> Readiness {
        Readiness { ready: true, checks: vec![] }
    }
    fn metrics(&self) -> Result<String, ServiceError> {
        Ok(String::new())
    }
    fn count(&self, _: &'static str, _: &'static str, _: u16) {}
}

impl Progress for () {
    fn update(&self, _: usize, _: usize, _: usize, _: usize) {}
}

/// Serves a till over real HTTP.
async fn serve(till: Till) -> (Arc<Till>, Client) {
    let till = Arc::new(till);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(Api::new(Arc::clone(&till), Guard::Loopback, 65_536).serve(listener, std::future::pending()));
    (till, Client::new(&url, None).unwrap())
}

fn options(parallel: usize) -> BatchOptions {
    BatchOptions {
        payer: "mall".parse().unwrap(),
        from: "crosspoint-1".parse().unwrap(),
        to: "eip155-1".parse().unwrap(),
        client: None,
        timeout_seconds: None,
        hold_seconds: None,
        parallel,
        wait: true,
    }
}

fn csv(folder: &Path, count: u32, memo: &str) -> (PathBuf, Rows) {
    let lines: Vec<String> = (1..=count).map(|n| format!("{ALICE},{n},{memo}")).collect();
    let path = folder.join("t.csv");
    std::fs::write(&path, format!("receiver,amount,memo\n{}\n", lines.join("\n"))).unwrap();
    let rows = rows::read(&path, "sfs".parse().ok().as_ref(), AddressForm::Evm).unwrap();
    (path, rows)
}

#[tokio::test]
async fn an_interrupted_batch_goes_on_and_pays_no_row_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (path, rows) = csv(folder.path(), 30, "");
    let stop = CancellationToken::new();
    let (till, client) = serve(Till { stop_after: Some((7, stop.clone())), ..Till::default() }).await;
    let first = run::run(&client, &options(3), &path, rows.clone(), &(), &stop).await.unwrap();
    assert!(first.interrupted);
    assert!((7..30).contains(&first.counts().0), "{:?}", first.counts());
    let go_on = CancellationToken::new();
    let second = run::run(&client, &options(3), &path, rows, &(), &go_on).await.unwrap();
    assert_eq!(second.batch, first.batch);
    assert_eq!((second.counts(), second.at_stage("settled")), ((30, 0, 0), 30));
    let amounts: Vec<u128> = till.paid.lock().unwrap().values().map(|(_, amount)| *amount).collect();
    assert_eq!((amounts.len(), amounts.iter().sum::<u128>()), (30, 465));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let (path, rows) = csv(folder.path(), 5, "");
    let (till, client) = serve(Till { lose: Mutex::new(4), ..Till::default() }).await;
    let report = run::run(&client, &options(2), &path, rows, &(), &CancellationToken::new()).await.unwrap();
    assert_eq!(report.counts(), (5, 0, 0));
    assert_eq!(till.paid.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn a_refused_row_is_reported_and_the_result_file_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (path, rows) = csv(folder.path(), 2, "refuse");
    let (_, client) = serve(Till::default()).await;
    let report = run::run(&client, &options(2), &path, rows, &(), &CancellationToken::new()).await.unwrap();
    assert_eq!(report.counts(), (0, 2, 0));
    assert!(matches!(&report.rows[&2], RowResult::Failed { reason } if reason.contains("refused")));
    let results = std::fs::read_to_string(report.result_file).unwrap();
    assert_eq!(results.lines().filter(|line| line.contains(",failed,") && line.contains("refused")).count(), 2);
}
