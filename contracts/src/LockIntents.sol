// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICrosspointGateway} from "./interfaces/ICrosspointGateway.sol";
import {ICrosspointRegistry} from "./interfaces/ICrosspointRegistry.sol";
import {ILockIntents} from "./interfaces/ILockIntents.sol";
import {Eip712} from "./libraries/Eip712.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @dev The permit of an ERC-20 (EIP-2612).
interface IPermit {
    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external;
}

/// @title Locks that a payer signs and anyone may submit
/// @notice Holds nothing and moves nothing itself: it tells the gateway whose lock it is.
contract LockIntents is ILockIntents {
    bytes32 private constant INTENT_TYPEHASH = keccak256(
        "LockIntent(address payer,bytes32 client,string denom,uint96 amount,string receiver,bytes32 hashlock,uint64 timeout,uint64 claimDeadline,bytes terms,string memo,uint256 nonce,uint256 deadline)"
    );

    ICrosspointGateway public immutable gateway;
    ICrosspointRegistry public immutable registry;

    mapping(address payer => uint256) public intentNonce;

    constructor(address gateway_, address registry_) {
        gateway = ICrosspointGateway(gateway_);
        registry = ICrosspointRegistry(registry_);
    }

    function sendWithPermit(ICrosspointGateway.Lock calldata lock, Permit calldata permit) external returns (uint64) {
        _tryPermit(msg.sender, lock, permit);
        return gateway.sendFrom(msg.sender, lock);
    }

    function sendSigned(
        ICrosspointGateway.Lock calldata lock,
        Intent calldata intent,
        bytes calldata signature,
        Permit calldata permit
    ) external returns (uint64) {
        if (block.timestamp > intent.deadline) revert IntentExpired(intent.deadline);
        uint256 nonce = intentNonce[intent.payer]++;
        if (intent.nonce != nonce) revert WrongNonce(nonce);
        address signer = ECDSA.recover(Eip712.typedDataHash(domainSeparator(), _intentHash(lock, intent)), signature);
        if (signer != intent.payer) revert WrongSigner(signer);
        _tryPermit(intent.payer, lock, permit);
        return gateway.sendFrom(intent.payer, lock);
    }

    /// @notice EIP-712 domain of intents: `Crosspoint`, version 1.
    function domainSeparator() public view returns (bytes32) {
        return Eip712.domainSeparator("Crosspoint");
    }

    /// @dev A permit that somebody else used first, or that fails, is no harm: what counts is the allowance.
    function _tryPermit(address payer, ICrosspointGateway.Lock calldata lock, Permit calldata permit) private {
        if (permit.deadline == 0) return;
        address token = registry.tokenOf(lock.client, lock.denom);
        if (token.code.length == 0) return;
        try IPermit(token)
            .permit(payer, address(gateway), lock.amount, permit.deadline, permit.v, permit.r, permit.s) {}
            catch {}
    }

    function _intentHash(ICrosspointGateway.Lock calldata lock, Intent calldata intent) private pure returns (bytes32) {
        return keccak256(
            abi.encode(
                INTENT_TYPEHASH,
                intent.payer,
                lock.client,
                keccak256(bytes(lock.denom)),
                lock.amount,
                keccak256(bytes(lock.receiver)),
                lock.hashlock,
                lock.timeout,
                lock.claimDeadline,
                keccak256(lock.terms),
                keccak256(bytes(lock.memo)),
                intent.nonce,
                intent.deadline
            )
        );
    }
}
