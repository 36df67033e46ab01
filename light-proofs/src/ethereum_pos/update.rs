//! The checks of `validate_light_client_update`, for whoever knows the committees by their roots.

use alloy_primitives::{B256, Bytes};

use super::bls;
use super::network::{EXECUTION_PAYLOAD, Fork, Network};
use super::root::is_member;
use super::types::{ExecutionPayloadHeader, LightClientHeader, SyncCommittee, Update};

/// Why an update or a bootstrap is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// The slot is before the first fork that has sync committees.
    #[error("slot {0} is before the first fork with sync committees")]
    NoFork(u64),
    /// The committee or the bits have another size than the network's.
    #[error("a committee or its bits have not the network's size")]
    CommitteeSize,
    /// Nobody signed.
    #[error("nobody signed")]
    NoParticipants,
    /// Slots out of order: signature after attested, attested not before finalized, none after the clock.
    #[error("the slots are out of order: finalized {finalized}, attested {attested}, signed {signature}, now {now}")]
    SlotOrder {
        /// Of the finalized header.
        finalized: u64,
        /// Of the attested header.
        attested: u64,
        /// Of the signatures.
        signature: u64,
        /// By the clock.
        now: u64,
    },
    /// Signed in a period whose committee is not known.
    #[error(
        "signed in period {signed}; the committees known are those of period {known} and, if it was shown, the next"
    )]
    UnknownPeriod {
        /// The period of the signatures.
        signed: u64,
        /// The period of the newest finalized header.
        known: u64,
    },
    /// Nothing in it is new.
    #[error("the update brings nothing new")]
    NotRelevant,
    /// The execution header is missing, not in the block, or there before its fork.
    #[error("the execution header of the {0} header does not fit the block")]
    Execution(&'static str),
    /// The finalized header is not in the attested state, or there without a proof.
    #[error("the finalized header is not the one in the attested state")]
    Finality,
    /// The next committee is not in the attested state, there without a proof, or not the one known.
    #[error("the next committee is not the one in the attested state, or not the one that was shown before")]
    NextCommittee,
    /// The current committee of a bootstrap is not in its state.
    #[error("the current committee is not the one in the header's state")]
    CurrentCommittee,
    /// The bootstrap's header is not the trusted one.
    #[error("the header has root {found}, trusted is {trusted}")]
    TrustedRoot {
        /// The header's.
        found: B256,
        /// The one to be trusted.
        trusted: B256,
    },
    /// The committee given is not the one known by its root.
    #[error("the committee given is not the one whose root is known")]
    SigningCommittee,
    /// The signature does not verify.
    #[error("the committee's signature does not verify")]
    Signature,
    /// A key or the signature is no point of its group.
    #[error("a key or the signature is malformed")]
    MalformedPoint,
    /// Fewer than two thirds signed.
    #[error("{signed} of {of} signed; two thirds are needed")]
    Participation {
        /// How many signed.
        signed: u64,
        /// The committee's size.
        of: usize,
    },
}

/// What is trusted already: a finalized slot, and the roots of its period's committee and the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trust {
    pub(super) slot: u64,
    pub(super) current: B256,
    pub(super) next: Option<B256>,
}

impl Trust {
    /// The root of the committee that must have signed an update.
    pub(super) fn signer(&self, network: &Network, update: &Update) -> Result<B256, SyncError> {
        let (known, signed) = (network.period(self.slot), network.period(update.signature_slot));
        let unknown = SyncError::UnknownPeriod { signed, known };
        if signed == known {
            Ok(self.current)
        } else if signed == known.saturating_add(1) {
            self.next.ok_or(unknown)
        } else {
            Err(unknown)
        }
    }
}

