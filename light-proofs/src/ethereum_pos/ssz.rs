//! Bootstraps and updates as SSZ (consensus specifications, light-client/p2p-interface): what beacon nodes serve as
//! `application/octet-stream`, and the bounded binary form in which ledger transactions carry updates.

use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};

use super::network::{Fork, Preset};
use super::types::{
    BeaconHeader, Bootstrap, ExecutionPayloadHeader, LightClientHeader, SyncAggregate, SyncCommittee, Update,
};

/// Most bytes of an encoded update of any network that is handled.
pub const MAX_UPDATE_BYTES: usize = 128 * 1024;
/// Most bytes of an execution payload's extra data.
const MAX_EXTRA_DATA: usize = 32;
const BLOOM_LEN: usize = 256;
const OFFSET_LEN: usize = 4;

/// Why bytes are not the container asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SszError {
    /// The bytes end within a field.
    #[error("the bytes end within {0}")]
    Short(&'static str),
    /// Bytes are left over, or an offset points elsewhere than to the end of what is before it.
    #[error("the parts of {0} do not join up")]
    Layout(&'static str),
    /// Longer than any valid one.
    #[error("{0} is longer than allowed")]
    TooLong(&'static str),
}

type Read<T> = Result<T, SszError>;

/// Bytes being read.
struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(SszError::Short(self.what))?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| SszError::Short(self.what))
    }

    fn word(&mut self) -> Read<B256> {
        Ok(B256::from(self.array()?))
    }

    fn words(&mut self, count: usize) -> Read<Vec<B256>> {
        (0..count).map(|_| self.word()).collect()
    }

    fn number(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn offset(&mut self) -> Read<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| SszError::Layout(self.what))
    }

    fn end(self) -> Read<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(SszError::Layout(self.what)) }
    }
}

/// The parts of a container whose offsets these are, after its fixed part: the first begins where that ends.
fn parts<'a, const N: usize>(
    bytes: &'a [u8],
    fixed: usize,
    offsets: [usize; N],
    what: &'static str,
) -> Read<[&'a [u8]; N]> {
    let mut parts = [[].as_slice(); N];
    let mut expected = fixed;
    for (at, part) in parts.iter_mut().enumerate() {
        let start = offsets.get(at).copied().ok_or(SszError::Layout(what))?;
        let end = offsets.get(at.saturating_add(1)).copied().unwrap_or(bytes.len());
        // Offsets are where the part before ends, so that there is one encoding only.
        if start != expected {
            return Err(SszError::Layout(what));
        }
        *part = bytes.get(start..end).ok_or(SszError::Layout(what))?;
        expected = end;
    }
    Ok(parts)
}

fn beacon(reader: &mut Reader<'_>) -> Read<BeaconHeader> {
    Ok(BeaconHeader {
        slot: reader.number()?,
        proposer_index: reader.number()?,
        parent_root: reader.word()?,
        state_root: reader.word()?,
        body_root: reader.word()?,
    })
}

fn header(fork: Fork, bytes: &[u8]) -> Read<LightClientHeader> {
    const WHAT: &str = "a header";
    let mut reader = Reader::new(bytes, WHAT);
    let beacon = beacon(&mut reader)?;
    if fork < Fork::Capella {
        reader.end()?;
        return Ok(LightClientHeader { beacon, execution: None, execution_branch: vec![] });
    }
    let offset = reader.offset()?;
    let execution_branch = reader.words(4)?;
    let [payload] = parts(bytes, bytes.len().saturating_sub(reader.rest.len()), [offset], WHAT)?;
    Ok(LightClientHeader { beacon, execution: Some(execution(fork, payload)?), execution_branch })
}

fn execution(fork: Fork, bytes: &[u8]) -> Read<ExecutionPayloadHeader> {
    const WHAT: &str = "an execution header";
    let mut reader = Reader::new(bytes, WHAT);
    let mut header = ExecutionPayloadHeader {
        parent_hash: reader.word()?,
        fee_recipient: Address::from(reader.array()?),
        state_root: reader.word()?,
        receipts_root: reader.word()?,
        logs_bloom: Bytes::copy_from_slice(reader.take(BLOOM_LEN)?),
        prev_randao: reader.word()?,
        block_number: reader.number()?,
        gas_limit: reader.number()?,
        gas_used: reader.number()?,
        timestamp: reader.number()?,
        ..Default::default()
    };
    let offset = reader.offset()?;
    header.base_fee_per_gas = U256::from_le_bytes(reader.array::<{ U256::BYTES }>()?);
    header.block_hash = reader.word()?;
    header.transactions_root = reader.word()?;
    header.withdrawals_root = reader.word()?;
    if fork >= Fork::Deneb {
        header.blob_gas_used = reader.number()?;
        header.excess_blob_gas = reader.number()?;
    }
    let [extra] = parts(bytes, bytes.len().saturating_sub(reader.rest.len()), [offset], WHAT)?;
    if extra.len() > MAX_EXTRA_DATA {
        return Err(SszError::TooLong("extra data"));
    }
    header.extra_data = Bytes::copy_from_slice(extra);
    Ok(header)
}

