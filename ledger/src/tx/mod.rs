//! Transactions: protobuf, signed with ed25519, bound to one chain and one nonce.
//!
//! Sign bytes are `"crosspoint/tx/v1" ‖ u64be(body length) ‖ body`, the body's own bytes as sent. A transaction
//! must re-encode to itself, so that it has one hash. [`TxBuilder`] makes one, [`Tx::decode`] reads one;
//! [`Tx::verify`] checks the signature apart, because that is the slow part and can run in parallel.

pub mod action;
pub mod convert;
pub mod message;
pub mod weight;
pub mod wire;

use crosspoint_protocol::ids::ChainId;
use crosspoint_protocol::sha256;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use prost::Message as _;

use crate::address::AccountId;
use message::Message;

/// Most bytes of a transaction.
pub const MAX_TX_BYTES: usize = 1 << 20;
/// Most messages of a transaction.
pub const MAX_MSGS: usize = 256;
/// Most items of all batch messages of a transaction together.
pub const MAX_ITEMS: usize = 512;

/// Most that a transaction may weigh, and a block's transactions together ([`weight`]): a reader must be able to get a
/// block's results in one answer, or it could never read on. Adapters take 32 MiB by default.
pub const MAX_WEIGHT: usize = 24 * 1024 * 1024;

const DOMAIN: &[u8] = b"crosspoint/tx/v1";

/// Why bytes are not a transaction that can be looked at further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TxError {
    /// Too many bytes.
    #[error("a transaction of {0} bytes is longer than {MAX_TX_BYTES}")]
    TooLong(usize),
    /// Not protobuf of this shape.
    #[error("the transaction is not protobuf of the right shape")]
    Protobuf,
    /// Decodes, but re-encodes to other bytes.
    #[error("the transaction is not the canonical encoding of what it decodes to")]
    NotCanonical,
    /// The key is no ed25519 public key, or one of small order.
    #[error("the public key is not a valid ed25519 key")]
    Key,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
    /// No message or too many.
    #[error("a transaction has 1 to {MAX_MSGS} messages, not {0}")]
    MessageCount(usize),
    /// Too many items.
    #[error("a transaction has at most {MAX_ITEMS} items in all its batches, not {0}")]
    ItemCount(usize),
    /// More signatures or results than a block has room for.
    #[error("a transaction weighs at most {MAX_WEIGHT}, not {0}; send its updates in transactions of their own")]
    TooHeavy(usize),
    /// A field of a message is invalid.
    #[error("message {index}: {field}: {reason}")]
    Field {
        /// The message's position, from 0.
        index: usize,
        /// The field's name.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// A transaction, decoded. Its signature is not checked yet.
#[derive(Debug, Clone)]
pub struct Tx {
    /// The chain it is for, as text: another chain's id is the sender's mistake, not the decoder's.
    pub chain_id: String,
    /// The sender's transactions before this one, plus 1.
    pub nonce: u64,
    /// The steps, in order.
    pub messages: Vec<Message>,
    /// Who signed: the account of the key.
    pub sender: AccountId,
    key: VerifyingKey,
    signature: Signature,
    body: Vec<u8>,
}

fn sign_bytes(body: &[u8]) -> Vec<u8> {
    [DOMAIN, &(body.len() as u64).to_be_bytes(), body].concat()
}

/// The hash that names a transaction, as in CometBFT: SHA-256 of its bytes.
#[must_use]
pub fn hash(bytes: &[u8]) -> [u8; 32] {
    sha256(&[bytes])
}

impl Tx {
    /// Strict decoding. Does not check the signature, chain id or nonce.
    pub fn decode(bytes: &[u8]) -> Result<Self, TxError> {
        if bytes.len() > MAX_TX_BYTES {
            return Err(TxError::TooLong(bytes.len()));
        }
        let outer = wire::Tx::decode(bytes).map_err(|_| TxError::Protobuf)?;
        weight::check(&outer.body)?;
        let body = wire::Body::decode(outer.body.as_slice()).map_err(|_| TxError::Protobuf)?;
        if outer.encode_to_vec() != bytes || body.encode_to_vec() != outer.body {
            return Err(TxError::NotCanonical);
        }
        if body.msgs.is_empty() {
            return Err(TxError::MessageCount(0));
        }
        let messages = body
            .msgs
            .into_iter()
            .enumerate()
            .map(|(index, msg)| {
                convert::read(msg).map_err(|error| TxError::Field { index, field: error.field, reason: error.reason })
            })
            .collect::<Result<Vec<_>, TxError>>()?;
        let key = <[u8; 32]>::try_from(outer.public_key.as_slice())
            .ok()
            .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
            .filter(|key| !key.is_weak())
            .ok_or(TxError::Key)?;
        let signature = Signature::from_slice(&outer.signature).map_err(|_| TxError::Signature)?;
        let sender = AccountId::of_key(&key);
        Ok(Self { chain_id: body.chain_id, nonce: body.nonce, messages, sender, key, signature, body: outer.body })
    }

    /// Checks the signature (strict ed25519: no small-order key, no malleable encoding).
    pub fn verify(&self) -> Result<(), TxError> {
        self.key.verify_strict(&sign_bytes(&self.body), &self.signature).map_err(|_| TxError::Signature)
    }
}

/// Builds and signs a transaction.
#[derive(Debug, Clone)]
#[must_use]
pub struct TxBuilder {
    chain_id: ChainId,
    nonce: u64,
    messages: Vec<Message>,
}

impl TxBuilder {
    /// A transaction for this chain with this nonce: the sender's last one plus 1.
    pub fn new(chain_id: ChainId, nonce: u64) -> Self {
        Self { chain_id, nonce, messages: vec![] }
    }

    /// Adds a step.
    pub fn message(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }

    /// The signed transaction's bytes.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> Vec<u8> {
        let msgs = self.messages.into_iter().map(convert::write).collect();
        let body = wire::Body { chain_id: self.chain_id.into(), nonce: self.nonce, msgs }.encode_to_vec();
        let signature = key.sign(&sign_bytes(&body)).to_bytes().to_vec();
        wire::Tx { body, public_key: key.verifying_key().to_bytes().to_vec(), signature }.encode_to_vec()
    }
}
