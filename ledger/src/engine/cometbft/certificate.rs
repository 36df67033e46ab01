//! The certificate of a header: the checkpoint signatures that its validators sent with their votes, a quorum of them,
//! as the first transaction of the next block (`docs/adr/0012-certificates-in-blocks.md`).
//!
//! It is no user's transaction: it changes no state, has no events and is left out of what is executed. Its bytes are
//! [`PREFIX`] and a protobuf message, [`wire`]; the prefix begins with a zero byte, which no transaction can.

use crosspoint_light_proofs::checkpoint::{CheckpointError, SignedCheckpoint};
use crosspoint_protocol::ids::{Height, Timestamp};
use prost::Message;

use super::vote::{SignedVote, Signers};

/// What a certificate's bytes begin with.
pub const PREFIX: &[u8] = b"\0crosspoint/certificate/v1";

/// Why bytes are not the certificate that they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not a certificate's encoding, or not the only one of it.
    #[error("the certificate is malformed")]
    Malformed,
    /// Of another header than the last.
    #[error("the certificate is of header {found}; this block carries that of header {expected}")]
    Height {
        /// The certificate's.
        found: Height,
        /// The last header's.
        expected: Height,
    },
    /// Of another header at this height.
    #[error("a quorum signed another header {0} than the one that is here")]
    OtherHeader(Height),
    /// The signatures.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// The encoding of a certificate.
pub mod wire {
    /// A certificate.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Certificate {
        /// The header's height.
        #[prost(uint64, tag = "1")]
        pub height: u64,
        /// The header's time in seconds.
        #[prost(uint64, tag = "2")]
        pub time: u64,
        /// The app hash in the header.
        #[prost(bytes = "vec", tag = "3")]
        pub app_hash: Vec<u8>,
        /// `r ‖ s ‖ v` each, ascending by the signer's address.
        #[prost(bytes = "vec", repeated, tag = "4")]
        pub signatures: Vec<Vec<u8>>,
    }
}

/// A header's facts and the signatures over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The header's height.
    pub height: Height,
    /// The header's time.
    pub time: Timestamp,
    /// The app hash in the header.
    pub app_hash: [u8; 32],
    /// `r ‖ s ‖ v` each, ascending by the signer's address.
    pub signatures: Vec<[u8; 65]>,
}

/// Whether a transaction claims to be a certificate.
#[must_use]
pub fn is_certificate(tx: &[u8]) -> bool {
    tx.starts_with(PREFIX)
}

/// The certificate at the head of a block's transactions, if there is one, and the users' transactions.
#[must_use]
pub fn split<T: AsRef<[u8]>>(txs: &[T]) -> (Option<&[u8]>, &[T]) {
    match txs.split_first() {
        Some((first, users)) if is_certificate(first.as_ref()) => (Some(first.as_ref()), users),
        _ => (None, txs),
    }
}

impl Certificate {
    /// Gathers the votes for one header; `None` if they are no quorum.
    #[must_use]
    pub fn gather(
        signers: &Signers,
        height: Height,
        time: Timestamp,
        app_hash: [u8; 32],
        votes: impl IntoIterator<Item = SignedVote>,
    ) -> Option<Self> {
        let votes = votes.into_iter().filter(|vote| vote.time == time);
        let signed = votes.map(|vote| (vote.signer, vote.signature)).collect();
        let statement = signers.statement(height, time, app_hash);
        let signatures = SignedCheckpoint::assemble(statement, signers.set().clone(), None, signed).signatures;
        let certificate = Self { height, time, app_hash, signatures };
        certificate.verify(signers, height).is_ok().then_some(certificate)
    }

