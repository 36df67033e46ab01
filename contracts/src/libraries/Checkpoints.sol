// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What a checkpoint says about the native header at `height`.
struct Header {
    uint64 height;
    uint64 time;
    bytes32 appHash;
    bytes32 setHash;
    bytes32 nextSetHash;
}

/// @title Reads checkpoints and counts their signatures (docs/protocol.md, Checkpoints)
library Checkpoints {
    bytes32 internal constant DOMAIN = keccak256("crosspoint/checkpoint/v1");
    uint256 internal constant HEADER_LENGTH = 112;
    /// @notice Half the order of secp256k1: a higher `s` has a twin below.
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    error CheckpointMalformed();
    error SetNotAscending(uint256 index);
    error BadSignature(uint256 index);
    error QuorumNotReached(uint256 signed, uint256 total);

    /// @notice What the validators sign.
    function digest(Header memory header, bytes32 chainIdHash) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                DOMAIN, chainIdHash, header.height, header.time, header.appHash, header.setHash, header.nextSetHash
            )
        );
    }

    /// @notice Reads the 112 bytes of a header.
    function readHeader(bytes calldata data) internal pure returns (Header memory header) {
        if (data.length != HEADER_LENGTH) revert CheckpointMalformed();
        header.height = uint64(bytes8(data[:8]));
        header.time = uint64(bytes8(data[8:16]));
        header.appHash = bytes32(data[16:48]);
        header.setHash = bytes32(data[48:80]);
        header.nextSetHash = bytes32(data[80:112]);
    }

    /// @notice Reads an update (form 1 or 2) and leaves the certificate, whose set the header names.
    function readUpdate(bytes calldata state) internal pure returns (Header memory header, bytes calldata certificate) {
        if (state.length < 50) revert CheckpointMalformed();
        uint8 form = uint8(state[0]);
        header.height = uint64(bytes8(state[1:9]));
        header.time = uint64(bytes8(state[9:17]));
        header.appHash = bytes32(state[17:49]);
        if (form == 1) {
            certificate = state[49:];
        } else if (form == 2 && state.length > 81) {
            header.nextSetHash = bytes32(state[49:81]);
            certificate = state[81:];
        } else {
            revert CheckpointMalformed();
        }
        uint256 setLength = uint256(uint8(certificate[0])) * 32;
        if (certificate.length < 1 + setLength) revert CheckpointMalformed();
        header.setHash = keccak256(certificate[1:1 + setLength]);
        if (form == 1) header.nextSetHash = header.setHash;
    }

    /// @notice Reverts unless the certificate holds good signatures of more than 2/3 of its set's power over `signed`.
    /// @dev Whether the set is one to be trusted is for the caller to check, by its hash.
    function verify(bytes calldata certificate, bytes32 signed) internal pure {
        uint256 size = uint8(certificate[0]);
        uint256 bitmapAt = 1 + size * 32;
        uint256 signature = bitmapAt + (size + 7) / 8;
        if (certificate.length < signature) revert CheckpointMalformed();

        uint256 total = 0;
        uint256 power = 0;
        address previous = address(0);
        // At most 255 powers of 96 bits: no sum here can overflow.
        unchecked {
            for (uint256 i = 0; i < size; ++i) {
                uint256 word = uint256(_word(certificate, 1 + i * 32));
                address signer = address(uint160(word >> 96));
                if (signer <= previous) revert SetNotAscending(i);
                previous = signer;
                uint256 weight = uint96(word);
                total += weight;

                if (uint8(_word(certificate, bitmapAt + (i >> 3))[0]) >> (i & 7) & 1 == 0) continue;
                if (certificate.length < signature + 64) revert CheckpointMalformed();
                if (
                    _recover(signed, _word(certificate, signature), uint256(_word(certificate, signature + 32)))
                        != signer
                ) {
                    revert BadSignature(i);
                }
                signature += 64;
                power += weight;
            }
        }
        // Nothing may follow, and no bit beyond the set may be set.
        if (certificate.length != signature) revert CheckpointMalformed();
        if (size & 7 != 0 && uint8(_word(certificate, bitmapAt + size / 8)[0]) >> (size & 7) != 0) {
            revert CheckpointMalformed();
        }
        if (3 * power <= 2 * total) revert QuorumNotReached(power, total);
    }

    /// @dev The signer of an EIP-2098 signature, zero if `s` is high or nobody can have signed. Zero is in no set.
    function _recover(bytes32 signed, bytes32 r, uint256 parityAndS) private pure returns (address) {
        uint256 s = parityAndS & (type(uint256).max >> 1);
        if (s > HALF_ORDER) return address(0);
        return ecrecover(signed, uint8(27 + (parityAndS >> 255)), r, bytes32(s));
    }

    /// @dev The word at `offset`, which the caller has checked to begin inside; what is beyond the end is not used.
    function _word(bytes calldata data, uint256 offset) private pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := calldataload(add(data.offset, offset))
        }
    }
}
