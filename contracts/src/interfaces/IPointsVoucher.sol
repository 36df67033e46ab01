// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What the gateway asks of a voucher token
interface IPointsVoucher {
    /// @notice Creates vouchers. Gateway only.
    function mint(address to, uint256 amount) external;
    /// @notice Destroys vouchers of an account that has asked the gateway for it. Gateway only.
    function burn(address from, uint256 amount) external;
    function totalSupply() external view returns (uint256);
}
