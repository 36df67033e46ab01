// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice A compact record in calldata, by the offset of its first byte. Its bounds have been checked.
type Record is uint256;

/// @notice A denom in calldata: offset << 16 | length.
type DenomRef is uint256;

using Records for Record global;

/// @title The compact record of one packet (README.md, Byte formats)
library Records {
    /// @notice Bytes before the variable part.
    uint256 internal constant FIXED = 94;

    function sequence(Record r) internal pure returns (uint64 value) {
        assembly ("memory-safe") {
            value := shr(192, calldataload(r))
        }
    }

    function timeout(Record r) internal pure returns (uint64 value) {
        assembly ("memory-safe") {
            value := shr(192, calldataload(add(r, 8)))
        }
    }

    function claimDeadline(Record r) internal pure returns (uint64 value) {
        assembly ("memory-safe") {
            value := shr(192, calldataload(add(r, 16)))
        }
    }

    function amount(Record r) internal pure returns (uint96 value) {
        assembly ("memory-safe") {
            value := shr(160, calldataload(add(r, 24)))
        }
    }

    /// @notice The receiver of a packet to this chain, the sender of one from it.
    function localParty(Record r) internal pure returns (address value) {
        assembly ("memory-safe") {
            value := shr(96, calldataload(add(r, 36)))
        }
    }

    function hashlock(Record r) internal pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := calldataload(add(r, 56))
        }
    }

    function denomIndex(Record r) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := byte(0, calldataload(add(r, 88)))
        }
    }

    function remoteLength(Record r) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := byte(1, calldataload(add(r, 88)))
        }
    }

    function termsLength(Record r) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(240, calldataload(add(r, 90)))
        }
    }

    function memoLength(Record r) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(240, calldataload(add(r, 92)))
        }
    }
}

/// @notice A batch being read: denoms, then items one after the other.
struct Batch {
    uint256 cursor;
    uint256 end;
    uint256 items;
    DenomRef[] denoms;
}

using Batches for Batch global;

/// @title Reads batches in calldata, within bounds
library Batches {
    uint256 internal constant MAX_DENOM = 256;
    uint256 internal constant MAX_PARTY = 128;
    uint256 internal constant MAX_TERMS = 1024;
    uint256 internal constant MAX_MEMO = 512;

    error BatchMalformed();

    /// @notice Reads the denoms and the number of items.
    function open(bytes calldata data) internal pure returns (Batch memory batch) {
        uint256 start;
        assembly ("memory-safe") {
            start := data.offset
        }
        batch.cursor = start;
        batch.end = start + data.length;
        uint256 count = batch.readUint(1);
        batch.denoms = new DenomRef[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 length = batch.readUint(2);
            if (length > MAX_DENOM) revert BatchMalformed();
            batch.denoms[i] = DenomRef.wrap(batch.skip(length) << 16 | length);
        }
        batch.items = batch.readUint(2);
    }

    /// @notice Reads a big-endian integer of 1 to 32 bytes.
    function readUint(Batch memory batch, uint256 size) internal pure returns (uint256 value) {
        uint256 start = batch.skip(size);
        assembly ("memory-safe") {
            value := shr(sub(256, shl(3, size)), calldataload(start))
        }
    }

    /// @notice Steps over `size` bytes and returns where they start.
    function skip(Batch memory batch, uint256 size) internal pure returns (uint256 start) {
        start = batch.cursor;
        uint256 next = start + size;
        if (next > batch.end) revert BatchMalformed();
        batch.cursor = next;
    }

    /// @notice Reads a record, with all its lengths within bounds.
    function readRecord(Batch memory batch) internal pure returns (Record record) {
        record = Record.wrap(batch.skip(Records.FIXED));
        uint256 remote = record.remoteLength();
        uint256 terms = record.termsLength();
        uint256 memo = record.memoLength();
        if (remote > MAX_PARTY || terms > MAX_TERMS || memo > MAX_MEMO || record.denomIndex() >= batch.denoms.length) {
            revert BatchMalformed();
        }
        batch.skip(remote + terms + memo);
    }

    /// @notice Nothing may follow the last item.
    function close(Batch memory batch) internal pure {
        if (batch.cursor != batch.end) revert BatchMalformed();
    }
}
