//! Acknowledgements: how the destination tells the source how a transfer ended.

use crate::secret::{Hashlock, Preimage};
use crate::sha256;

/// The universal error acknowledgement of IBC v2: `sha256("UNIVERSAL_ERROR_ACKNOWLEDGEMENT")`.
pub const UNIVERSAL_ERROR_ACK: [u8; 32] = [
    0x47, 0x74, 0xd4, 0xa5, 0x75, 0x99, 0x3f, 0x96, 0x3b, 0x1c, 0x06, 0x57, 0x37, 0x36, 0x61, 0x7a, //
    0x45, 0x7a, 0xbe, 0xf8, 0x58, 0x91, 0x78, 0xdb, 0x8d, 0x10, 0xc9, 0x4b, 0x4a, 0xb5, 0x11, 0xab,
];

/// The first byte of a success acknowledgement.
const SUCCESS: u8 = 1;

/// How a transfer ended on its destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledgement {
    /// Claimed with this preimage. On the wire: `0x01 ‖ preimage`, 33 bytes.
    Success(Preimage),
    /// Voided or refused. On the wire: the universal error acknowledgement.
    Error,
}

/// Why bytes are not an acknowledgement of a points transfer. The source reverts and alerts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// Neither `0x01 ‖ 32 bytes` nor the universal error.
    #[error(
        "an acknowledgement of {len} bytes is neither a success (33 bytes, the first 0x01) nor the universal error"
    )]
    Unknown {
        /// The bytes given.
        len: usize,
    },
    /// A success whose preimage does not open the packet's hashlock.
    #[error("the acknowledged preimage does not open the hashlock {hashlock}")]
    WrongPreimage {
        /// The packet's hashlock.
        hashlock: Hashlock,
    },
}

impl Acknowledgement {
    /// Decodes the acknowledgement of a packet with this hashlock.
    pub fn decode(bytes: &[u8], hashlock: &Hashlock) -> Result<Self, AckError> {
        if bytes == UNIVERSAL_ERROR_ACK {
            return Ok(Self::Error);
        }
        let unknown = || AckError::Unknown { len: bytes.len() };
        let (&first, rest) = bytes.split_first().ok_or_else(unknown)?;
        let preimage = Preimage::from_slice(rest).map_err(|_| unknown())?;
        if first != SUCCESS {
            return Err(unknown());
        }
        if !preimage.opens(hashlock) {
            return Err(AckError::WrongPreimage { hashlock: *hashlock });
        }
        Ok(Self::Success(preimage))
    }

    /// The acknowledgement's bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Success(preimage) => [&[SUCCESS], preimage.reveal().as_slice()].concat(),
            Self::Error => UNIVERSAL_ERROR_ACK.to_vec(),
        }
    }

    /// The commitment stored under the ack path.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        commitment(&self.encode())
    }
}

/// The commitment of one acknowledgement's bytes: `sha256(0x02 ‖ sha256(ack))`.
#[must_use]
pub fn commitment(ack: &[u8]) -> [u8; 32] {
    sha256(&[&[2], &sha256(&[ack])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_forms_are_understood() {
        let preimage = Preimage::new([9; 32]);
        let lock = preimage.hashlock();
        for ack in [Acknowledgement::Success(preimage.clone()), Acknowledgement::Error] {
            assert_eq!(Acknowledgement::decode(&ack.encode(), &lock), Ok(ack));
        }
        let other = Preimage::new([8; 32]);
        let wrong = Acknowledgement::Success(other).encode();
        assert!(matches!(Acknowledgement::decode(&wrong, &lock), Err(AckError::WrongPreimage { .. })));
        let mut short = Acknowledgement::Success(preimage).encode();
        short.pop();
        for bad in [vec![], vec![1], short, vec![2; 33], vec![0; 32]] {
            assert!(matches!(Acknowledgement::decode(&bad, &lock), Err(AckError::Unknown { .. })), "{bad:?}");
        }
    }
}
