// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Hasher, PacketHasher} from "../libraries/PacketHasher.sol";
import {Paths} from "../libraries/Paths.sol";
import {Batch, Batches, Record} from "../libraries/Records.sol";
import {Escrow} from "./Escrow.sol";

/// @title Ends holds: by preimage in time, or by giving them up after the deadline
/// @notice A hold is open iff its receipt is the packet's commitment and its ack is not written.
abstract contract Holds is Escrow {
    /// @dev What a batch of claims or voids needs throughout.
    struct Work {
        bytes32 client;
        uint256 clientLength;
        bool membersOnly;
        Hasher hasher;
        Tally[] tallies;
        Payout[] payouts;
        uint256 count; // of payouts
    }

    function claim(bytes32 client, bytes calldata claims) external nonReentrant {
        Batch memory batch = Batches.open(claims);
        Work memory work = _openWork(client, batch, true, TOKEN | HOLDS);
        for (uint256 i = 0; i < batch.items; ++i) {
            bytes32 preimage = bytes32(batch.readUint(32));
            Record record = batch.readRecord();
            SkipReason skip = _claimOne(work, batch, record, preimage);
            if (skip != SkipReason.None) emit Skipped(client, record.sequence(), i, skip);
        }
        batch.close();
        _closeTallies(work.tallies, HOLDS);
        _pay(work.payouts, work.count);
    }

    function void(bytes32 client, bytes calldata packets) external nonReentrant {
        Batch memory batch = Batches.open(packets);
        Work memory work = _openWork(client, batch, true, BOOKS | HOLDS);
        for (uint256 i = 0; i < batch.items; ++i) {
            Record record = batch.readRecord();
            SkipReason skip = _voidOne(work, batch, record);
            if (skip != SkipReason.None) emit Skipped(client, record.sequence(), i, skip);
        }
        batch.close();
        _closeTallies(work.tallies, BOOKS | HOLDS);
    }

    function _claimOne(Work memory work, Batch memory batch, Record record, bytes32 preimage)
        private
        returns (SkipReason)
    {
        uint64 sequence = record.sequence();
        bytes32 ackKey = Paths.key(work.client, work.clientLength, Paths.ACK, sequence);
        SkipReason skip = _openHold(work, batch, record, ackKey);
        if (skip != SkipReason.None) return skip;
        if (block.timestamp >= record.claimDeadline()) return SkipReason.DeadlinePassed;
        (bytes32 ackCommitment, bytes32 hashlock) = PacketHasher.success(preimage);
        if (hashlock != record.hashlock()) return SkipReason.WrongPreimage;
        address receiver = record.localParty();
        if (!_mayTransact(receiver, work.membersOnly)) return SkipReason.Suspended;
        if (!_gasForItem(work.count)) return SkipReason.LowGas;

        commitments[ackKey] = ackCommitment;
        Tally memory tally = work.tallies[record.denomIndex()];
        uint256 amount = record.amount();
        tally.held -= amount;
        work.payouts[work.count++] = Payout(tally.token, receiver, amount, tally.voucher, false);
        emit Claimed(work.client, sequence, preimage);
        return SkipReason.None;
    }

    function _voidOne(Work memory work, Batch memory batch, Record record) private returns (SkipReason) {
        uint64 sequence = record.sequence();
        bytes32 ackKey = Paths.key(work.client, work.clientLength, Paths.ACK, sequence);
        SkipReason skip = _openHold(work, batch, record, ackKey);
        if (skip != SkipReason.None) return skip;
        if (block.timestamp < record.claimDeadline()) return SkipReason.DeadlineNotReached;
        if (gasleft() < ITEM_GAS) return SkipReason.LowGas;

        commitments[ackKey] = PacketHasher.ERROR_ACK;
        Tally memory tally = work.tallies[record.denomIndex()];
        uint256 amount = record.amount();
        tally.held -= amount;
        // Home points go back into the vault; vouchers were never minted, so there may be as many more again.
        tally.backing += amount;
        emit Voided(work.client, sequence);
        return SkipReason.None;
    }

    /// @dev Whether the record is the packet of an open hold.
    function _openHold(Work memory work, Batch memory batch, Record record, bytes32 ackKey)
        private
        view
        returns (SkipReason)
    {
        uint256 denom = record.denomIndex();
        bytes32 receipt = commitments[Paths.key(work.client, work.clientLength, Paths.RECEIPT, record.sequence())];
        if (receipt == 0 || receipt != work.hasher.commitment(record, batch.denoms[denom], true)) {
            return SkipReason.WrongPacket;
        }
        // A receipt without an ack has a hold, and that had a lane.
        return commitments[ackKey] == 0 ? SkipReason.None : SkipReason.Duplicate;
    }

    /// @dev `incoming`: the batch is of packets to this chain, else of packets from it.
    function _openWork(bytes32 client, Batch memory batch, bool incoming, uint256 slots)
        internal
        view
        returns (Work memory work)
    {
        Route storage route = _routes[client];
        _isOpen(route, client);
        work.client = client;
        work.clientLength = Paths.length(client);
        work.membersOnly = route.membersOnly;
        work.hasher = PacketHasher.create(Paths.text(incoming ? client : route.counterparty));
        work.tallies = _openTallies(client, batch.denoms, incoming, slots);
        work.payouts = new Payout[](batch.items);
    }
}
