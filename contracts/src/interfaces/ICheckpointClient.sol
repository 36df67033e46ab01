// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ILightClient} from "./ILightClient.sol";

/// @title Light clients of native chains: checkpoints signed by more than 2/3 of bridge power
interface ICheckpointClient is ILightClient {
    /// @notice A new state is trusted: the checkpoint with this digest.
    event Updated(bytes32 indexed client, uint64 indexed height, uint64 time, bytes32 digest);
    /// @notice The set that signs has changed.
    event SetRotated(bytes32 indexed client, uint64 indexed height, bytes32 setHash);
    /// @notice Two quorum certificates contradict each other; nothing can be proven until governance re-anchors.
    event Frozen(bytes32 indexed client, uint64 indexed height, bytes32 trusted, bytes32 conflicting);
    /// @notice Governance started a client, or a new generation of it.
    event Anchored(bytes32 indexed client, uint32 indexed generation, uint64 height, bytes32 setHash);

    error UnknownClient(bytes32 client);
    error ClientExists(bytes32 client);
    error ClientFrozen(bytes32 client);
    error ClientExpired(bytes32 client);
    error NotFrozenNorExpired(bytes32 client);
    error UnknownState(bytes32 client, uint64 height);
    error HeightNotAbove(uint64 height, uint64 latest);
    error FromTheFuture(uint64 time);
    error WrongSet(bytes32 found, bytes32 expected);
    error NoConflict();
    error BelowRoot(uint64 height, uint64 root);
    error Malformed();
    error Unauthorized();

    /// @notice Verifies and stores an update (form 1 or 2 of `state`). Freezes the client instead if it is misbehaviour.
    function update(bytes32 client, bytes calldata state) external;

    /// @notice Freezes a client on two contradicting certificates (same height, other contents; or a higher one with an
    /// earlier time). `trusted` is the 112-byte header of a stored state within its trusting period. `a` and `b` are
    /// each a stored header (form 0) or a certificate (form 1 or 2) by the current set or by `trusted`'s set or next set,
    /// for a height not below `trusted`'s: so no evidence from before a re-anchoring counts after it. An empty `a` stands
    /// for the newest trusted state: who shows that it is forged may not have what was forged.
    function misbehaviour(bytes32 client, bytes calldata trusted, bytes calldata a, bytes calldata b) external;

    /// @notice Whether the header with this height and digest is trusted, and kept, in the client's present generation.
    function isTrusted(bytes32 client, uint64 height, bytes32 digest) external view returns (bool);
}
