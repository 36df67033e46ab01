// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPointsVoucher} from "./interfaces/IPointsVoucher.sol";
import {Eip712} from "./libraries/Eip712.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title A stand-in on this chain for points whose home is elsewhere
/// @notice ERC-20 with EIP-2612 permit. OpenZeppelin's ERC20Permit needs a newer EVM than consortium nodes run.
contract PointsVoucher is ERC20, IPointsVoucher {
    bytes32 private constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    /// @notice The gateway: it alone mints and burns.
    address public immutable gateway;
    uint8 private immutable _decimals;

    mapping(address owner => uint256) public nonces;

    error OnlyGateway();
    error PermitExpired(uint256 deadline);
    error PermitWrongSigner(address signer, address owner);

    modifier onlyGateway() {
        if (msg.sender != gateway) revert OnlyGateway();
        _;
    }

    constructor(address gateway_, string memory name_, string memory symbol_, uint8 decimals_) ERC20(name_, symbol_) {
        gateway = gateway_;
        _decimals = decimals_;
    }

    function mint(address to, uint256 amount) external onlyGateway {
        _mint(to, amount);
    }

    function burn(address from, uint256 amount) external onlyGateway {
        _burn(from, amount);
    }

    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
    {
        if (block.timestamp > deadline) revert PermitExpired(deadline);
        bytes32 structHash = keccak256(abi.encode(PERMIT_TYPEHASH, owner, spender, value, nonces[owner]++, deadline));
        address signer = ECDSA.recover(Eip712.typedDataHash(DOMAIN_SEPARATOR(), structHash), v, r, s);
        if (signer != owner) revert PermitWrongSigner(signer, owner);
        _approve(owner, spender, value);
    }

    /// @notice EIP-712 domain: the token's name, version 1.
    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        return Eip712.domainSeparator(name());
    }

    function decimals() public view override returns (uint8) {
        return _decimals;
    }

    function totalSupply() public view override(ERC20, IPointsVoucher) returns (uint256) {
        return super.totalSupply();
    }
}
