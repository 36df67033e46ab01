// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What the gateway asks of a light client of another chain
/// @notice Client ids are left-aligned in a word and padded with zero bytes. `state` names the consensus
/// state that proofs are checked against, in the client type's own form; it may carry an update, which
/// is verified and stored first. An update that is evidence of misbehaviour freezes the client and
/// proves nothing: then `time` is 0. Every other failure reverts.
interface ILightClient {
    /// @notice Proves that `key` has `value` in the state that `state` names.
    /// @return time Seconds in the header that the state was proven by, 0 if `state` froze the client.
    /// @return proven Whether the proof holds.
    function proveMembership(
        bytes32 client,
        bytes calldata state,
        bytes calldata key,
        bytes32 value,
        bytes calldata proof
    ) external returns (uint64 time, bool proven);

    /// @notice Proves that each of `keys` is absent in the state that `state` names.
    /// @return time Seconds in the header that the state was proven by, 0 if `state` froze the client.
    /// @return absent One answer per key: whether its proof of absence holds.
    function proveAbsence(bytes32 client, bytes calldata state, bytes[] calldata keys, bytes[] calldata proofs)
        external
        returns (uint64 time, bool[] memory absent);

    /// @notice Reverts unless the client is known, not frozen and not expired: else nothing more can be proven to it.
    function requireActive(bytes32 client) external view;

    /// @notice Starts a client at a state trusted from outside. Registry only, once per client.
    function create(bytes32 client, string calldata chainId, uint32 trustingPeriod, bytes calldata anchor) external;

    /// @notice Sets a frozen or expired client to a new trusted state. Registry only. States before it prove nothing any more.
    function reanchor(bytes32 client, bytes calldata anchor) external;

    /// @notice What is known about a client.
    struct Status {
        uint64 height; // of the newest trusted state; 0: no such client
        uint64 time; // in that state's header, seconds
        uint32 trustingPeriod; // seconds
        uint32 generation; // counts re-anchorings, from 1
        bool frozen;
        bytes32 setHash; // the validator set that signs the next update
    }

    function status(bytes32 client) external view returns (Status memory);
}
