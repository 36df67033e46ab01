// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Texts in packets
library Text {
    /// @notice Whether every byte is printable ASCII, 0x20 to 0x7e.
    function isPrintable(string calldata text) internal pure returns (bool) {
        bytes calldata data = bytes(text);
        for (uint256 i = 0; i < data.length; ++i) {
            if (data[i] < 0x20 || data[i] > 0x7e) return false;
        }
        return true;
    }

    /// @notice An address as `0x` and 40 lower-case hex digits.
    function hexAddress(address account) internal pure returns (string memory) {
        bytes16 digits = "0123456789abcdef";
        bytes memory out = new bytes(42);
        (out[0], out[1]) = ("0", "x");
        uint256 value = uint160(account);
        for (uint256 i = 42; i > 2; --i) {
            out[i - 1] = digits[value & 15];
            value >>= 4;
        }
        return string(out);
    }
}
