// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICrosspointGateway} from "./ICrosspointGateway.sol";

/// @title Locks that a payer signs and anyone may submit
interface ILockIntents {
    /// @notice Who signed a lock, and for how long the signature is good.
    struct Intent {
        address payer;
        uint256 nonce;
        uint256 deadline;
    }

    /// @notice An EIP-2612 permit of the payer for the locked amount; `deadline` 0: none. Its failure is ignored.
    struct Permit {
        uint256 deadline;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    error IntentExpired(uint256 deadline);
    error WrongNonce(uint256 expected);
    error WrongSigner(address signer);

    /// @notice Locks points of the caller, with a permit in the same transaction.
    function sendWithPermit(ICrosspointGateway.Lock calldata lock, Permit calldata permit)
        external
        returns (uint64 sequence);
    /// @notice Locks points of a payer who signed the EIP-712 `LockIntent`.
    function sendSigned(
        ICrosspointGateway.Lock calldata lock,
        Intent calldata intent,
        bytes calldata signature,
        Permit calldata permit
    ) external returns (uint64 sequence);

    function intentNonce(address payer) external view returns (uint256);
    function domainSeparator() external view returns (bytes32);
}
