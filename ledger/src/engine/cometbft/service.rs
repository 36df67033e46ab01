//! The four services of `tower-abci`, each a handle of the one application. Work that touches the database runs on
//! threads that may block. The node sends its requests about blocks one at a time, so none overtakes another.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tendermint::abci::response;
use tendermint::v0_38::abci::{
    ConsensusRequest, ConsensusResponse, InfoRequest, InfoResponse, MempoolRequest, MempoolResponse, SnapshotRequest,
    SnapshotResponse,
};
use tower::Service;
use tower_abci::BoxError;

use super::application::{Application, EngineError};

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// One of the node's connections.
#[derive(Debug, Clone)]
pub(super) struct Connection(pub(super) Arc<Application>);

/// Runs a request where it may block. Its failure ends the connection, and the node with it.
fn run<T: Send + 'static>(
    application: &Arc<Application>,
    request: impl FnOnce(Arc<Application>) -> Result<T, EngineError> + Send + 'static,
) -> Answer<T> {
    let application = Arc::clone(application);
    Box::pin(async move {
        let done = tokio::task::spawn_blocking(move || request(application)).await;
        let done = done.unwrap_or(Err(EngineError::Ended));
        done.map_err(|error| {
            tracing::error!(%error, "the node's request failed; the node will stop");
            error.into()
        })
    })
}

impl Service<ConsensusRequest> for Connection {
    type Response = ConsensusResponse;
    type Error = BoxError;
    type Future = Answer<ConsensusResponse>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: ConsensusRequest) -> Self::Future {
        use ConsensusRequest as Ask;
        use ConsensusResponse as Say;
        run(&self.0, move |app| {
            Ok(match request {
                Ask::InitChain(request) => Say::InitChain(app.init_chain(&request)?),
                Ask::PrepareProposal(request) => Say::PrepareProposal(app.prepare_proposal(&request)?),
                Ask::ProcessProposal(request) => Say::ProcessProposal(app.process_proposal(&request)?),
                Ask::ExtendVote(request) => Say::ExtendVote(app.extend_vote(&request)?),
                Ask::VerifyVoteExtension(request) => Say::VerifyVoteExtension(app.verify_vote_extension(&request)?),
                Ask::FinalizeBlock(request) => Say::FinalizeBlock(app.finalize_block(&request)?),
                Ask::Commit => Say::Commit(app.commit()?),
            })
        })
    }
}

impl Service<MempoolRequest> for Connection {
    type Response = MempoolResponse;
    type Error = BoxError;
    type Future = Answer<MempoolResponse>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: MempoolRequest) -> Self::Future {
        let MempoolRequest::CheckTx(request) = request;
        run(&self.0, move |app| Ok(MempoolResponse::CheckTx(app.check_tx(&request)?)))
    }
}

impl Service<InfoRequest> for Connection {
    type Response = InfoResponse;
    type Error = BoxError;
    type Future = Answer<InfoResponse>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: InfoRequest) -> Self::Future {
        run(&self.0, move |app| {
            Ok(match request {
                InfoRequest::Info(_) => InfoResponse::Info(app.info()?),
                InfoRequest::Query(request) => InfoResponse::Query(app.query(&request)?),
                InfoRequest::Echo(request) => InfoResponse::Echo(response::Echo { message: request.message }),
            })
        })
    }
}

impl Service<SnapshotRequest> for Connection {
    type Response = SnapshotResponse;
    type Error = BoxError;
    type Future = Answer<SnapshotResponse>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: SnapshotRequest) -> Self::Future {
        use SnapshotRequest as Ask;
        use SnapshotResponse as Say;
        run(&self.0, move |app| {
            Ok(match request {
                Ask::ListSnapshots => Say::ListSnapshots(app.list_snapshots()?),
                Ask::OfferSnapshot(request) => Say::OfferSnapshot(app.offer_snapshot(&request)?),
                Ask::LoadSnapshotChunk(request) => Say::LoadSnapshotChunk(app.load_snapshot_chunk(&request)?),
                Ask::ApplySnapshotChunk(request) => Say::ApplySnapshotChunk(app.apply_snapshot_chunk(&request)?),
            })
        })
    }
}
