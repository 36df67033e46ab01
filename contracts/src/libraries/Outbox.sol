// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Batch, Batches} from "./Records.sol";

/// @title Folds the outbox of a native chain into its head (protocol/src/outbox.rs)
/// @notice node = sha256(0x01 ‖ l ‖ r), a last node without a partner moves up unchanged; block root =
/// sha256(0x02 ‖ u64be(count) ‖ top); head = sha256(previous head ‖ block root).
library Outbox {
    error OutboxMalformed();

    /// @notice The head that `reader` (from `previousHead` on) and the leaves of all items make. Uses up `leaves`.
    function head(Batch memory reader, bytes32[] memory leaves) internal view returns (bytes32 hash) {
        hash = bytes32(reader.readUint(32));
        uint256 blocks = reader.readUint(2);
        uint256 used = 0;
        uint256[] memory indices = new uint256[](leaves.length);
        for (uint256 i = 0; i < blocks; ++i) {
            uint256 items = reader.readUint(2);
            bytes32 root;
            if (items == 0) {
                root = bytes32(reader.readUint(32));
            } else {
                if (items > leaves.length - used) revert OutboxMalformed();
                root = _blockRoot(reader, leaves, indices, used, items);
                used += items;
            }
            assembly ("memory-safe") {
                mstore(0, hash)
                mstore(32, root)
                if iszero(staticcall(gas(), 2, 0, 64, 0, 32)) { revert(0, 0) }
                hash := mload(0)
            }
        }
        if (used != leaves.length) revert OutboxMalformed();
    }

    /// @dev Reads one block's count, indices and nodes and folds its leaves. In place: level by level,
    /// `hashes` and `indices` hold what is known. The plain twin is in test/oracles.
    function _blockRoot(
        Batch memory reader,
        bytes32[] memory leaves,
        uint256[] memory indices,
        uint256 first,
        uint256 items
    ) private view returns (bytes32 root) {
        uint256 count = reader.readUint(4);
        uint256 above = 0;
        for (uint256 i = 0; i < items; ++i) {
            uint256 index = reader.readUint(4);
            if (index < above) revert OutboxMalformed();
            above = index + 1;
            indices[i] = index;
        }
        if (above > count) revert OutboxMalformed();
        uint256 nodes = reader.readUint(2);
        uint256 node = reader.skip(nodes * 32);
        bool fits;
        assembly ("memory-safe") {
            let nodesEnd := add(node, shl(5, nodes))
            let hashes := add(add(leaves, 32), shl(5, first))
            let places := add(indices, 32)
            let buffer := mload(0x40)
            mstore8(buffer, 1)
            let ok := 1
            let width := count
            let known := items
            for {} gt(width, 1) { width := shr(1, add(width, 1)) } {
                let up := 0
                for { let i := 0 } lt(i, known) { i := add(i, 1) } {
                    let at := shl(5, i)
                    let place := mload(add(places, at))
                    let hash := mload(add(hashes, at))
                    // 0: left child with an unknown right one
                    switch and(place, 1)
                    case 1 {
                        mstore(add(buffer, 1), calldataload(node))
                        mstore(add(buffer, 33), hash)
                        node := add(node, 32)
                        ok := and(ok, staticcall(gas(), 2, buffer, 65, 0, 32))
                        hash := mload(0)
                    }
                    default {
                        // A last node without a partner moves up unchanged.
                        if lt(add(place, 1), width) {
                            mstore(add(buffer, 1), hash)
                            let next := add(i, 1)
                            let paired := 0
                            if lt(next, known) { paired := eq(mload(add(places, shl(5, next))), add(place, 1)) }
                            switch paired
                            case 1 {
                                mstore(add(buffer, 33), mload(add(hashes, shl(5, next))))
                                i := next
                            }
                            default {
                                mstore(add(buffer, 33), calldataload(node))
                                node := add(node, 32)
                            }
                            ok := and(ok, staticcall(gas(), 2, buffer, 65, 0, 32))
                            hash := mload(0)
                        }
                    }
                    mstore(add(places, shl(5, up)), shr(1, place))
                    mstore(add(hashes, shl(5, up)), hash)
                    up := add(up, 1)
                }
                known := up
            }
            // Nodes are read as they are asked for; exactly those given must have been.
            fits := eq(node, nodesEnd)
            mstore8(buffer, 2)
            mstore(add(buffer, 1), shl(192, count))
            mstore(add(buffer, 9), mload(hashes))
            ok := and(ok, staticcall(gas(), 2, buffer, 41, 0, 32))
            if iszero(ok) { revert(0, 0) }
            root := mload(0)
        }
        if (!fits) revert OutboxMalformed();
    }
}