/// Checks an update, all but whether it is to be applied. `signers` is the committee that [`Trust::signer`] names.
pub(super) fn validate(
    network: &Network,
    trust: &Trust,
    update: &Update,
    signers: &SyncCommittee,
    now: u64,
) -> Result<(), SyncError> {
    let size = network.preset().sync_committee_size;
    if update.sync_aggregate.sync_committee_bits.len().saturating_mul(8) != size || signers.pubkeys.len() != size {
        return Err(SyncError::CommitteeSize);
    }
    if update.sync_aggregate.participants() == 0 {
        return Err(SyncError::NoParticipants);
    }
    check_header(network, &update.attested_header, "attested")?;
    let (attested, finalized) = (update.attested_header.beacon.slot, update.finalized_slot());
    let signature = update.signature_slot;
    if !(now >= signature && signature > attested && attested >= finalized) {
        return Err(SyncError::SlotOrder { finalized, attested, signature, now });
    }
    let signer = trust.signer(network, update)?;
    let same_period = network.period(attested) == network.period(trust.slot);
    let brings_next = trust.next.is_none() && update.has_committee() && same_period;
    if attested <= trust.slot && !brings_next {
        return Err(SyncError::NotRelevant);
    }
    let fork = network.fork(attested).ok_or(SyncError::NoFork(attested))?;
    check_finality(network, update, fork)?;
    check_next_committee(update, fork, if same_period { trust.next } else { None }, size)?;
    if signers.root() != signer {
        return Err(SyncError::SigningCommittee);
    }
    let root = network.signing_root(update.attested_header.beacon.root(), signature);
    let root = root.ok_or(SyncError::NoFork(signature))?;
    match bls::verify(signers, &update.sync_aggregate, &root) {
        Ok(true) => Ok(()),
        Ok(false) => Err(SyncError::Signature),
        Err(_) => Err(SyncError::MalformedPoint),
    }
}

/// `is_valid_light_client_header`: the execution header is in the block from Capella on, and not there before.
pub(super) fn check_header(network: &Network, header: &LightClientHeader, name: &'static str) -> Result<(), SyncError> {
    let slot = header.beacon.slot;
    let fork = network.fork(slot).ok_or(SyncError::NoFork(slot))?;
    let wrong = Err(SyncError::Execution(name));
    if fork < Fork::Capella {
        let absent = header.execution.as_ref().is_none_or(is_default);
        let no_branch = header.execution_branch.iter().all(B256::is_zero);
        return if absent && no_branch { Ok(()) } else { wrong };
    }
    let Some(execution) = &header.execution else { return wrong };
    if fork < Fork::Deneb && (execution.blob_gas_used, execution.excess_blob_gas) != (0, 0) {
        return wrong;
    }
    let sized = execution.logs_bloom.len() == 256 && execution.extra_data.len() <= 32;
    let member = execution
        .root(fork)
        .is_some_and(|root| is_member(root, &header.execution_branch, EXECUTION_PAYLOAD, header.beacon.body_root));
    if sized && member { Ok(()) } else { wrong }
}

/// `ExecutionPayloadHeader()`: nothing but zeros, also where the bloom is written out.
fn is_default(execution: &ExecutionPayloadHeader) -> bool {
    let rest = ExecutionPayloadHeader { logs_bloom: Bytes::new(), ..execution.clone() };
    execution.logs_bloom.iter().all(|byte| *byte == 0) && rest == ExecutionPayloadHeader::default()
}

fn check_finality(network: &Network, update: &Update, fork: Fork) -> Result<(), SyncError> {
    if !update.has_finality() {
        return if update.finalized_header.is_none() { Ok(()) } else { Err(SyncError::Finality) };
    }
    // While finality rests on genesis the state holds zeros for it.
    let root = match &update.finalized_header {
        None => B256::ZERO,
        Some(header) if header.beacon.slot == 0 => return Err(SyncError::Finality),
        Some(header) => {
            check_header(network, header, "finalized")?;
            header.beacon.root()
        }
    };
    let state = update.attested_header.beacon.state_root;
    if is_member(root, &update.finality_branch, fork.finalized_root(), state) {
        Ok(())
    } else {
        Err(SyncError::Finality)
    }
}

fn check_next_committee(update: &Update, fork: Fork, known: Option<B256>, size: usize) -> Result<(), SyncError> {
    let wrong = Err(SyncError::NextCommittee);
    if !update.has_committee() {
        return if update.next_sync_committee.is_none() { Ok(()) } else { wrong };
    }
    let Some(next) = &update.next_sync_committee else { return wrong };
    if next.pubkeys.len() != size {
        return Err(SyncError::CommitteeSize);
    }
    let root = next.root();
    if known.is_some_and(|known| known != root) {
        return wrong;
    }
    let state = update.attested_header.beacon.state_root;
    if is_member(root, &update.next_sync_committee_branch, fork.next_sync_committee(), state) { Ok(()) } else { wrong }
}