fn committee(reader: &mut Reader<'_>, preset: Preset) -> Read<SyncCommittee> {
    let keys = (0..preset.sync_committee_size).map(|_| reader.array().map(FixedBytes::<48>::from));
    Ok(SyncCommittee { pubkeys: keys.collect::<Read<_>>()?, aggregate_pubkey: FixedBytes::from(reader.array()?) })
}

/// Nodes of a branch: the depth of its place.
const fn branches(fork: Fork) -> (usize, usize) {
    (fork.next_sync_committee().depth, fork.finalized_root().depth)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

impl Bootstrap {
    /// Reads a bootstrap of a fork's form.
    pub fn from_ssz(preset: Preset, fork: Fork, bytes: &[u8]) -> Result<Self, SszError> {
        const WHAT: &str = "a bootstrap";
        if bytes.len() > MAX_UPDATE_BYTES {
            return Err(SszError::TooLong(WHAT));
        }
        let (depth, _) = branches(fork);
        let mut reader = Reader::new(bytes, WHAT);
        let (fixed_header, offset) = header_or_offset(&mut reader, fork)?;
        let current_sync_committee = committee(&mut reader, preset)?;
        let current_sync_committee_branch = reader.words(depth)?;
        let header = match (fixed_header, offset) {
            (Some(header), _) => {
                reader.end()?;
                header
            }
            (None, offset) => {
                let fixed = bytes.len().saturating_sub(reader.rest.len());
                let [part] = parts(bytes, fixed, [offset], WHAT)?;
                header(fork, part)?
            }
        };
        Ok(Self { header, current_sync_committee, current_sync_committee_branch })
    }

    /// Writes a bootstrap in a fork's form.
    #[must_use]
    pub fn to_ssz(&self, fork: Fork) -> Vec<u8> {
        let (depth, _) = branches(fork);
        let header = write_header(fork, &self.header);
        let mut committee = vec![];
        write_committee(&mut committee, &self.current_sync_committee);
        write_words(&mut committee, &self.current_sync_committee_branch, depth);
        if fork < Fork::Capella {
            return [header, committee].concat();
        }
        let at = offset_bytes(committee.len().saturating_add(OFFSET_LEN));
        [at.as_slice(), &committee, &header].concat()
    }
}

/// Before Capella headers have a fixed size and stand where later there is an offset.
fn header_or_offset(reader: &mut Reader<'_>, fork: Fork) -> Read<(Option<LightClientHeader>, usize)> {
    if fork < Fork::Capella {
        Ok((Some(LightClientHeader { beacon: beacon(reader)?, ..Default::default() }), 0))
    } else {
        Ok((None, reader.offset()?))
    }
}

impl Update {
    /// Reads an update of a fork's form. A committee or a finalized header of zeros is read as none.
    pub fn from_ssz(preset: Preset, fork: Fork, bytes: &[u8]) -> Result<Self, SszError> {
        const WHAT: &str = "an update";
        if bytes.len() > MAX_UPDATE_BYTES {
            return Err(SszError::TooLong(WHAT));
        }
        let (committee_depth, finality_depth) = branches(fork);
        let mut reader = Reader::new(bytes, WHAT);
        let (attested, attested_at) = header_or_offset(&mut reader, fork)?;
        let before = reader.rest;
        let next = committee(&mut reader, preset)?;
        let has_next = !is_zero(before.get(..before.len().saturating_sub(reader.rest.len())).unwrap_or_default());
        let next_sync_committee_branch = reader.words(committee_depth)?;
        let (finalized, finalized_at) = header_or_offset(&mut reader, fork)?;
        let finality_branch = reader.words(finality_depth)?;
        let bits = Bytes::copy_from_slice(reader.take(preset.sync_committee_size / 8)?);
        let sync_aggregate =
            SyncAggregate { sync_committee_bits: bits, sync_committee_signature: FixedBytes::from(reader.array()?) };
        let signature_slot = reader.number()?;
        let (attested_header, finalized_header) = match (attested, finalized) {
            (Some(attested), Some(finalized)) => {
                reader.end()?;
                (attested, finalized)
            }
            _ => {
                let fixed = bytes.len().saturating_sub(reader.rest.len());
                let [attested, finalized] = parts(bytes, fixed, [attested_at, finalized_at], WHAT)?;
                (header(fork, attested)?, header(fork, finalized)?)
            }
        };
        Ok(Self {
            attested_header,
            next_sync_committee: has_next.then_some(next),
            next_sync_committee_branch,
            finalized_header: (finalized_header.beacon != BeaconHeader::default()).then_some(finalized_header),
            finality_branch,
            sync_aggregate,
            signature_slot,
        })
    }

    /// Writes an update in a fork's form.
    #[must_use]
    pub fn to_ssz(&self, preset: Preset, fork: Fork) -> Vec<u8> {
        let (committee_depth, finality_depth) = branches(fork);
        let attested = write_header(fork, &self.attested_header);
        let finalized = write_header(fork, &self.finalized_header.clone().unwrap_or_default());
        let committee = (preset.sync_committee_size.saturating_add(1)).saturating_mul(48);
        let aggregate = (preset.sync_committee_size / 8).saturating_add(96).saturating_add(8);
        let words = committee_depth.saturating_add(finality_depth).saturating_mul(32);
        let fixed = [committee, aggregate, words, OFFSET_LEN, OFFSET_LEN].into_iter().fold(0, usize::saturating_add);

        let mut out = vec![];
        let inline = fork < Fork::Capella;
        let place = |out: &mut Vec<u8>, part: &[u8], at: usize| {
            if inline { out.extend_from_slice(part) } else { out.extend_from_slice(&offset_bytes(at)) }
        };
        place(&mut out, &attested, fixed);
        match &self.next_sync_committee {
            Some(next) => write_committee(&mut out, next),
            None => out.resize(out.len().saturating_add(committee), 0),
        }
        write_words(&mut out, &self.next_sync_committee_branch, committee_depth);
        place(&mut out, &finalized, fixed.saturating_add(attested.len()));
        write_words(&mut out, &self.finality_branch, finality_depth);
        out.extend_from_slice(&self.sync_aggregate.sync_committee_bits);
        out.extend_from_slice(self.sync_aggregate.sync_committee_signature.as_slice());
        out.extend_from_slice(&self.signature_slot.to_le_bytes());
        if !inline {
            out.extend_from_slice(&attested);
            out.extend_from_slice(&finalized);
        }
        out
    }
}

fn offset_bytes(at: usize) -> [u8; OFFSET_LEN] {
    u32::try_from(at).unwrap_or(u32::MAX).to_le_bytes()
}

fn write_words(out: &mut Vec<u8>, words: &[B256], count: usize) {
    for at in 0..count {
        out.extend_from_slice(words.get(at).copied().unwrap_or_default().as_slice());
    }
}

fn write_committee(out: &mut Vec<u8>, committee: &SyncCommittee) {
    let keys = committee.pubkeys.iter().chain([&committee.aggregate_pubkey]);
    keys.for_each(|key| out.extend_from_slice(key.as_slice()));
}

fn write_header(fork: Fork, header: &LightClientHeader) -> Vec<u8> {
    let beacon = &header.beacon;
    let mut out = [beacon.slot.to_le_bytes(), beacon.proposer_index.to_le_bytes()].concat();
    write_words(&mut out, &[beacon.parent_root, beacon.state_root, beacon.body_root], 3);
    if fork >= Fork::Capella {
        let at = out.len().saturating_add(OFFSET_LEN).saturating_add(4 * 32);
        out.extend_from_slice(&offset_bytes(at));
        write_words(&mut out, &header.execution_branch, 4);
        out.extend_from_slice(&write_execution(fork, &header.execution.clone().unwrap_or_default()));
    }
    out
}

fn write_execution(fork: Fork, header: &ExecutionPayloadHeader) -> Vec<u8> {
    let mut out = header.parent_hash.to_vec();
    out.extend_from_slice(header.fee_recipient.as_slice());
    write_words(&mut out, &[header.state_root, header.receipts_root], 2);
    let mut bloom = header.logs_bloom.to_vec();
    bloom.resize(BLOOM_LEN, 0);
    out.extend_from_slice(&bloom);
    write_words(&mut out, &[header.prev_randao], 1);
    for number in [header.block_number, header.gas_limit, header.gas_used, header.timestamp] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    let blobs = if fork >= Fork::Deneb { 16 } else { 0 };
    let at = [out.len(), OFFSET_LEN, 4 * 32, blobs].into_iter().fold(0, usize::saturating_add);
    out.extend_from_slice(&offset_bytes(at));
    out.extend_from_slice(&header.base_fee_per_gas.to_le_bytes::<{ U256::BYTES }>());
    write_words(&mut out, &[header.block_hash, header.transactions_root, header.withdrawals_root], 3);
    if fork >= Fork::Deneb {
        out.extend_from_slice(&header.blob_gas_used.to_le_bytes());
        out.extend_from_slice(&header.excess_blob_gas.to_le_bytes());
    }
    out.extend_from_slice(&header.extra_data);
    out
}