    /// The transaction.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let signatures = self.signatures.iter().map(|signature| signature.to_vec()).collect();
        let message = wire::Certificate {
            height: self.height.0,
            time: self.time.0,
            app_hash: self.app_hash.to_vec(),
            signatures,
        };
        [PREFIX, &message.encode_to_vec()].concat()
    }

    /// Reads a transaction. Signatures are not verified.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`], also for an encoding that is not the shortest.
    pub fn decode(tx: &[u8]) -> Result<Self, CertificateError> {
        let malformed = || CertificateError::Malformed;
        let body = tx.strip_prefix(PREFIX).ok_or_else(malformed)?;
        let message = wire::Certificate::decode(body).map_err(|_| malformed())?;
        let signatures = message.signatures.into_iter().map(<[u8; 65]>::try_from).collect::<Result<_, _>>();
        let certificate = Self {
            height: Height(message.height),
            time: Timestamp(message.time),
            app_hash: message.app_hash.try_into().map_err(|_| malformed())?,
            signatures: signatures.map_err(|_| malformed())?,
        };
        if certificate.encode() == tx { Ok(certificate) } else { Err(malformed()) }
    }

    /// The checkpoint, as light clients take it.
    #[must_use]
    pub fn signed(&self, signers: &Signers) -> SignedCheckpoint {
        SignedCheckpoint {
            checkpoint: signers.statement(self.height, self.time, self.app_hash),
            set: signers.set().clone(),
            next_set: None,
            signatures: self.signatures.clone(),
        }
    }

    /// Whether a quorum of the set signed this header, as the light client counts.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn verify(&self, signers: &Signers, height: Height) -> Result<(), CertificateError> {
        if self.height != height {
            return Err(CertificateError::Height { found: self.height, expected: height });
        }
        let statement = signers.statement(height, self.time, self.app_hash);
        signers.set().verify_quorum(&statement.digest(), &self.signatures)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo;

    const HEADER: (Height, Timestamp, [u8; 32]) = (Height(5), Timestamp(1_800_000_000), [7; 32]);

    fn signers() -> Signers {
        Signers::of(&demo::genesis(4).unwrap()).unwrap()
    }

    fn vote(index: u32, time: Timestamp) -> SignedVote {
        let (height, _, app_hash) = HEADER;
        let key = demo::validator_keys(index).unwrap().1;
        let signature = signers().statement(height, time, app_hash).sign(&key);
        SignedVote { time, signer: key.address(), signature }
    }

    fn gather(votes: Vec<SignedVote>) -> Option<Certificate> {
        let (height, time, app_hash) = HEADER;
        Certificate::gather(&signers(), height, time, app_hash, votes)
    }

    #[test]
    fn three_of_four_make_a_certificate_and_two_do_not() {
        let time = HEADER.1;
        let certificate = gather(vec![vote(2, time), vote(0, time), vote(3, time)]).unwrap();
        assert_eq!(certificate.verify(&signers(), HEADER.0), Ok(()));
        assert_eq!(Certificate::decode(&certificate.encode()), Ok(certificate));
        assert_eq!(gather(vec![vote(0, time), vote(1, time)]), None);
        assert_eq!(gather(vec![vote(0, time), vote(1, time), vote(1, time)]), None);
        // A vote for the block of another round is a vote, but not for this header.
        assert_eq!(gather(vec![vote(0, time), vote(1, time), vote(2, Timestamp(time.0 + 1))]), None);
    }

    #[test]
    fn only_one_encoding_of_a_quorum_for_the_last_header_is_a_certificate() {
        let good = gather((0..4).map(|index| vote(index, HEADER.1)).collect()).unwrap();
        let above = good.verify(&signers(), Height(6));
        assert_eq!(above, Err(CertificateError::Height { found: Height(5), expected: Height(6) }));
        let other = Certificate { app_hash: [8; 32], ..good.clone() };
        assert!(other.verify(&signers(), HEADER.0).is_err());
        let mut swapped = good.clone();
        swapped.signatures.swap(0, 1);
        assert!(swapped.verify(&signers(), HEADER.0).is_err());
        let bytes = good.encode();
        for bad in [&bytes[1..], &bytes[..bytes.len() - 1], &[bytes.as_slice(), &[0x28, 1]].concat(), PREFIX] {
            assert_eq!(Certificate::decode(bad), Err(CertificateError::Malformed));
        }
    }

    #[test]
    fn a_certificate_is_never_a_transaction() {
        let bytes = gather((0..4).map(|index| vote(index, HEADER.1)).collect()).unwrap().encode();
        assert!(crate::tx::Tx::decode(&bytes).is_err());
        assert_eq!(split(&[bytes.clone(), vec![1]]), (Some(bytes.as_slice()), [vec![1]].as_slice()));
        assert_eq!(split(&[vec![1], bytes.clone()]), (None, [vec![1], bytes].as_slice()));
    }
}
