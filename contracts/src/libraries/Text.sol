// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Texts in packets
library Text {
    /// @notice Whether every byte is printable ASCII, 0x20 to 0x7e.
    /// @dev 32 bytes at a time: no byte has its highest bit set; with 0x60 more every byte has it, with 1 more none.
    function isPrintable(string calldata text) internal pure returns (bool printable) {
        assembly ("memory-safe") {
            let high := 0x8080808080808080808080808080808080808080808080808080808080808080
            printable := 1
            for { let i := 0 } lt(i, text.length) { i := add(i, 32) } {
                let word := calldataload(add(text.offset, i))
                let left := sub(text.length, i)
                if lt(left, 32) {
                    // What is beyond the end counts as spaces.
                    let beyond := shr(shl(3, left), not(0))
                    word := and(word, not(beyond))
                    word := or(word, and(beyond, 0x2020202020202020202020202020202020202020202020202020202020202020))
                }
                let low := not(add(word, 0x6060606060606060606060606060606060606060606060606060606060606060))
                let del := add(word, 0x0101010101010101010101010101010101010101010101010101010101010101)
                if and(high, or(word, or(low, del))) {
                    printable := 0
                    break
                }
            }
        }
    }

    /// @notice An address as `0x` and 40 lower-case hex digits.
    function hexAddress(address account) internal pure returns (string memory text) {
        text = string(new bytes(66));
        assembly ("memory-safe") {
            // 16 bytes as 32 hex digits, as in PacketHasher.
            function hexDigits(n) -> d {
                d := and(or(n, shl(64, n)), 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff)
                d := and(or(d, shl(32, d)), 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff)
                d := and(or(d, shl(16, d)), 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff)
                d := and(or(d, shl(8, d)), 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff)
                d := and(or(d, shl(4, d)), 0x0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f)
                let letters :=
                    and(
                        shr(4, add(d, 0x0606060606060606060606060606060606060606060606060606060606060606)),
                        0x0101010101010101010101010101010101010101010101010101010101010101
                    )
                d := add(add(d, 0x3030303030303030303030303030303030303030303030303030303030303030), mul(letters, 39))
            }
            let value := shr(96, shl(96, account))
            mstore(text, 42)
            mstore(add(text, 32), "0x")
            mstore(add(text, 34), hexDigits(shr(32, value)))
            mstore(add(text, 66), shl(192, hexDigits(and(value, 0xffffffff))))
        }
    }
}
