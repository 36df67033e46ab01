// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @dev An ERC-20 as OpenZeppelin has it, nothing added.
contract PlainToken is ERC20 {
    constructor(address holder) ERC20("Plain points", "PLAIN") {
        _mint(holder, 1000);
    }
}

/// @dev An honest ERC-20 that can be made to misbehave in each of the known ways.
contract TestToken is ERC20 {
    bool public takesFee;
    bool public returnsFalse;
    mapping(address => bool) public blacklisted;
    address public callTarget;
    bytes public callData;
    bool public lastCallSucceeded;
    bytes4 public lastError;

    constructor() ERC20("Shop points", "SHOP") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setFee(bool on) external {
        takesFee = on;
    }

    function setReturnsFalse(bool on) external {
        returnsFalse = on;
    }

    function setBlacklisted(address account, bool on) external {
        blacklisted[account] = on;
    }

    /// @dev On every transfer, call this.
    function setCall(address target, bytes calldata data) external {
        (callTarget, callData) = (target, data);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (returnsFalse) return false;
        _call();
        return super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        if (returnsFalse) return false;
        _call();
        return super.transferFrom(from, to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        require(!blacklisted[from] && !blacklisted[to], "blacklisted");
        if (takesFee && from != address(0) && amount > 0) {
            super._update(from, address(0xfee), 1);
            amount -= 1;
        }
        super._update(from, to, amount);
    }

    function _call() private {
        if (callTarget == address(0)) return;
        bytes memory data;
        (lastCallSucceeded, data) = callTarget.call(callData);
        lastError = bytes4(data);
    }
}

/// @dev An ERC-20 of the old kind: its functions return nothing.
contract SilentToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    uint256 public totalSupply;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
        totalSupply += amount;
    }

    function approve(address spender, uint256 amount) external {
        allowance[msg.sender][spender] = amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}
