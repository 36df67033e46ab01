//! The HTTP API over a real service: every refusal is a problem with its type.

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::stand::{EVM, NATIVE, Stand, merchant};

async fn problem(request: RequestBuilder, status: u16, kind: &str) -> Result<String> {
    let answer = request.send().await?;
    ensure!(answer.status().as_u16() == status, "{} is not {status} ({kind})", answer.status());
    let media = answer.headers().get("content-type").context("no content type")?.to_str()?.to_owned();
    ensure!(media.starts_with("application/problem+json"), "{media}");
    let body: Value = answer.json().await?;
    ensure!(body["type"] == format!("urn:crosspoint:problem:{kind}") && body["status"] == status, "{body}");
    Ok(body["detail"].as_str().context("no detail")?.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_are_made_over_http_and_bad_requests_are_problems() -> Result<()> {
    let stand = Stand::start().await?;
    let http = Client::new();
    let url = |path: &str| format!("{}{path}", stand.url());
    let good =
        json!({"payer": "mall", "from": NATIVE, "to": EVM, "denom": "sfs", "amount": "7", "receiver": merchant()});
    let (status, sent) = stand.post("/v1/transfers", &good).await?;
    ensure!(status == 201 && sent["stage"] == "submitted", "{sent}");
    let id = sent["id"].as_str().context("no id")?.to_owned();

    let post = |path: &str, body: &Value| http.post(url(path)).json(body);
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    problem(http.get(url("/v1/nothing")), 404, "not-found").await?;
    problem(http.get(url("/v1/transfers/crosspoint-1/attested-0/999")), 404, "not-found").await?;
    problem(http.delete(url("/v1/transfers")), 405, "method-not-allowed").await?;
    problem(http.request(Method::PUT, url("/v1/supply")), 405, "method-not-allowed").await?;
    problem(http.post(url("/v1/transfers")).body("{}"), 415, "unsupported-media-type").await?;
    problem(post("/v1/transfers", &json!({})), 400, "malformed-body").await?;
    problem(post("/v1/transfers", &with("amount", json!(7.5))), 400, "malformed-body").await?;
    problem(post("/v1/transfers", &with("amonut", json!("7"))), 400, "malformed-body").await?;
    problem(post("/v1/transfers", &with("memo", json!("x".repeat(70_000)))), 413, "body-too-large").await?;
    problem(post("/v1/transfers", &with("amount", json!("0"))), 422, "invalid-request").await?;
    problem(post("/v1/transfers", &with("payer", json!("relayer-native"))), 422, "invalid-request").await?;
    problem(post("/v1/transfers", &with("amount", json!("700000000"))), 422, "chain-refused").await?;
    problem(http.get(url("/v1/transfers?limit=0")), 400, "bad-parameter").await?;
    problem(http.get(url("/v1/transfers?colour=red")), 400, "bad-parameter").await?;
    let long = "k".repeat(65);
    problem(post("/v1/transfers", &good).header("Idempotency-Key", long), 400, "bad-parameter").await?;
    problem(post("/v1/transfers", &good).header("Host", "evil.example"), 421, "misdirected").await?;
    let early = post(&format!("/v1/transfers/{id}/void"), &json!({}));
    problem(early, 409, "conflict").await?;

    stand.at_stage(&id, &["settled"]).await?;
    let claim = post(&format!("/v1/transfers/{id}/claim"), &json!({ "preimage": "ab".repeat(32) }));
    ensure!(problem(claim, 409, "conflict").await?.contains("there is no hold to claim"));
    let (_, page) =
        stand.get(&format!("/v1/transfers?hashlock={}", sent["hashlock"].as_str().context("none")?)).await?;
    ensure!(page["items"].as_array().is_some_and(|items| items.len() == 1), "{page}");
    let (_, chains) = stand.get("/v1/chains").await?;
    ensure!(chains.as_array().is_some_and(|chains| chains.len() == 2 && chains[0]["head"].is_object()), "{chains}");
    ensure!(stand.get("/healthz").await?.0 == 200);

    stand.audited().await?;
    let (_, metrics) = stand.get("/metrics").await?;
    let metrics = metrics.as_str().context("no text")?;
    for line in [
        "crosspoint_supply_imbalance_points{",
        "crosspoint_http_requests_total{endpoint=\"/v1/transfers\",method=\"POST\",status=\"201\"} 1",
        "crosspoint_build_info{",
        "crosspoint_rpc_requests_total{",
        "crosspoint_packets_total{",
    ] {
        ensure!(metrics.contains(line), "`{line}` is not in the metrics");
    }
    let imbalances = metrics.lines().filter(|line| line.starts_with("crosspoint_supply_imbalance_points"));
    ensure!(
        imbalances.clone().count() > 0 && imbalances.clone().all(|line| line.ends_with(" 0")),
        "it does not balance"
    );
    stand.end().await
}
