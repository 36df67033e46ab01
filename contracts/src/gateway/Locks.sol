// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ILightClient} from "../interfaces/ILightClient.sol";
import {Hasher, PacketHasher} from "../libraries/PacketHasher.sol";
import {Paths} from "../libraries/Paths.sol";
import {Batch, Batches, Record} from "../libraries/Records.sol";
import {Holds} from "./Holds.sol";
import {Receiving} from "./Receiving.sol";

/// @title Ends locks, by proof alone: a proven ack, or proven non-receipt at a time at or after the timeout
abstract contract Locks is Receiving, Holds {
    /// @dev The acks of a batch: success with a preimage, or the universal error.
    struct Acks {
        Record[] records;
        bytes32[] preimages;
        bool[] successes;
        bytes32[] hashlocks; // that the preimages open
    }

    function ack(bytes32 client, bytes calldata state, bytes calldata outbox, bytes calldata acks)
        external
        nonReentrant
    {
        Batch memory batch = Batches.open(acks);
        Work memory work = _openWork(client, batch, false, BOOKS);
        Route storage route = _routes[client];
        (Acks memory read, bytes32[] memory leaves) = _readAcks(work, batch, route.counterparty);
        bool proven = _provenByOutbox(route, client, state, outbox, "/acked", leaves);
        for (uint256 i = 0; i < read.records.length; ++i) {
            Record record = read.records[i];
            SkipReason skip =
                proven ? _ackOne(work, batch, record, read.successes[i], read.hashlocks[i]) : SkipReason.ClientFrozen;
            if (skip != SkipReason.None) emit Skipped(client, record.sequence(), i, skip);
        }
        _closeTallies(work.tallies, BOOKS);
        _pay(work.payouts, work.count);
    }

    function timeout(bytes32 client, bytes calldata state, bytes calldata packets) external nonReentrant {
        Batch memory batch = Batches.open(packets);
        Work memory work = _openWork(client, batch, false, BOOKS);
        (Record[] memory records, bytes[] memory keys, bytes[] memory proofs) = _readAbsences(batch, _routes[client]);
        (uint64 time, bool[] memory absent) =
            ILightClient(_routes[client].lightClient).proveAbsence(client, state, keys, proofs);
        for (uint256 i = 0; i < records.length; ++i) {
            SkipReason skip =
                time == 0 ? SkipReason.ClientFrozen : _timeoutOne(work, batch, records[i], time, absent[i]);
            if (skip != SkipReason.None) emit Skipped(client, records[i].sequence(), i, skip);
        }
        _closeTallies(work.tallies, BOOKS);
        _pay(work.payouts, work.count);
    }

    function _readAcks(Work memory work, Batch memory batch, bytes32 counterparty)
        private
        view
        returns (Acks memory acks, bytes32[] memory leaves)
    {
        uint256 items = batch.items;
        acks = Acks(new Record[](items), new bytes32[](items), new bool[](items), new bytes32[](items));
        leaves = new bytes32[](items);
        uint256 length = Paths.length(counterparty);
        for (uint256 i = 0; i < items; ++i) {
            uint256 kind = batch.readUint(1);
            if (kind > 1) revert Malformed();
            bytes32 commitment = PacketHasher.ERROR_ACK;
            if (kind == 1) {
                acks.successes[i] = true;
                (commitment, acks.hashlocks[i]) = PacketHasher.success(bytes32(batch.readUint(32)));
            }
            Record record = batch.readRecord();
            acks.records[i] = record;
            leaves[i] = work.hasher.leaf(counterparty, length, Paths.ACK, record.sequence(), commitment);
        }
        batch.close();
    }

    function _readAbsences(Batch memory batch, Route storage route)
        private
        view
        returns (Record[] memory records, bytes[] memory keys, bytes[] memory proofs)
    {
        uint256 items = batch.items;
        records = new Record[](items);
        keys = new bytes[](items);
        proofs = new bytes[](items);
        bytes memory before = abi.encodePacked(_prefix(route), Paths.text(route.counterparty), uint8(Paths.RECEIPT));
        for (uint256 i = 0; i < items; ++i) {
            uint256 length = batch.readUint(2);
            uint256 start = batch.skip(length);
            bytes calldata proof;
            assembly ("memory-safe") {
                proof.offset := start
                proof.length := length
            }
            records[i] = batch.readRecord();
            keys[i] = abi.encodePacked(before, records[i].sequence());
            proofs[i] = proof;
        }
        batch.close();
    }

    function _ackOne(Work memory work, Batch memory batch, Record record, bool success, bytes32 hashlock)
        private
        returns (SkipReason)
    {
        bytes32 key = Paths.key(work.client, work.clientLength, Paths.COMMITMENT, record.sequence());
        SkipReason skip = _openLock(work, batch, record, key);
        if (skip != SkipReason.None) return skip;
        if (!success) return _refund(work, record, key, LockEnd.Refunded);

        // A success that does not open the hashlock is none: nothing moves, and the event alerts.
        if (hashlock != record.hashlock()) return SkipReason.WrongPreimage;
        if (gasleft() < ITEM_GAS) return SkipReason.LowGas;
        delete commitments[key];
        Tally memory tally = work.tallies[record.denomIndex()];
        uint256 amount = record.amount();
        tally.out -= amount;
        // Home points back vouchers elsewhere from now on; vouchers were burned when they were locked.
        tally.backing += amount;
        emit Ended(work.client, record.sequence(), LockEnd.Settled);
        return SkipReason.None;
    }

    function _timeoutOne(Work memory work, Batch memory batch, Record record, uint64 time, bool absent)
        private
        returns (SkipReason)
    {
        bytes32 key = Paths.key(work.client, work.clientLength, Paths.COMMITMENT, record.sequence());
        SkipReason skip = _openLock(work, batch, record, key);
        if (skip != SkipReason.None) return skip;
        if (time < record.timeout()) return SkipReason.TooEarly;
        if (!absent) return SkipReason.NotProven;
        return _refund(work, record, key, LockEnd.TimedOut);
    }

    /// @dev Gives the points back to the sender, with its budget of the day.
    function _refund(Work memory work, Record record, bytes32 key, LockEnd end) private returns (SkipReason) {
        if (!_gasForItem(work.count)) return SkipReason.LowGas;
        delete commitments[key];
        Tally memory tally = work.tallies[record.denomIndex()];
        address sender = record.localParty();
        uint256 amount = record.amount();
        tally.out -= amount;
        if (tally.token == address(0)) tally.token = _lanes[tally.key].token;
        if (tally.limited) _giveBack(tally.key, sender, amount);
        bool credit = _standing[sender] == STANDING_SUSPENDED;
        work.payouts[work.count++] = Payout(tally.token, sender, amount, tally.voucher, credit);
        emit Ended(work.client, record.sequence(), end);
        return SkipReason.None;
    }

    /// @dev A day's budget is for locks less refunds of that day.
    function _giveBack(bytes32 laneKey, address sender, uint256 amount) private {
        bytes32 key = keccak256(abi.encodePacked(laneKey, sender));
        uint256 spent = _spent[key];
        uint256 day = spent >> 128;
        if (day != block.timestamp / 1 days) return;
        uint256 sum = uint128(spent);
        _spent[key] = day << 128 | (sum > amount ? sum - amount : 0);
    }

    /// @dev Whether the record is a packet sent and not ended.
    function _openLock(Work memory work, Batch memory batch, Record record, bytes32 key)
        private
        view
        returns (SkipReason)
    {
        bytes32 stored = commitments[key];
        if (stored == 0) {
            return record.sequence() != 0 && record.sequence() <= _routes[work.client].lastSequence
                ? SkipReason.Duplicate
                : SkipReason.WrongPacket;
        }
        uint256 denom = record.denomIndex();
        // A packet that was sent had a lane.
        return
            stored == work.hasher.commitment(record, batch.denoms[denom], false)
                ? SkipReason.None
                : SkipReason.WrongPacket;
    }
}
