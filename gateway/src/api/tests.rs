#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use super::auth::Guard;
use super::problem::Problem;
use super::service::{IdempotencyKey, ListQuery, Service, ServiceError};
use super::types::*;
use super::*;
use async_trait::async_trait;
use crosspoint_relayer::route::PacketId;
use std::sync::Mutex;

/// A service that remembers what it was asked and answers nothing: these tests are of HTTP.
#[derive(Default)]
struct Recorder {
    sent: Mutex<Vec<(SendRequest, Option<IdempotencyKey>)>>,
    counted: Mutex<Vec<(&'static str, &'static str, u16)>>,
}

fn nothing<T>() -> Result<T, ServiceError> {
    Err(ServiceError::NotFound("nothing here".into()))
}

#[async_trait]
impl Service for Recorder {
    async fn chains(&self) -> Result<Vec<ChainView>, ServiceError> {
        Ok(vec![])
    }
    async fn routes(&self) -> Result<Vec<RouteView>, ServiceError> {
        Err(ServiceError::Internal("password=hunter2".into()))
    }
    async fn send(&self, request: SendRequest, key: Option<IdempotencyKey>) -> Result<TransferView, ServiceError> {
        self.sent.lock().unwrap().push((request, key));
        Err(ServiceError::Conflict("no".into()))
    }
    async fn list(&self, query: ListQuery) -> Result<TransferPage, ServiceError> {
        Ok(TransferPage { items: vec![], next_cursor: query.cursor })
    }
    async fn transfer(&self, _: &PacketId) -> Result<TransferView, ServiceError> {
        nothing()
    }
    async fn evidence(&self, _: &PacketId) -> Result<String, ServiceError> {
        nothing()
    }
    async fn claim(&self, _: &PacketId, _: ClaimRequest) -> Result<HoldEndView, ServiceError> {
        nothing()
    }
    async fn void(&self, _: &PacketId) -> Result<HoldEndView, ServiceError> {
        nothing()
    }
    async fn retry(&self, _: &PacketId) -> Result<TransferView, ServiceError> {
        nothing()
    }
    async fn invoice(&self, _: InvoiceRequest) -> Result<InvoiceView, ServiceError> {
        nothing()
    }
    async fn supply(&self) -> Result<SupplyView, ServiceError> {
        Err(ServiceError::Unavailable("no cut yet".into()))
    }
    async fn readiness(&self) -> Readiness {
        Readiness { ready: false, checks: vec![] }
    }
    fn metrics(&self) -> Result<String, ServiceError> {
        Ok("# no metrics\n".into())
    }
    fn count(&self, endpoint: &'static str, method: &'static str, status: u16) {
        self.counted.lock().unwrap().push((endpoint, method, status));
    }
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn api(guard: Guard) -> (Arc<Recorder>, Arc<Api<Recorder>>) {
    let service = Arc::new(Recorder::default());
    (Arc::clone(&service), Api::new(service, guard, 2048))
}

fn with_token() -> Guard {
    Guard::Token(crosspoint_protocol::sha256(&[TOKEN.as_bytes()]))
}

fn body() -> String {
    serde_json::json!({
        "payer": "mall", "from": "crosspoint-1", "to": "eip155-31337", "denom": "sfs", "amount": "1250",
        "receiver": "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
    })
    .to_string()
}

async fn ask(api: &Arc<Api<Recorder>>, request: warp::test::RequestBuilder) -> (u16, String, String) {
    let response = request.reply(&api.filter()).await;
    let media = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    (response.status().as_u16(), media, String::from_utf8(response.body().to_vec()).unwrap())
}

/// Every failing request gets a problem with the right status and type.
async fn problem(api: &Arc<Api<Recorder>>, request: warp::test::RequestBuilder) -> Problem {
    let (status, media, text) = ask(api, request).await;
    assert_eq!(media, "application/problem+json", "{text}");
    let problem: Problem = serde_json::from_str(&text).unwrap();
    assert_eq!(problem.status, status);
    assert!(problem.kind.starts_with("urn:crosspoint:problem:"), "{problem:?}");
    assert!(!problem.title.is_empty() && !problem.detail.is_empty());
    problem
}

fn post(path: &str, body: &str) -> warp::test::RequestBuilder {
    warp::test::request().method("POST").path(path).header("content-type", "application/json").body(body)
}

#[tokio::test]
async fn what_does_not_exist_is_a_problem_too() {
    let (service, api) = api(Guard::Loopback);
    let get = |path: &str| warp::test::request().path(path);
    assert_eq!(problem(&api, get("/nowhere")).await.status, 404);
    assert_eq!(problem(&api, get("/")).await.status, 404);
    assert_eq!(problem(&api, get("/v1/transfers/crosspoint-1/attested-0/x")).await.status, 404);
    assert_eq!(problem(&api, get("/v1/transfers/crosspoint-1/attested-0/7")).await.status, 404);
    assert_eq!(problem(&api, warp::test::request().method("DELETE").path("/v1/transfers")).await.status, 405);
    assert_eq!(problem(&api, post("/v1/chains", "{}")).await.status, 405);
    let counted = service.counted.lock().unwrap().clone();
    assert_eq!(counted[0], ("other", "GET", 404));
    assert_eq!(counted[4], ("/v1/transfers", "other", 405));
}

#[tokio::test]
async fn a_refused_method_says_which_are_allowed() {
    let (_, api) = api(Guard::Loopback);
    let response = warp::test::request().method("PUT").path("/v1/transfers").reply(&api.filter()).await;
    assert_eq!(response.headers()[ALLOW], "GET, HEAD, POST");
}

#[tokio::test]
async fn bodies_must_be_json_of_the_right_form_and_size() {
    let (service, api) = api(Guard::Loopback);
    let no_type = warp::test::request().method("POST").path("/v1/transfers").body(body());
    assert_eq!(problem(&api, no_type).await.status, 415);
    assert_eq!(problem(&api, post("/v1/transfers", "{")).await.status, 400);
    let unknown = body().replace("\"payer\"", "\"colour\":1,\"payer\"");
    assert!(problem(&api, post("/v1/transfers", &unknown)).await.detail.contains("unknown field `colour`"));
    let float = body().replace("\"1250\"", "1250.5");
    assert_eq!(problem(&api, post("/v1/transfers", &float)).await.status, 400);
    let large = body().replace("mall", &"m".repeat(4000));
    assert_eq!(problem(&api, post("/v1/transfers", &large)).await.status, 413);
    assert_eq!(service.sent.lock().unwrap().len(), 0);
    assert_eq!(problem(&api, post("/v1/transfers", &body())).await.status, 409);
    assert_eq!(service.sent.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn changes_need_the_token_and_reads_do_not() {
    let (service, api) = api(with_token());
    for header in ["", "Bearer wrong", "Basic 0123456789abcdef0123456789abcdef", TOKEN] {
        let request = post("/v1/transfers", &body()).header("authorization", header);
        let response = request.reply(&api.filter()).await;
        assert_eq!(response.status(), 401, "{header}");
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Bearer");
    }
    assert_eq!(service.sent.lock().unwrap().len(), 0);
    let right = post("/v1/transfers", &body()).header("authorization", format!("bearer {TOKEN}"));
    assert_eq!(problem(&api, right).await.status, 409);
    assert_eq!(ask(&api, warp::test::request().path("/v1/chains")).await.0, 200);
}

#[tokio::test]
async fn without_a_token_other_host_names_are_refused() {
    let (service, api) = api(Guard::Loopback);
    let foreign = post("/v1/transfers", &body()).header("host", "evil.example:8480");
    assert_eq!(problem(&api, foreign).await.status, 421);
    assert_eq!(service.sent.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn the_idempotency_key_reaches_the_service() {
    let (service, api) = api(Guard::Loopback);
    problem(&api, post("/v1/transfers", &body()).header("idempotency-key", "order-4711")).await;
    assert_eq!(service.sent.lock().unwrap()[0].1.as_ref().unwrap().as_str(), "order-4711");
    let long = post("/v1/transfers", &body()).header("idempotency-key", "x".repeat(65));
    assert_eq!(problem(&api, long).await.status, 400);
}

#[tokio::test]
async fn list_parameters_are_checked() {
    let (_, api) = api(Guard::Loopback);
    let get = |query: &str| warp::test::request().path(&format!("/v1/transfers?{query}"));
    assert_eq!(ask(&api, get("limit=10&cursor=ab&stage=held&from=crosspoint-1")).await.0, 200);
    for bad in ["limit=0", "limit=201", "limit=x", "stage=gone", "from=UPPER", "colour=red", "hashlock=1"] {
        assert_eq!(problem(&api, get(bad)).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_fault_inside_shows_nothing_of_itself() {
    let (_, api) = api(Guard::Loopback);
    let fault = problem(&api, warp::test::request().path("/v1/routes")).await;
    assert_eq!(fault.status, 500);
    assert!(!fault.detail.contains("hunter2"));
}

#[tokio::test]
async fn what_may_come_later_says_so() {
    let (_, api) = api(Guard::Loopback);
    let response = warp::test::request().path("/v1/supply").reply(&api.filter()).await;
    assert_eq!((response.status().as_u16(), response.headers()[RETRY_AFTER].to_str().unwrap()), (503, "1"));
    assert_eq!(ask(&api, warp::test::request().path("/readyz")).await.0, 503);
    assert_eq!(ask(&api, warp::test::request().path("/healthz")).await.0, 200);
}
