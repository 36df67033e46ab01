// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @dev A Jellyfish Merkle Tree small enough to build anew each time, in plain Solidity.
library JmtTree {
    bytes32 internal constant PLACEHOLDER = "SPARSE_MERKLE_PLACEHOLDER_HASH__";

    struct Leaf {
        bytes32 keyHash;
        bytes32 valueHash;
    }

    function leafHash(Leaf memory leaf) internal pure returns (bytes32) {
        return sha256(abi.encodePacked("JMT::LeafNode", leaf.keyHash, leaf.valueHash));
    }

    function nodeHash(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return sha256(abi.encodePacked("JMT::IntrnalNode", left, right));
    }

    function root(Leaf[] memory leaves) internal pure returns (bytes32) {
        return _root(leaves, 0);
    }

    /// @dev The siblings on the way to a key, from the leaf up; `witness`: the leaf found there, or one beside the empty
    /// place, with its own siblings then.
    function prove(Leaf[] memory leaves, bytes32 keyHash)
        internal
        pure
        returns (Leaf memory witness, bytes memory siblings)
    {
        return _prove(leaves, keyHash, 0);
    }

    /// @dev The root by the plain loop: twin of Jmt.rootOf.
    function rootOf(Leaf memory leaf, bytes memory siblings) internal pure returns (bytes32 hash) {
        hash = leafHash(leaf);
        uint256 depth = siblings.length / 32;
        for (uint256 j = 0; j < depth; ++j) {
            bytes32 sibling;
            assembly ("memory-safe") {
                sibling := mload(add(add(siblings, 32), shl(5, j)))
            }
            hash = bit(leaf.keyHash, depth - 1 - j) ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
        }
    }

    function bit(bytes32 word, uint256 index) internal pure returns (bool) {
        return uint256(word) >> (255 - index) & 1 == 1;
    }

    function _root(Leaf[] memory leaves, uint256 depth) private pure returns (bytes32) {
        if (leaves.length == 0) return PLACEHOLDER;
        if (leaves.length == 1) return leafHash(leaves[0]);
        return nodeHash(_root(side(leaves, depth, false), depth + 1), _root(side(leaves, depth, true), depth + 1));
    }

    function _prove(Leaf[] memory leaves, bytes32 keyHash, uint256 depth)
        private
        pure
        returns (Leaf memory witness, bytes memory siblings)
    {
        if (leaves.length == 1) return (leaves[0], "");
        bool right = bit(keyHash, depth);
        Leaf[] memory own = side(leaves, depth, right);
        Leaf[] memory other = side(leaves, depth, !right);
        if (own.length == 0) {
            // The place is empty: any leaf on the other side shows it.
            (witness, siblings) = _prove(other, other[0].keyHash, depth + 1);
            return (witness, bytes.concat(siblings, PLACEHOLDER));
        }
        (witness, siblings) = _prove(own, keyHash, depth + 1);
        siblings = bytes.concat(siblings, _root(other, depth + 1));
    }

    function side(Leaf[] memory leaves, uint256 depth, bool right) internal pure returns (Leaf[] memory out) {
        out = new Leaf[](leaves.length);
        uint256 n = 0;
        for (uint256 i = 0; i < leaves.length; ++i) {
            if (bit(leaves[i].keyHash, depth) == right) out[n++] = leaves[i];
        }
        assembly ("memory-safe") {
            mstore(out, n)
        }
    }
}

/// @dev Outbox trees as protocol/src/outbox.rs builds and proves them, in plain Solidity.
library OutboxTree {
    function node(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(1), left, right));
    }

    function root(bytes32[] memory leaves) internal pure returns (bytes32) {
        bytes32[] memory level = leaves;
        while (level.length > 1) level = next(level);
        return sha256(abi.encodePacked(uint8(2), uint64(leaves.length), level[0]));
    }

    function next(bytes32[] memory level) internal pure returns (bytes32[] memory up) {
        up = new bytes32[]((level.length + 1) / 2);
        for (uint256 i = 0; i < up.length; ++i) {
            up[i] = 2 * i + 1 < level.length ? node(level[2 * i], level[2 * i + 1]) : level[2 * i];
        }
    }

    /// @dev The nodes that a proof of the leaves at `indices` (rising) needs, level by level from the left.
    function prove(bytes32[] memory leaves, uint256[] memory indices) internal pure returns (bytes memory proof) {
        bytes32[] memory level = leaves;
        bool[] memory known = new bool[](leaves.length);
        for (uint256 i = 0; i < indices.length; ++i) {
            known[indices[i]] = true;
        }
        while (level.length > 1) {
            bool[] memory up = new bool[]((level.length + 1) / 2);
            for (uint256 i = 0; i < level.length; ++i) {
                if (!known[i]) continue;
                up[i / 2] = true;
                uint256 sibling = i ^ 1;
                if (sibling < level.length && !known[sibling]) proof = bytes.concat(proof, level[sibling]);
            }
            known = up;
            level = next(level);
        }
    }
}
