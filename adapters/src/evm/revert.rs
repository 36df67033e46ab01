//! What a reverted call says, in words and classified.

use super::contracts::{
    IAccessManager::IAccessManagerErrors as GovernanceErrors, IBindings::IBindingsErrors as LibraryErrors,
    ICheckpointClient::ICheckpointClientErrors as ClientErrors,
    ICrosspointGateway::ICrosspointGatewayErrors as GatewayErrors,
    ICrosspointRegistry::ICrosspointRegistryErrors as RegistryErrors, IToken::ITokenErrors as TokenErrors,
};
use super::record::parse_client;
use crate::error::ChainError;
use alloy::primitives::FixedBytes;
use alloy::sol_types::{Panic, Revert, SolError, SolInterface};
use crosspoint_protocol::ids::ChainId;

/// Most characters of a reason that a contract gives as text.
const MAX_REASON: usize = 200;

fn client_text(word: &FixedBytes<32>) -> String {
    parse_client(&word.0).map_or_else(|_| word.to_string(), String::from)
}

/// The failure that a call's return data describes.
#[must_use]
pub fn to_error(chain: &ChainId, data: &[u8]) -> ChainError {
    if let Ok(error) = ClientErrors::abi_decode(data) {
        return client_error(chain, &error);
    }
    let (reason, retryable) = words(data);
    ChainError::Rejected { chain: chain.clone(), reason, retryable }
}

fn client_error(chain: &ChainId, error: &ClientErrors) -> ChainError {
    let rejected = |reason: String, retryable| ChainError::Rejected { chain: chain.clone(), reason, retryable };
    match error {
        ClientErrors::ClientFrozen(e) => match parse_client(&e.client.0) {
            Ok(client) => ChainError::Frozen(client),
            Err(_) => rejected("a client is frozen".into(), false),
        },
        ClientErrors::ClientExpired(e) => match parse_client(&e.client.0) {
            Ok(client) => ChainError::Expired(client),
            Err(_) => rejected("a client has expired".into(), false),
        },
        ClientErrors::UnknownClient(e) => rejected(format!("there is no client {}", client_text(&e.client)), false),
        ClientErrors::ClientExists(e) => rejected(format!("client {} exists already", client_text(&e.client)), false),
        ClientErrors::NotFrozenNorExpired(e) => {
            rejected(format!("client {} is neither frozen nor expired", client_text(&e.client)), false)
        }
        ClientErrors::UnknownState(e) => {
            rejected(format!("client {} does not trust a state at height {}", client_text(&e.client), e.height), true)
        }
        ClientErrors::HeightNotAbove(e) => {
            rejected(format!("the update's height {} is not above the trusted {}", e.height, e.latest), true)
        }
        ClientErrors::FromTheFuture(e) => {
            rejected(format!("the update's time {} is ahead of this chain's", e.time), true)
        }
        ClientErrors::WrongSet(_) => rejected("another validator set signs now; a rotation comes first".into(), true),
        ClientErrors::BelowRoot(e) => {
            rejected(format!("evidence for height {} is below the trusted header {}", e.height, e.root), false)
        }
        ClientErrors::NoConflict(_) => rejected("the evidence shows no conflict".into(), false),
        ClientErrors::Malformed(_) => rejected("the call's bytes are malformed".into(), false),
        ClientErrors::Unauthorized(_) => rejected("the caller may not do this".into(), false),
    }
}

fn words(data: &[u8]) -> (String, bool) {
    if let Ok(error) = GatewayErrors::abi_decode(data) {
        return gateway_words(&error);
    }
    if let Ok(error) = RegistryErrors::abi_decode(data) {
        return match error {
            RegistryErrors::AlreadyBound(_) => ("the registry knows its gateway already".into(), false),
            RegistryErrors::Invalid(e) => (format!("not valid: {}", cut(&e.what)), false),
            RegistryErrors::Exists(_) => ("it exists already".into(), false),
            RegistryErrors::NotFound(_) => ("it does not exist".into(), false),
        };
    }
    if let Ok(error) = LibraryErrors::abi_decode(data) {
        return (library_words(&error), false);
    }
    if let Ok(error) = TokenErrors::abi_decode(data) {
        return match error {
            TokenErrors::ERC20InsufficientBalance(e) => {
                (format!("{} has {} points, {} are needed", e.sender, e.balance, e.needed), false)
            }
            TokenErrors::ERC20InsufficientAllowance(e) => {
                (format!("{} may move {} points, {} are needed", e.spender, e.allowance, e.needed), false)
            }
            TokenErrors::SafeERC20FailedOperation(e) => (format!("token {} refused the transfer", e.token), false),
            TokenErrors::AccessManagedUnauthorized(e) => (format!("{} may not do this", e.caller), false),
        };
    }
    if let Ok(error) = GovernanceErrors::abi_decode(data) {
        return match error {
            GovernanceErrors::AccessManagerUnauthorizedAccount(e) => {
                (format!("{} lacks role {}", e.account, e.roleId), false)
            }
            GovernanceErrors::AccessManagerNotScheduled(_) => ("governance has not scheduled this".into(), false),
            GovernanceErrors::AccessManagerNotReady(_) => ("governance's delay for this has not passed".into(), true),
        };
    }
    if let Ok(error) = Revert::abi_decode(data) {
        return (cut(&error.reason), false);
    }
    if let Ok(error) = Panic::abi_decode(data) {
        return (format!("the contract panicked with code {}", error.code), false);
    }
    match data.get(..4) {
        None => ("the contract gave no reason".into(), false),
        Some(selector) => (format!("the contract failed with the unknown error 0x{}", hex::encode(selector)), false),
    }
}

