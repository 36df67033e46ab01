//! An attestor over HTTP: `POST /v1/attestations`, `GET /v1/rotation`, `GET /v1/status`, `GET /healthz`.

use std::convert::Infallible;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Semaphore;
use warp::http::{HeaderValue, StatusCode, header};
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

use super::api::{AttestationRequest, Problem};
use super::service::{AttestorService, RefusalReason, ServiceError};

/// Most bytes of a request's body.
const MAX_BODY: u64 = 1024;
/// Most requests worked on at once; more are refused, not queued.
const MAX_CONCURRENT: usize = 32;

/// The attestor's HTTP interface, to be served by `warp::serve`.
pub fn routes(service: AttestorService) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone {
    let slots = Arc::new(Semaphore::new(MAX_CONCURRENT));
    let shared = warp::any().map(move || (service.clone(), Arc::clone(&slots)));
    let attest = warp::path!("v1" / "attestations")
        .and(warp::post())
        .and(warp::body::content_length_limit(MAX_BODY))
        .and(warp::body::json())
        .and(shared.clone())
        .then(|request: AttestationRequest, (service, slots): (AttestorService, Arc<Semaphore>)| async move {
            answer(&slots, service.attest(request)).await
        });
    let status = warp::path!("v1" / "status").and(warp::get()).and(shared.clone()).then(
        |(service, slots): (AttestorService, Arc<Semaphore>)| async move { answer(&slots, service.status()).await },
    );
    let rotation = warp::path!("v1" / "rotation").and(warp::get()).and(shared).then(
        |(service, slots): (AttestorService, Arc<Semaphore>)| async move {
            answer(&slots, async move { service.rotation() }).await
        },
    );
    let health = warp::path!("healthz").and(warp::get()).map(|| "ok\n".into_response());
    attest.or(status).unify().or(rotation).unify().or(health).unify().recover(reject).unify()
}

async fn answer<T: Serialize>(slots: &Semaphore, work: impl Future<Output = Result<T, ServiceError>>) -> Response {
    let Ok(_slot) = slots.try_acquire() else {
        let busy = RefusalReason::Busy;
        return problem(busy.status(), busy.as_str(), "too many requests at once; ask again in a second".into());
    };
    match work.await {
        Ok(answer) => warp::reply::json(&answer).into_response(),
        Err(error) => {
            let reason = error.reason();
            // What the node or the disk said is for the operator's log, not for strangers.
            let detail = match reason {
                RefusalReason::NodeUnavailable | RefusalReason::JournalUnavailable => {
                    tracing::warn!(%error, reason = reason.as_str(), "request refused");
                    match reason {
                        RefusalReason::NodeUnavailable => "the attestor's node does not answer well; ask again".into(),
                        _ => "the attestor cannot write its journal and signs nothing".into(),
                    }
                }
                RefusalReason::BadRequest
                | RefusalReason::NotFinal
                | RefusalReason::Conflict
                | RefusalReason::TooOld
                | RefusalReason::NoRotation
                | RefusalReason::Busy => error.to_string(),
            };
            problem(reason.status(), reason.as_str(), detail)
        }
    }
}

async fn reject(rejection: Rejection) -> Result<Response, Infallible> {
    let (status, reason, detail) = if rejection.is_not_found() {
        (404, "not-found", "there is nothing at this path")
    } else if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        (405, "method-not-allowed", "this path has another method")
    } else if rejection.find::<warp::reject::PayloadTooLarge>().is_some() {
        (413, "too-large", "a request has at most 1024 bytes")
    } else if rejection.find::<warp::reject::LengthRequired>().is_some() {
        (411, "length-required", "a request says how long it is")
    } else {
        (400, "bad-request", "the body is JSON with prev_number, prev_hash and, if wanted, number")
    };
    Ok(problem(status, reason, detail.into()))
}

/// A refusal as RFC 9457 problem details.
fn problem(status: u16, reason: &str, detail: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = Problem {
        kind: "about:blank".into(),
        title: status.canonical_reason().unwrap_or("Too Early").into(),
        status: status.as_u16(),
        detail,
        reason: reason.into(),
    };
    let mut response = warp::reply::with_status(warp::reply::json(&body), status).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}
