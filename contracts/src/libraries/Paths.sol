// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The provable paths of IBC v2 and the keys under which the gateway stores them
/// @notice path = client id ‖ kind ‖ u64be(sequence); storage key = keccak256(path).
library Paths {
    uint256 internal constant COMMITMENT = 1;
    uint256 internal constant RECEIPT = 2;
    uint256 internal constant ACK = 3;

    /// @notice The bytes of a left-aligned, zero-padded client id (which holds no zero byte itself); at least 1.
    function length(bytes32 client) internal pure returns (uint256 n) {
        uint256 word = uint256(client);
        n = 32;
        if (word & type(uint128).max == 0) (n, word) = (n - 16, word >> 128);
        if (word & type(uint64).max == 0) (n, word) = (n - 8, word >> 64);
        if (word & type(uint32).max == 0) (n, word) = (n - 4, word >> 32);
        if (word & type(uint16).max == 0) (n, word) = (n - 2, word >> 16);
        if (word & type(uint8).max == 0) n -= 1;
    }

    /// @notice The client id without its padding.
    function text(bytes32 client) internal pure returns (bytes memory out) {
        out = new bytes(length(client));
        assembly ("memory-safe") {
            // One to 32 bytes: one word, and the rest of it is zero already.
            mstore(add(out, 32), client)
        }
    }

    /// @notice The path's bytes.
    function path(bytes32 client, uint256 kind, uint64 sequence) internal pure returns (bytes memory) {
        return abi.encodePacked(text(client), uint8(kind), sequence);
    }

    /// @notice The storage key of a path; `len` is the client id's length.
    function key(bytes32 client, uint256 len, uint256 kind, uint64 sequence) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            // At most 32 + 9 bytes: they fit the scratch space.
            mstore(0, client)
            mstore(len, or(shl(248, kind), shl(184, sequence)))
            hash := keccak256(0, add(len, 9))
        }
    }
}