fn library_words(error: &LibraryErrors) -> String {
    match error {
        LibraryErrors::BatchMalformed(_) => "the batch's bytes are malformed".into(),
        LibraryErrors::OutboxMalformed(_) => "the outbox proof's bytes are malformed".into(),
        LibraryErrors::CheckpointMalformed(_) => "the checkpoint's bytes are malformed".into(),
        LibraryErrors::SetNotAscending(e) => format!("validator {} is out of order", e.index),
        LibraryErrors::BadSignature(e) => format!("signature {} is not the validator's", e.index),
        LibraryErrors::QuorumNotReached(e) => {
            format!("power {} of {} signed; more than two thirds are needed", e.signed, e.total)
        }
        LibraryErrors::IntentExpired(e) => format!("the signed intent expired at {}", e.deadline),
        LibraryErrors::WrongNonce(e) => format!("the signed intent's nonce is not {}", e.expected),
        LibraryErrors::WrongSigner(e) => format!("{} signed the intent, not the payer", e.signer),
    }
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect()
}

fn gateway_words(error: &GatewayErrors) -> (String, bool) {
    match error {
        GatewayErrors::Paused(e) => (format!("client {} is paused", client_text(&e.client)), true),
        GatewayErrors::UnknownClient(e) => (format!("there is no client {}", client_text(&e.client)), false),
        GatewayErrors::UnknownDenom(e) => {
            (format!("denom {} is not open to client {}", cut(&e.denom), client_text(&e.client)), false)
        }
        GatewayErrors::InvalidLock(e) => (format!("the lock's {} is not valid", cut(&e.what)), false),
        GatewayErrors::WindowViolated(e) => {
            let bound = match e.bound {
                1 => "the timeout is not after now",
                2 => "the timeout is too far away",
                3 => "the claim deadline is too near the timeout",
                4 => "the claim deadline is too far away for the client's trusting period",
                _ => "a deadline is out of bounds",
            };
            (bound.into(), false)
        }
        GatewayErrors::LimitExceeded(e) => match e.limit {
            1 => ("the amount is below the least allowed".into(), false),
            2 => ("the amount is above the most allowed at once".into(), false),
            3 => ("the member's limit for today is used up".into(), true),
            4 => ("too much is in flight on this route".into(), true),
            _ => ("a limit is exceeded".into(), true),
        },
        GatewayErrors::HashlockUsed(e) => {
            (format!("the hashlock {} was used before by this sender", e.hashlock), false)
        }
        GatewayErrors::MayNotTransact(e) => (format!("{} may not transact", e.account), false),
        GatewayErrors::TransferNotExact(e) => (
            format!("the token moved {} points, not the amount: tokens that take fees are not supported", e.received),
            false,
        ),
        GatewayErrors::PayoutFailed(_) => ("the token refused the payout".into(), true),
        GatewayErrors::NothingOwed(_) => ("nothing is owed to this party".into(), false),
        GatewayErrors::NotEnoughGas(_) => ("the transaction had too little gas".into(), true),
        GatewayErrors::ProofInvalid(_) => ("the proof does not hold".into(), false),
        GatewayErrors::Malformed(_) => ("the call's bytes are malformed".into(), false),
        GatewayErrors::Unauthorized(_) => ("the caller may not do this".into(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::super::contracts::{ICheckpointClient, ICrosspointGateway};
    use super::*;

    #[test]
    fn reverts_are_told_in_words_and_classified() {
        let chain: ChainId = "eip155-31337".parse().unwrap();
        let mut client = [0; 32];
        client[..12].copy_from_slice(b"checkpoint-0");
        let paused = ICrosspointGateway::Paused { client: client.into() }.abi_encode();
        let error = to_error(&chain, &paused);
        assert_eq!(error.to_string(), "eip155-31337 refused the transaction: client checkpoint-0 is paused");
        assert!(error.is_transient());
        let frozen = ICheckpointClient::ClientFrozen { client: client.into() }.abi_encode();
        assert_eq!(to_error(&chain, &frozen), ChainError::Frozen("checkpoint-0".parse().unwrap()));
        for odd in [&[][..], &[1, 2, 3], &[1, 2, 3, 4], &[8, 0xc3, 0x79, 0xa0, 1]] {
            assert!(matches!(to_error(&chain, odd), ChainError::Rejected { .. }));
        }
    }
}
