// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Proofs of the Jellyfish Merkle Tree (ICS-23 `JMT` specification, SHA-256)
/// @notice Siblings run from the leaf up; the one at place `j` stands at bit `depth - 1 - j` of the key hash.
library Jmt {
    /// @notice What stands for an empty subtree.
    bytes32 internal constant PLACEHOLDER = "SPARSE_MERKLE_PLACEHOLDER_HASH__";

    /// @notice Whether the key with this hash has the value with this hash under `root`.
    function isMember(bytes32 root, bytes32 keyHash, bytes32 valueHash, bytes calldata siblings)
        internal
        view
        returns (bool)
    {
        if (siblings.length & 31 != 0 || siblings.length > 256 * 32) return false;
        return rootOf(keyHash, valueHash, siblings) == root;
    }

    /// @notice Whether no key with this hash is under `root`. The proof is `leaf key hash ‖ leaf value hash ‖ siblings`
    /// of a leaf that stands where the key would be, or beside the empty place where it would be.
    function isAbsent(bytes32 root, bytes32 keyHash, bytes calldata proof) internal view returns (bool) {
        if (proof.length < 64) return false;
        bytes32 leafKeyHash = bytes32(proof[:32]);
        bytes calldata siblings = proof[64:];
        if (!isMember(root, leafKeyHash, bytes32(proof[32:64]), siblings)) return false;

        uint256 difference = uint256(keyHash ^ leafKeyHash);
        if (difference == 0) return false;
        uint256 depth = siblings.length / 32;
        uint256 shared = 0;
        while (difference >> 255 == 0) {
            difference <<= 1;
            ++shared;
        }
        // The two keys part below the leaf: the leaf takes the place of the whole subtree.
        if (shared >= depth) return true;
        // They part at a level where the key's side is empty.
        uint256 place = depth - 1 - shared;
        return bytes32(siblings[place * 32:place * 32 + 32]) == PLACEHOLDER;
    }

    /// @notice The root that a leaf and its siblings make. `siblings.length` is a multiple of 32, at most 256 of them.
    /// @dev Assembly: this loop is most of a proof's price. Its plain twin is in test/oracles.
    function rootOf(bytes32 keyHash, bytes32 valueHash, bytes calldata siblings) internal view returns (bytes32 root) {
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            // leaf: "JMT::LeafNode" ‖ key hash ‖ value hash
            mstore(buffer, "JMT::LeafNode")
            mstore(add(buffer, 13), keyHash)
            mstore(add(buffer, 45), valueHash)
            let ok := staticcall(gas(), 2, buffer, 77, 0, 32)

            // inner node: "JMT::IntrnalNode" ‖ left ‖ right
            mstore(buffer, "JMT::IntrnalNode")
            let sibling := siblings.offset
            let end := add(sibling, siblings.length)
            // The bits of the key from depth - 1 upwards, the lowest first.
            let bits := shr(sub(256, shr(5, siblings.length)), keyHash)
            for {} lt(sibling, end) { sibling := add(sibling, 32) } {
                let side := shl(5, and(bits, 1))
                mstore(add(add(buffer, 16), side), mload(0))
                mstore(sub(add(buffer, 48), side), calldataload(sibling))
                ok := and(ok, staticcall(gas(), 2, buffer, 80, 0, 32))
                bits := shr(1, bits)
            }
            // The precompile fails for want of gas only.
            if iszero(ok) { revert(0, 0) }
            root := mload(0)
        }
    }
}
