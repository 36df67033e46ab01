//! Real headers with seals. Tests of other crates include this file by its path, beside the sealed chain's.
#![allow(dead_code, unreachable_pub)]

use crate::sealed_chain::{self, Block};
use alloy::consensus::Header as EvmHeader;
use alloy::primitives::{B256, U256};
use crosspoint_light_proofs::qbft::SealedHeader;

/// This header as the block's signers seal it, in the block's encoding and with its validators; and its hash.
pub fn sealed(mut header: EvmHeader, block: &Block) -> (B256, EvmHeader) {
    header.difficulty = U256::ONE;
    header.mix_hash = sealed_chain::MIX_HASH;
    header.extra_data = block.extra(&[]).into();
    let read = |header: &EvmHeader| SealedHeader::decode(block.encoding, &alloy_rlp::encode(header)).unwrap();
    let SealedHeader { hash, digest, .. } = read(&header);
    let seals: Vec<_> = block.signers.iter().map(|key| sealed_chain::seal(key, &digest)).collect();
    header.extra_data = block.extra(&seals).into();
    (hash, header)
}
