// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {DenomRef, Record} from "./Records.sol";

/// @notice Working memory for hashing the packets of one batch, by its address.
type Hasher is uint256;

using PacketHasher for Hasher global;

/// @title Rebuilds packets from compact records and hashes them (IBC v2, ICS-04 v2 as deployed)
/// @dev `commitment` is the hot loop of every batch, hence assembly; `plainCommitment` is its plain twin.
///
/// Working memory, in bytes from its start:
///   0x000  hashes of source port, destination port, version, encoding, value   (payload hash preimage)
///   0x0a0  0x02, then hashes of destination client, timeout, payloads            (commitment preimage)
///   0x120  the denom whose text stands in the value      0x140  the timeout whose hash stands above, plus 1
///   0x160  0x00 ‖ client ‖ kind ‖ sequence ‖ commitment                          (outbox leaf preimage)
///   0x1e0  abi.encode(PointsLock): offset word, eight head words, then denom, sender, receiver, terms, memo
library PacketHasher {
    bytes32 internal constant PORT_HASH = 0xc54a061dfcc125cb160421b2680feaf6d65d938d756d887fe4d8d1d046eb626e;
    bytes32 internal constant VERSION_HASH = 0x4bb548b52eea93e940f4df6624b074e935c0462795aaf18efd02353263dbe4e2;
    bytes32 internal constant ENCODING_HASH = 0x173adda0029e29f33006fbeb9174b7f9faf23b8107d61e49faf7c5a0a1ab7f3a;
    /// @notice `sha256(0x02 ‖ sha256(universal error ack))`.
    bytes32 internal constant ERROR_ACK = 0xe2fb30dfbf7abdeaca82d426534d2b3a9d5444dd2a87fa16d38b77ba1a13ced7;

    /// @notice What a payer locks: the value of a packet's payload is its ABI encoding.
    struct PointsLock {
        string denom;
        uint256 amount;
        string sender;
        string receiver;
        bytes32 hashlock;
        uint64 claimDeadline;
        bytes terms;
        string memo;
    }

    /// @notice The packet commitment, in plain Solidity.
    function plainCommitment(bytes memory destClient, uint64 timeout, PointsLock memory lock)
        internal
        pure
        returns (bytes32)
    {
        bytes32 payload =
            sha256(abi.encode(PORT_HASH, PORT_HASH, VERSION_HASH, ENCODING_HASH, sha256(abi.encode(lock))));
        return sha256(
            abi.encodePacked(
                uint8(2), sha256(destClient), sha256(abi.encodePacked(timeout)), sha256(abi.encodePacked(payload))
            )
        );
    }

    /// @notice Working memory for packets whose destination is `destClient` (its id without padding).
    function create(bytes memory destClient) internal pure returns (Hasher h) {
        bytes32 destHash = sha256(destClient);
        bytes32 port = PORT_HASH;
        bytes32 version = VERSION_HASH;
        bytes32 encoding = ENCODING_HASH;
        assembly ("memory-safe") {
            h := mload(0x40)
            // The longest value has 2,464 bytes.
            mstore(0x40, add(h, 0xc00))
            mstore(h, port)
            mstore(add(h, 0x20), port)
            mstore(add(h, 0x40), version)
            mstore(add(h, 0x60), encoding)
            mstore8(add(h, 0xa0), 2)
            mstore(add(h, 0xa1), destHash)
            mstore(add(h, 0x120), 0)
            mstore(add(h, 0x140), 0)
            let value := add(h, 0x1e0)
            mstore(value, 0x20)
            mstore(add(value, 0x20), 0x100)
        }
    }

    /// @notice The packet commitment of a record. `incoming`: the local party is the receiver, else the sender.
    function commitment(Hasher h, Record r, DenomRef denom, bool incoming) internal view returns (bytes32 hash) {
        assembly ("memory-safe") {
            function padded(n) -> m {
                m := and(add(n, 31), not(31))
            }
            // Length, bytes and zero padding of `n` calldata bytes at `from`; returns the end.
            function writeBytes(to, from, n) -> next {
                mstore(to, n)
                let data := add(to, 32)
                next := add(data, padded(n))
                if n {
                    mstore(sub(next, 32), 0)
                    calldatacopy(data, from, n)
                }
            }
            // 16 bytes as 32 lower-case hex digits.
            function hexDigits(n) -> d {
                d := and(or(n, shl(64, n)), 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff)
                d := and(or(d, shl(32, d)), 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff)
                d := and(or(d, shl(16, d)), 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff)
                d := and(or(d, shl(8, d)), 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff)
                d := and(or(d, shl(4, d)), 0x0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f)
                // 1 in each byte above 9: those are letters, 39 places further on.
                let letters :=
                    and(
                        shr(4, add(d, 0x0606060606060606060606060606060606060606060606060606060606060606)),
                        0x0101010101010101010101010101010101010101010101010101010101010101
                    )
                d := add(add(d, 0x3030303030303030303030303030303030303030303030303030303030303030), mul(letters, 39))
            }
            // An address as `0x` and 40 digits, with length and padding; returns the end.
            function writeAddress(to, account) -> next {
                next := add(to, 96)
                mstore(to, 42)
                mstore(add(to, 32), "0x")
                mstore(add(to, 34), hexDigits(shr(32, account)))
                mstore(add(to, 66), shl(192, hexDigits(and(account, 0xffffffff))))
            }

            let value := add(h, 0x1e0)
            let denomLength := and(denom, 0xffff)
            if iszero(eq(mload(add(h, 0x120)), denom)) {
                mstore(add(h, 0x120), denom)
                pop(writeBytes(add(value, 0x120), shr(16, denom), denomLength))
            }
            let lengths := calldataload(add(r, 88))
            let remoteLength := byte(1, lengths)
            let termsLength := and(shr(224, lengths), 0xffff)
            let memoLength := and(shr(208, lengths), 0xffff)
            let remote := add(r, 94)
            let base := add(value, 0x20)

            mstore(add(value, 0x40), shr(160, calldataload(add(r, 24))))
            let at := add(add(value, 0x140), padded(denomLength))
            mstore(add(value, 0x60), sub(at, base))
            switch incoming
            case 0 {
                at := writeAddress(at, shr(96, calldataload(add(r, 36))))
                mstore(add(value, 0x80), sub(at, base))
                at := writeBytes(at, remote, remoteLength)
            }
            default {
                at := writeBytes(at, remote, remoteLength)
                mstore(add(value, 0x80), sub(at, base))
                at := writeAddress(at, shr(96, calldataload(add(r, 36))))
            }
            mstore(add(value, 0xa0), calldataload(add(r, 56)))
            mstore(add(value, 0xc0), shr(192, calldataload(add(r, 16))))
            mstore(add(value, 0xe0), sub(at, base))
            at := writeBytes(at, add(remote, remoteLength), termsLength)
            mstore(add(value, 0x100), sub(at, base))
            at := writeBytes(at, add(add(remote, remoteLength), termsLength), memoLength)

            let ok := staticcall(gas(), 2, value, sub(at, value), add(h, 0x80), 32)
            ok := and(ok, staticcall(gas(), 2, h, 0xa0, 0, 32))
            ok := and(ok, staticcall(gas(), 2, 0, 32, add(h, 0xe1), 32))
            let timeout := shr(192, calldataload(add(r, 8)))
            if iszero(eq(mload(add(h, 0x140)), add(timeout, 1))) {
                mstore(add(h, 0x140), add(timeout, 1))
                mstore(0, shl(192, timeout))
                ok := and(ok, staticcall(gas(), 2, 0, 8, add(h, 0xc1), 32))
            }
            ok := and(ok, staticcall(gas(), 2, add(h, 0xa0), 97, 0, 32))
            // The precompile fails for want of gas only.
            if iszero(ok) { revert(0, 0) }
            hash := mload(0)
        }
    }

    /// @notice The outbox leaf `sha256(0x00 ‖ client ‖ kind ‖ u64be(sequence) ‖ value)`; `length` is that of the client id.
    function leaf(Hasher h, bytes32 client, uint256 length, uint256 kind, uint64 sequence, bytes32 value)
        internal
        view
        returns (bytes32 hash)
    {
        assembly ("memory-safe") {
            let buffer := add(h, 0x160)
            mstore8(buffer, 0)
            mstore(add(buffer, 1), client)
            let at := add(add(buffer, 1), length)
            mstore(at, or(shl(248, kind), shl(184, sequence)))
            mstore(add(at, 9), value)
            if iszero(staticcall(gas(), 2, buffer, add(length, 42), 0, 32)) { revert(0, 0) }
            hash := mload(0)
        }
    }

    /// @notice `sha256(0x02 ‖ sha256(0x01 ‖ preimage))`, the commitment of the success ack with this preimage, and
    /// `sha256(preimage)`, the hashlock that it opens.
    function success(bytes32 preimage) internal view returns (bytes32 ackCommitment, bytes32 hashlock) {
        assembly ("memory-safe") {
            mstore(0, preimage)
            let ok := staticcall(gas(), 2, 0, 32, 32, 32)
            hashlock := mload(32)
            mstore8(0, 1)
            mstore(1, preimage)
            ok := and(ok, staticcall(gas(), 2, 0, 33, 1, 32))
            mstore8(0, 2)
            ok := and(ok, staticcall(gas(), 2, 0, 33, 0, 32))
            if iszero(ok) { revert(0, 0) }
            ackCommitment := mload(0)
        }
    }
}
