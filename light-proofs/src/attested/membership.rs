//! What the gateway contract stores: its account in the state, then slots in its storage (EIP-1186).

use alloy_primitives::{B256, Bytes, keccak256};
use crosspoint_protocol::path::Path;

use super::verify::{AttestedError, ClientState, ConsensusState};
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

/// Proves the gateway contract's account in a state. An absent account is an error.
pub fn verify_account(
    state: &ConsensusState,
    client: &ClientState,
    account_proof: &[Bytes],
) -> Result<VerifiedAccount, AttestedError> {
    let account = mpt::verify_account(&state.root, &client.store_address, account_proof)?;
    Ok(VerifiedAccount { account, base_slot: client.base_slot })
}

impl VerifiedAccount {
    /// The account as proven.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// Proves that `value` is stored under `path`. A value of zero is how EVM storage says "absent",
    /// so it is never a member.
    pub fn verify_membership(
        &self,
        path: &Path,
        value: &[u8; 32],
        storage_proof: &[Bytes],
    ) -> Result<(), AttestedError> {
        if value == &[0; 32] {
            return Err(MptError::ZeroValue.into());
        }
        let slot = storage_slot(path, &self.base_slot);
        mpt::verify_storage(&self.account.storage_root, &slot, &B256::from(*value), storage_proof)?;
        Ok(())
    }

    /// Proves that nothing is stored under `path`.
    pub fn verify_absence(&self, path: &Path, storage_proof: &[Bytes]) -> Result<(), AttestedError> {
        let slot = storage_slot(path, &self.base_slot);
        mpt::verify_storage_absence(&self.account.storage_root, &slot, storage_proof)?;
        Ok(())
    }
}

/// Proves the account and that `value` is stored under `path`.
pub fn verify_membership(
    state: &ConsensusState,
    client: &ClientState,
    path: &Path,
    value: &[u8; 32],
    account_proof: &[Bytes],
    storage_proof: &[Bytes],
) -> Result<(), AttestedError> {
    verify_account(state, client, account_proof)?.verify_membership(path, value, storage_proof)
}

/// Proves the account and that nothing is stored under `path`.
pub fn verify_absence(
    state: &ConsensusState,
    client: &ClientState,
    path: &Path,
    account_proof: &[Bytes],
    storage_proof: &[Bytes],
) -> Result<(), AttestedError> {
    verify_account(state, client, account_proof)?.verify_absence(path, storage_proof)
}
