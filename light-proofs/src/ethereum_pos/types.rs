//! The containers of the sync protocol, as the beacon API writes them in JSON (integers in decimal text).

use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
use serde::{Deserialize, Serialize};

/// A beacon block's header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeaconHeader {
    /// Its slot.
    #[serde(with = "decimal")]
    pub slot: u64,
    /// Who proposed it.
    #[serde(with = "decimal")]
    pub proposer_index: u64,
    /// The block before.
    pub parent_root: B256,
    /// The beacon state after the block.
    pub state_root: B256,
    /// The block's body.
    pub body_root: B256,
}

/// The header of the execution payload in a block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields of the specification, by its names
pub struct ExecutionPayloadHeader {
    pub parent_hash: B256,
    pub fee_recipient: Address,
    pub state_root: B256,
    pub receipts_root: B256,
    /// 256 bytes.
    pub logs_bloom: Bytes,
    pub prev_randao: B256,
    #[serde(with = "decimal")]
    pub block_number: u64,
    #[serde(with = "decimal")]
    pub gas_limit: u64,
    #[serde(with = "decimal")]
    pub gas_used: u64,
    #[serde(with = "decimal")]
    pub timestamp: u64,
    /// At most 32 bytes.
    pub extra_data: Bytes,
    #[serde(with = "decimal")]
    pub base_fee_per_gas: U256,
    pub block_hash: B256,
    pub transactions_root: B256,
    pub withdrawals_root: B256,
    /// From Deneb on.
    #[serde(with = "decimal", default)]
    pub blob_gas_used: u64,
    #[serde(with = "decimal", default)]
    pub excess_blob_gas: u64,
}

/// A header as light clients get it: with the execution payload's header from Capella on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LightClientHeader {
    /// The beacon block's header.
    pub beacon: BeaconHeader,
    /// What the block executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<ExecutionPayloadHeader>,
    /// Proves it in the block's body.
    #[serde(default)]
    pub execution_branch: Vec<B256>,
}

/// A sync committee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncCommittee {
    /// Compressed BLS keys of its members; one may be named more than once.
    pub pubkeys: Vec<FixedBytes<48>>,
    /// The sum of all of them.
    pub aggregate_pubkey: FixedBytes<48>,
}

/// Who of a committee signed, and the sum of their signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncAggregate {
    /// One bit per member, the lowest bit of the first byte first.
    pub sync_committee_bits: Bytes,
    /// Compressed.
    pub sync_committee_signature: FixedBytes<96>,
}

impl SyncAggregate {
    /// Whether a member signed.
    #[must_use]
    pub fn signed(&self, member: usize) -> bool {
        self.sync_committee_bits.get(member / 8).is_some_and(|byte| byte >> (member % 8) & 1 == 1)
    }

    /// How many signed.
    #[must_use]
    pub fn participants(&self) -> u64 {
        self.sync_committee_bits.iter().map(|byte| u64::from(byte.count_ones())).sum()
    }
}

/// What a client starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// The trusted header.
    pub header: LightClientHeader,
    /// The committee of its period.
    pub current_sync_committee: SyncCommittee,
    /// Proves the committee in the header's state.
    pub current_sync_committee_branch: Vec<B256>,
}

/// A light-client update. Without a committee or a finalized header it is an optimistic or a finality update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// The header that was signed.
    pub attested_header: LightClientHeader,
    /// The committee of the period after the attested header's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_sync_committee: Option<SyncCommittee>,
    /// Proves it in the attested header's state.
    #[serde(default)]
    pub next_sync_committee_branch: Vec<B256>,
    /// The header that was final by then. `None` with a branch: finality still rests on genesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finalized_header: Option<LightClientHeader>,
    /// Proves it in the attested header's state.
    #[serde(default)]
    pub finality_branch: Vec<B256>,
    /// The signatures.
    pub sync_aggregate: SyncAggregate,
    /// The slot of the block that carries the signatures.
    #[serde(with = "decimal")]
    pub signature_slot: u64,
}

impl Update {
    /// Whether it brings a committee.
    #[must_use]
    pub fn has_committee(&self) -> bool {
        self.next_sync_committee_branch.iter().any(|word| !word.is_zero())
    }

    /// Whether it brings a finalized header.
    #[must_use]
    pub fn has_finality(&self) -> bool {
        self.finality_branch.iter().any(|word| !word.is_zero())
    }

    /// The slot of the finalized header; 0 without one.
    #[must_use]
    pub fn finalized_slot(&self) -> u64 {
        self.finalized_header.as_ref().map_or(0, |header| header.beacon.slot)
    }
}

/// Integers as decimal text; numbers are read too.
mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(super) fn serialize<T: Display, S: Serializer>(number: &T, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(number)
    }

    pub(super) fn deserialize<'de, T, D>(d: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            Number(u64),
        }
        let text = match Either::deserialize(d)? {
            Either::Text(text) => text,
            Either::Number(number) => number.to_string(),
        };
        // `U256` would read other bases and separators, too.
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(D::Error::custom("not a decimal integer"));
        }
        text.parse().map_err(D::Error::custom)
    }
}
