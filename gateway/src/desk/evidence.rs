//! What an auditor is given of a transfer.

use super::{Desk, journal_error, stopping};
use crate::api::service::ServiceError;
use crosspoint_relayer::evidence::{NoEvidence, gather};
use crosspoint_relayer::journal::JournalError;
use crosspoint_relayer::route::PacketId;

impl Desk {
    /// The text of a transfer's evidence file, as far as it is now.
    pub(super) async fn gather_evidence(&self, id: &PacketId) -> Result<String, ServiceError> {
        let found = match self.journal.transfer(id) {
            Err(JournalError::NoPacket(_)) => return Err(self.unread(id)),
            found => found.map_err(journal_error)?,
        };
        let route = &found.life.route;
        let (source, dest) = (&self.chain(&route.source_chain)?.chain, &self.chain(&route.dest_chain)?.chain);
        let _turn = self.evidence.acquire().await.map_err(|_| stopping())?;
        let gathered = gather(&found, source.as_ref(), dest.as_ref()).await;
        let evidence = gathered.map_err(|error| match error {
            NoEvidence::Chain(error) => error.into(),
            NoEvidence::NotRead(_) | NoEvidence::Unfit(_) => {
                ServiceError::Unavailable(format!("transfer {id}: {error}"))
            }
            NoEvidence::NotPoints(_) => ServiceError::Invalid(format!("transfer {id}: {error}")),
        })?;
        evidence.to_text().map_err(|e| ServiceError::Internal(e.to_string()))
    }
}
