//! Headers of consortium chains, sealed by our own keys in each of the three encodings.
#![allow(dead_code)]

use crate::support::keys;
use alloy_primitives::{Address, B256, Bytes, b256};
use crosspoint_light_proofs::qbft::{ClientState, ConsensusState, Encoding, Header, Latest, SealedHeader, Validators};
use crosspoint_light_proofs::signature::SigningKey;
use crosspoint_protocol::ids::{Height, Timestamp};

pub(crate) const MIX_HASH: B256 = b256!("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365");
pub(crate) const ENCODINGS: [Encoding; 3] = [Encoding::Qbft, Encoding::Ibft2, Encoding::Ibft1];

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let payload = items.concat();
    let mut out = vec![];
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    [out, payload].concat()
}

/// A block to be sealed.
#[derive(Clone)]
pub(crate) struct Block {
    pub(crate) encoding: Encoding,
    pub(crate) number: u64,
    pub(crate) time: u64,
    pub(crate) root: B256,
    pub(crate) round: u32,
    pub(crate) validators: Vec<SigningKey>,
    /// Who seals.
    pub(crate) signers: Vec<SigningKey>,
    /// Fields in the header; forks added some.
    pub(crate) fields: usize,
}

impl Block {
    pub(crate) fn new(encoding: Encoding, number: u64, time: u64, validators: &[SigningKey]) -> Self {
        let (validators, signers) = (validators.to_vec(), validators.to_vec());
        Self {
            encoding,
            number,
            time,
            root: B256::repeat_byte(number as u8),
            round: 1,
            validators,
            signers,
            fields: 16,
        }
    }

    pub(crate) fn extra(&self, seals: &[[u8; 65]]) -> Vec<u8> {
        let vanity = [7u8; 32];
        let validators = list(&self.validators.iter().map(|key| alloy_rlp::encode(key.address())).collect::<Vec<_>>());
        let seals = list(&seals.iter().map(|seal| alloy_rlp::encode(&seal[..])).collect::<Vec<_>>());
        let vanity_item = alloy_rlp::encode(&vanity[..]);
        match self.encoding {
            Encoding::Qbft => list(&[vanity_item, validators, vec![0xc0], alloy_rlp::encode(self.round), seals]),
            Encoding::Ibft2 => {
                let round = alloy_rlp::encode(&self.round.to_be_bytes()[..]);
                list(&[vanity_item, validators, vec![0x80], round, seals])
            }
            Encoding::Ibft1 => [&vanity[..], &list(&[validators, alloy_rlp::encode(&[9u8; 65][..]), seals])].concat(),
        }
    }

    pub(crate) fn rlp_with(&self, seals: &[[u8; 65]]) -> Bytes {
        let mut items: Vec<Vec<u8>> = (0..self.fields).map(|_| alloy_rlp::encode(B256::repeat_byte(9))).collect();
        items[3] = alloy_rlp::encode(self.root);
        items[6] = alloy_rlp::encode(&[0u8; 256][..]);
        items[7] = alloy_rlp::encode(1u8);
        items[8] = alloy_rlp::encode(self.number);
        items[11] = alloy_rlp::encode(self.time);
        items[12] = alloy_rlp::encode(&self.extra(seals)[..]);
        items[13] = alloy_rlp::encode(MIX_HASH);
        list(&items).into()
    }

    /// What validators sign, known from the header without seals.
    pub(crate) fn digest(&self) -> B256 {
        SealedHeader::decode(self.encoding, &self.rlp_with(&[])).unwrap().digest
    }

    pub(crate) fn rlp(&self) -> Bytes {
        let digest = self.digest();
        let seals: Vec<_> = self.signers.iter().map(|key| seal(key, &digest)).collect();
        self.rlp_with(&seals)
    }

    pub(crate) fn update(&self, trusted: &Self) -> Header {
        Header { trusted_height: Height(trusted.number), rlp: self.rlp() }
    }

    pub(crate) fn latest(&self) -> Latest {
        let hash = SealedHeader::decode(self.encoding, &self.rlp()).unwrap().hash;
        Latest { number: Height(self.number), hash, time: Timestamp(self.time) }
    }

    pub(crate) fn consensus(&self) -> ConsensusState {
        let validators = Validators::new(self.validators.iter().map(SigningKey::address).collect()).unwrap();
        ConsensusState { root: self.root, time: Timestamp(self.time), validators }
    }

    /// A client whose newest header is this block.
    pub(crate) fn client(&self) -> ClientState {
        ClientState { latest: self.latest(), ..client(self.encoding) }
    }
}

pub(crate) fn client(encoding: Encoding) -> ClientState {
    ClientState {
        evm_chain_id: 1337,
        encoding,
        latest: Latest { number: Height(0), hash: B256::ZERO, time: Timestamp(0) },
        trusting_period: 1_000,
        max_clock_drift: 10,
        store_address: Address::repeat_byte(0x5e),
        base_slot: B256::ZERO,
        frozen: false,
        generation: 0,
    }
}

pub(crate) fn seal(key: &SigningKey, digest: &B256) -> [u8; 65] {
    let mut seal = key.sign(&digest.0);
    seal[64] -= 27;
    seal
}

pub(crate) fn genesis(encoding: Encoding) -> Block {
    Block::new(encoding, 10, 1_000, &keys(4))
}
