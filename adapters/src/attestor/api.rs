//! What attestors and relayers say to each other, in JSON.

use alloy::primitives::{Address, B256, Bytes};
use crosspoint_light_proofs::attested::{Rotation, Statement};
use crosspoint_light_proofs::serde_hex;
use crosspoint_protocol::ids::{Height, Timestamp};
use serde::{Deserialize, Serialize};

/// `POST /v1/attestations`: a statement is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestationRequest {
    /// The number of the newest header that the client trusts.
    pub prev_number: Height,
    /// Its hash.
    pub prev_hash: B256,
    /// The header to attest; without it the newest that is final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Height>,
}

/// The answer: one attestor's signature under a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// Who signed.
    pub attestor: Address,
    /// What was signed.
    pub statement: Statement,
    /// `r ‖ s ‖ v`.
    #[serde(with = "serde_hex::array")]
    pub signature: [u8; 65],
    /// The header's RLP; its keccak256 is `statement.hash`.
    pub header_rlp: Bytes,
}

/// `GET /v1/rotation`: one attestor's signature under the set that is to follow its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotationShare {
    /// Who signed.
    pub attestor: Address,
    /// What was signed.
    pub rotation: Rotation,
    /// `r ‖ s ‖ v`.
    #[serde(with = "serde_hex::array")]
    pub signature: [u8; 65],
}

/// `GET /v1/status`: what an attestor is and how far its node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestorStatus {
    /// The attestor's address.
    pub attestor: Address,
    /// The EIP-155 id of the chain it attests.
    pub chain_id: u64,
    /// The hash of that chain's block 0.
    pub genesis_hash: B256,
    /// The attestor set it signs for.
    pub epoch: u64,
    /// The newest final block of its node.
    pub finalized: FinalizedBlock,
}

/// A block as an attestor's node has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalizedBlock {
    /// Its number.
    pub number: Height,
    /// Its hash.
    pub hash: B256,
    /// Its time.
    pub time: Timestamp,
}

/// Why a request was refused (RFC 9457 problem details).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of problem: `about:blank`, the status says it all.
    #[serde(rename = "type")]
    pub kind: String,
    /// The problem in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, to what, and what to do next.
    pub detail: String,
    /// The reason as one word for programs.
    pub reason: String,
}
