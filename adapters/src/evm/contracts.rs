//! The contracts' interfaces, read from their Solidity sources.

#![allow(missing_docs, clippy::all, clippy::indexing_slicing, clippy::arithmetic_side_effects, unreachable_pub)]

use alloy::sol;

sol!("../contracts/src/interfaces/ICrosspointGateway.sol");
sol!("../contracts/src/interfaces/ICrosspointRegistry.sol");
sol!("../contracts/src/interfaces/ICheckpointClient.sol");
sol!("../contracts/src/interfaces/IGatewayAdmin.sol");

sol! {
    /// What is used of ERC-20, and errors of OpenZeppelin's contracts.
    interface IToken {
        function approve(address spender, uint256 amount) external returns (bool);
        function allowance(address owner, address spender) external view returns (uint256);
        function balanceOf(address account) external view returns (uint256);
        function totalSupply() external view returns (uint256);
        function symbol() external view returns (string);
        error SafeERC20FailedOperation(address token);
        error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
        error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
        error AccessManagedUnauthorized(address caller);
    }
}

sol! {
    /// Public parts of the contracts beside their interfaces, and errors of their libraries.
    interface IBindings {
        function registry() external view returns (address);
        function authority() external view returns (address);
        function gateway() external view returns (address);
        function bindIntents(address intents) external;
        error BatchMalformed();
        error OutboxMalformed();
        error CheckpointMalformed();
        error SetNotAscending(uint256 index);
        error BadSignature(uint256 index);
        error QuorumNotReached(uint256 signed, uint256 total);
        error IntentExpired(uint256 deadline);
        error WrongNonce(uint256 expected);
        error WrongSigner(address signer);
    }
}

sol! {
    /// What is used of OpenZeppelin's access manager.
    interface IAccessManager {
        function hasRole(uint64 roleId, address account) external view returns (bool isMember, uint32 executionDelay);
        function getTargetFunctionRole(address target, bytes4 selector) external view returns (uint64);
        function grantRole(uint64 roleId, address account, uint32 executionDelay) external;
        function renounceRole(uint64 roleId, address callerConfirmation) external;
        function setTargetFunctionRole(address target, bytes4[] calldata selectors, uint64 roleId) external;
        function schedule(address target, bytes calldata data, uint48 when) external returns (bytes32, uint32);
        error AccessManagerUnauthorizedAccount(address account, uint64 roleId);
        error AccessManagerNotScheduled(bytes32 operationId);
        error AccessManagerNotReady(bytes32 operationId);
    }
}
