// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ILightClient} from "../interfaces/ILightClient.sol";
import {IPointsVoucher} from "../interfaces/IPointsVoucher.sol";
import {PacketHasher} from "../libraries/PacketHasher.sol";
import {Paths} from "../libraries/Paths.sol";
import {Batches} from "../libraries/Records.sol";
import {Text} from "../libraries/Text.sol";
import {GatewayStorage} from "./GatewayStorage.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title Locks points on this chain and sends packets
abstract contract Sending is GatewayStorage {
    using SafeERC20 for IERC20;

    function send(Lock calldata lock) external nonReentrant returns (uint64) {
        return _send(msg.sender, lock);
    }

    function sendFrom(address payer, Lock calldata lock) external nonReentrant returns (uint64) {
        if (msg.sender != intents) revert Unauthorized();
        return _send(payer, lock);
    }

    function _send(address payer, Lock calldata lock) private returns (uint64 sequence) {
        Route storage route = _routes[lock.client];
        _isOpen(route, lock.client);
        if (route.paused) revert Paused(lock.client);
        // Neither an ack nor a refund could be proven to a client that is frozen or expired.
        ILightClient(route.lightClient).requireActive(lock.client);
        if (!_mayTransact(payer, route.membersOnly)) revert MayNotTransact(payer);
        _checkFields(lock);
        _checkWindow(route, lock.timeout, lock.claimDeadline);

        bytes32 laneKey = _laneKey(lock.client, keccak256(bytes(lock.denom)));
        Lane storage lane = _lanes[laneKey];
        address token = lane.token;
        if (token == address(0)) revert UnknownDenom(lock.client, lock.denom);
        bool voucher = lane.voucher;

        {
            bytes32 key = keccak256(abi.encodePacked(payer, lock.hashlock));
            if (_hashlocks[key]) revert HashlockUsed(lock.hashlock);
            _hashlocks[key] = true;
        }
        _spendLimits(laneKey, lane, payer, lock.amount);

        sequence = route.lastSequence + 1;
        uint64 previousBlock = route.lastSendBlock;
        route.lastSequence = sequence;
        route.lastSendBlock = uint64(block.number);
        commitments[Paths.key(lock.client, Paths.length(lock.client), Paths.COMMITMENT, sequence)] =
            _packetCommitment(route.counterparty, payer, lock);
        emit Sent(lock.client, sequence, previousBlock, lock.denom, _record(sequence, payer, lock));

        if (voucher) {
            // Vouchers on their way home are burned; a refund mints them again.
            IPointsVoucher(token).burn(payer, lock.amount);
        } else {
            uint256 before = IERC20(token).balanceOf(address(this));
            IERC20(token).safeTransferFrom(payer, address(this), lock.amount);
            uint256 received = IERC20(token).balanceOf(address(this)) - before;
            if (received != lock.amount) revert TransferNotExact(received);
        }
    }

    /// @dev What does not depend on stored state.
    function _checkFields(Lock calldata lock) private pure {
        if (lock.amount == 0) revert InvalidLock("amount");
        uint256 receiver = bytes(lock.receiver).length;
        if (receiver == 0 || receiver > Batches.MAX_PARTY || !Text.isPrintable(lock.receiver)) {
            revert InvalidLock("receiver");
        }
        if (lock.terms.length != 0) revert InvalidLock("terms");
        if (bytes(lock.memo).length > Batches.MAX_MEMO || !Text.isPrintable(lock.memo)) revert InvalidLock("memo");
    }

    /// @dev The window rules (protocol/src/window.rs).
    function _checkWindow(Route storage route, uint64 timeout_, uint64 claimDeadline) private view {
        uint8 bound = _windowViolation(timeout_, claimDeadline, route.maxTimeout, route.minHold, route.maxDeadline);
        if (bound != 0) revert WindowViolated(bound);
    }

    /// @dev 0 if the deadlines are within bounds, else which bound they break, as in `WindowViolated`.
    function _windowViolation(
        uint256 timeout_,
        uint256 claimDeadline,
        uint256 maxTimeout,
        uint256 minHold,
        uint256 maxDeadline
    ) internal view returns (uint8) {
        if (timeout_ <= block.timestamp) return 1;
        if (timeout_ - block.timestamp > maxTimeout) return 2;
        if (claimDeadline < timeout_ + minHold) return 3;
        if (claimDeadline - block.timestamp > maxDeadline) return 4;
        return 0;
    }

    function _spendLimits(bytes32 laneKey, Lane storage lane, address payer, uint256 amount) private {
        if (amount > lane.maxAmount) revert LimitExceeded(2);
        if (lane.limited) {
            if (amount < lane.minAmount) revert LimitExceeded(1);
            uint256 perDay = lane.memberPerDay;
            bytes32 key = keccak256(abi.encodePacked(laneKey, payer));
            uint256 day = block.timestamp / 1 days;
            uint256 spent = _spent[key];
            uint256 sum = amount + (spent >> 128 == day ? uint128(spent) : 0);
            if (sum > perDay) revert LimitExceeded(3);
            _spent[key] = day << 128 | sum;
        }
        uint256 out = lane.out + amount;
        // Whatever ends a lock or a hold moves points between these books, so none of them can overflow later.
        if (out > lane.inFlight || out + lane.backing + lane.held > type(uint120).max) revert LimitExceeded(4);
        lane.out = uint120(out);
    }

    function _record(uint64 sequence, address payer, Lock calldata lock) private pure returns (bytes memory) {
        return abi.encodePacked(
            abi.encodePacked(sequence, lock.timeout, lock.claimDeadline, lock.amount, payer, lock.hashlock),
            uint8(0),
            uint8(bytes(lock.receiver).length),
            uint16(lock.terms.length),
            uint16(bytes(lock.memo).length),
            lock.receiver,
            lock.terms,
            lock.memo
        );
    }

    function _packetCommitment(bytes32 counterparty, address payer, Lock calldata lock) private pure returns (bytes32) {
        PacketHasher.PointsLock memory points = PacketHasher.PointsLock({
            denom: lock.denom,
            amount: lock.amount,
            sender: Text.hexAddress(payer),
            receiver: lock.receiver,
            hashlock: lock.hashlock,
            claimDeadline: lock.claimDeadline,
            terms: lock.terms,
            memo: lock.memo
        });
        return PacketHasher.plainCommitment(Paths.text(counterparty), lock.timeout, points);
    }
}
