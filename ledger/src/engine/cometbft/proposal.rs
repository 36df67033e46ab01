//! What goes into a block, and which blocks are refused. Both ask the same questions, so that no honest proposal is
//! refused: the state asked is that of the last block on both sides.

use std::collections::HashMap;

use crosspoint_protocol::ids::Height;

use super::certificate::{self, Certificate, CertificateError};
use super::records::HeaderRecord;
use super::vote::Signers;
use crate::address::AccountId;
use crate::app::{AppError, Reader};
use crate::engine::mempool::Mempool;
use crate::engine::params::{MAX_BLOCK_BYTES, MAX_BLOCK_TXS, MAX_BLOCK_WEIGHT};
use crate::execute::{self, Unfit};
use crate::handlers::HandlerError;
use crate::state::access::ReadRecords as _;
use crate::state::keys;
use crate::state::store::View;
use crate::tx::{Tx, TxError, weight};

/// Why a block is refused. Its proposer is at fault: it runs another program, or none.
#[derive(Debug, thiserror::Error)]
pub enum BadBlock {
    /// The certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Too much of something.
    #[error("the block's transactions have {found} {what}; at most {max} are taken")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// Bytes that are no transaction, or are signed wrongly.
    #[error("transaction {index}: {error}")]
    Malformed {
        /// Its place among the users' transactions.
        index: usize,
        /// What is wrong.
        error: TxError,
    },
    /// A transaction that does not fit the state.
    #[error("transaction {index}: {why}")]
    Unfit {
        /// Its place among the users' transactions.
        index: usize,
        /// What is wrong.
        why: String,
    },
    /// The state could not be read: this node is at fault.
    #[error(transparent)]
    App(#[from] AppError),
}

/// The nonces that a block's transactions use up, sender by sender.
struct Nonces<'a> {
    view: View<'a>,
    reader: &'a Reader,
    next: HashMap<AccountId, u64>,
}

impl<'a> Nonces<'a> {
    fn new(reader: &'a Reader) -> Self {
        Self { view: reader.store.view(), reader, next: HashMap::new() }
    }

    /// Takes the transaction's nonce, which must be its sender's next in this block.
    fn take(&mut self, tx: &Tx) -> Result<(), Unfit> {
        let last = self.view.number(&keys::nonce(&tx.sender))?;
        let next = self.next.get(&tx.sender).copied().unwrap_or_else(|| last.saturating_add(1));
        if tx.nonce > next {
            return Err(Unfit::NonceAhead { found: tx.nonce, next });
        }
        if tx.nonce < next {
            return Err(Unfit::NonceUsed { found: tx.nonce, next });
        }
        let ahead = next.saturating_sub(last.saturating_add(1));
        execute::check(&self.view, &self.reader.genesis.chain_id, tx, ahead)?;
        self.next.insert(tx.sender, next.saturating_add(1));
        Ok(())
    }
}

/// The transactions of the next block: the certificate of the last header, if a quorum signed it, and what waits, as
/// much as fits into `max_bytes` (CometBFT's count, with the head of each transaction).
#[must_use]
pub fn prepare(
    reader: &Reader,
    mempool: &Mempool,
    certificate: Option<&Certificate>,
    max_bytes: usize,
) -> Vec<Vec<u8>> {
    let mut room = max_bytes;
    let mut txs = vec![];
    let certificate = certificate.map(Certificate::encode);
    let left = certificate.as_ref().and_then(|bytes| room.checked_sub(framed(bytes.len())));
    if let (Some(bytes), Some(left)) = (certificate, left) {
        room = left;
        txs.push(bytes);
    }
    let mut nonces = Nonces::new(reader);
    for tx in mempool.reap(MAX_BLOCK_BYTES.min(room), MAX_BLOCK_WEIGHT, MAX_BLOCK_TXS) {
        // Signatures were verified when it came in; what changed since is the state.
        let fits = Tx::decode(&tx).is_ok_and(|decoded| nonces.take(&decoded).is_ok());
        if !fits {
            continue;
        }
        let Some(left) = room.checked_sub(framed(tx.len())) else { break };
        room = left;
        txs.push(tx);
    }
    txs
}

/// The bytes of a transaction in a block: its field's head, its length, itself.
fn framed(len: usize) -> usize {
    prost::length_delimiter_len(len).saturating_add(len).saturating_add(1)
}

/// Whether a block may be voted for.
///
/// # Errors
/// [`BadBlock`] says why not.
pub fn process<T: AsRef<[u8]> + Sync>(
    reader: &Reader,
    signers: &Signers,
    last: Option<&HeaderRecord>,
    height: Height,
    txs: &[T],
) -> Result<(), BadBlock> {
    let (certificate, users) = certificate::split(txs);
    if let Some(bytes) = certificate {
        check_certificate(signers, last, height, bytes)?;
    }
    let bounded = |what, found, max| if found > max { Err(BadBlock::TooMuch { what, found, max }) } else { Ok(()) };
    bounded("transactions", users.len(), MAX_BLOCK_TXS)?;
    let sum = |each: fn(&[u8]) -> usize| users.iter().map(|tx| each(tx.as_ref())).fold(0, usize::saturating_add);
    bounded("bytes", sum(<[u8]>::len), MAX_BLOCK_BYTES)?;
    bounded("units of weight", sum(weight::weight), MAX_BLOCK_WEIGHT)?;
    let mut nonces = Nonces::new(reader);
    for (index, tx) in execute::decode_all(users).into_iter().enumerate() {
        let tx = tx.map_err(|error| BadBlock::Malformed { index, error })?;
        nonces.take(&tx).map_err(|why| match why {
            Unfit::Handler(HandlerError::State(error)) => BadBlock::App(error.into()),
            why => BadBlock::Unfit { index, why: why.to_string() },
        })?;
    }
    Ok(())
}

fn check_certificate(
    signers: &Signers,
    last: Option<&HeaderRecord>,
    height: Height,
    bytes: &[u8],
) -> Result<(), CertificateError> {
    let certificate = Certificate::decode(bytes)?;
    certificate.verify(signers, Height(height.0.saturating_sub(1)))?;
    // A node that has just joined by state sync did not see the header; the quorum's word is all it has.
    match last {
        Some(header) if !header.is_of(&certificate) => Err(CertificateError::OtherHeader(certificate.height)),
        _ => Ok(()),
    }
}
