//! What the gateway contract stores: its account in the state, then slots in its storage.

use alloy_primitives::{Address, B256, Bytes, keccak256};
use crosspoint_protocol::path::Path;

use crate::mpt::{self, Account, MptError};

/// The slot of a path's commitment: `keccak256(keccak256(path) ‖ baseSlot)`, as Solidity lays out
/// `mapping(bytes32 => bytes32)`.
#[must_use]
pub fn storage_slot(path: &Path, base_slot: &B256) -> B256 {
    keccak256([keccak256(path.to_bytes()), *base_slot].concat())
}

/// The gateway contract's account, proven once; then any number of its slots can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedAccount {
    account: Account,
    base_slot: B256,
}

impl VerifiedAccount {
    /// Proves the contract's account in the state with this root. An absent account is an error.
    pub fn prove(
        state_root: &B256,
        address: &Address,
        base_slot: B256,
        account_proof: &[Bytes],
    ) -> Result<Self, MptError> {
        Ok(Self { account: mpt::verify_account(state_root, address, account_proof)?, base_slot })
    }

    /// The account as proven.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// Proves that `value` is stored under `path`. A value of zero is how EVM storage says "absent",
    /// so it is never a member.
    pub fn verify_membership(&self, path: &Path, value: &[u8; 32], storage_proof: &[Bytes]) -> Result<(), MptError> {
        if value == &[0; 32] {
            return Err(MptError::ZeroValue);
        }
        let slot = storage_slot(path, &self.base_slot);
        mpt::verify_storage(&self.account.storage_root, &slot, &B256::from(*value), storage_proof)
    }

    /// Proves that nothing is stored under `path`.
    pub fn verify_absence(&self, path: &Path, storage_proof: &[Bytes]) -> Result<(), MptError> {
        mpt::verify_storage_absence(&self.account.storage_root, &storage_slot(path, &self.base_slot), storage_proof)
    }
}
