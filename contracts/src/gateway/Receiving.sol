// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ILightClient} from "../interfaces/ILightClient.sol";
import {Outbox} from "../libraries/Outbox.sol";
import {Hasher, PacketHasher} from "../libraries/PacketHasher.sol";
import {Paths} from "../libraries/Paths.sol";
import {Batch, Batches, Record} from "../libraries/Records.sol";
import {Escrow} from "./Escrow.sol";
import {Sending} from "./Sending.sol";

/// @title Takes in packets from the counterparty and opens holds
abstract contract Receiving is Escrow, Sending {
    /// @dev Gas below which a packet is left for another batch.
    uint256 private constant RECV_GAS = 150_000;

    /// @dev What a recv batch needs throughout.
    struct Inbox {
        bytes32 client;
        uint256 clientLength;
        uint256 maxTimeout;
        uint256 minHold;
        uint256 maxDeadline;
        bytes opened; // sequences of the holds opened
        uint256 openedCount;
    }

    function recv(bytes32 client, bytes calldata state, bytes calldata outbox, bytes calldata packets)
        external
        nonReentrant
    {
        Route storage route = _routes[client];
        _isOpen(route, client);
        if (route.paused) revert Paused(client);

        Batch memory batch = Batches.open(packets);
        Record[] memory records = new Record[](batch.items);
        bytes32[] memory hashes = new bytes32[](batch.items);
        bytes32[] memory leaves = new bytes32[](batch.items);
        {
            Hasher hasher = PacketHasher.create(Paths.text(client));
            bytes32 source = route.counterparty;
            uint256 sourceLength = Paths.length(source);
            for (uint256 i = 0; i < records.length; ++i) {
                Record record = batch.readRecord();
                records[i] = record;
                bytes32 hash = hasher.commitment(record, batch.denoms[record.denomIndex()], true);
                hashes[i] = hash;
                leaves[i] = hasher.leaf(source, sourceLength, Paths.COMMITMENT, record.sequence(), hash);
            }
            batch.close();
        }
        if (!_provenByOutbox(route, client, state, outbox, "/sent", leaves)) {
            for (uint256 i = 0; i < records.length; ++i) {
                emit Skipped(client, records[i].sequence(), i, SkipReason.ClientFrozen);
            }
            return;
        }
        _receive(route, client, batch, records, hashes);
    }

    function _receive(
        Route storage route,
        bytes32 client,
        Batch memory batch,
        Record[] memory records,
        bytes32[] memory hashes
    ) private {
        Inbox memory inbox = Inbox({
            client: client,
            clientLength: Paths.length(client),
            maxTimeout: route.maxTimeout,
            minHold: route.minHold,
            maxDeadline: route.maxDeadline,
            opened: new bytes(records.length * 8 + 32),
            openedCount: 0
        });
        Tally[] memory tallies = _openTallies(client, batch.denoms, true, TOKEN | BOOKS | HOLDS);
        for (uint256 i = 0; i < records.length; ++i) {
            Record record = records[i];
            SkipReason skip = _receiveOne(inbox, tallies[record.denomIndex()], record, hashes[i]);
            if (skip != SkipReason.None) emit Skipped(client, record.sequence(), i, skip);
        }
        _closeTallies(tallies, BOOKS | HOLDS);
        if (inbox.openedCount != 0) {
            bytes memory opened = inbox.opened;
            uint256 length = inbox.openedCount * 8;
            assembly ("memory-safe") {
                mstore(opened, length)
            }
            emit Received(client, opened);
        }
    }

    /// @dev Opens a hold, refuses the packet, or says why it is skipped.
    function _receiveOne(Inbox memory inbox, Tally memory tally, Record record, bytes32 hash)
        private
        returns (SkipReason)
    {
        uint64 sequence = record.sequence();
        bytes32 receipt = Paths.key(inbox.client, inbox.clientLength, Paths.RECEIPT, sequence);
        if (commitments[receipt] != 0) return SkipReason.Duplicate;
        if (block.timestamp >= record.timeout()) return SkipReason.Expired;
        if (gasleft() < RECV_GAS) return SkipReason.LowGas;

        RefusalReason refusal = _refusal(inbox, tally, record);
        if (refusal != RefusalReason.None) {
            commitments[receipt] = hash;
            commitments[Paths.key(inbox.client, inbox.clientLength, Paths.ACK, sequence)] = PacketHasher.ERROR_ACK;
            emit Refused(inbox.client, sequence, refusal);
            return SkipReason.None;
        }

        uint256 amount = record.amount();
        if (amount > tally.maxAmount || tally.held + amount > tally.inFlight) return SkipReason.LimitExceeded;
        if (amount > tally.backing) return tally.voucher ? SkipReason.CapExceeded : SkipReason.VaultShort;
        tally.backing -= amount;
        tally.held += amount;
        commitments[receipt] = hash;

        bytes memory opened = inbox.opened;
        uint256 count = inbox.openedCount;
        assembly ("memory-safe") {
            mstore(add(add(opened, 32), shl(3, count)), shl(192, sequence))
        }
        inbox.openedCount = count + 1;
        return SkipReason.None;
    }

    /// @dev Why a packet can never be accepted. Depends on the packet and on registered facts alone, never on gas,
    /// limits or books: what is refused here is refunded at its source.
    function _refusal(Inbox memory inbox, Tally memory tally, Record record) private view returns (RefusalReason) {
        if (tally.token == address(0)) return RefusalReason.UnknownDenom;
        if (record.amount() == 0) return RefusalReason.ZeroAmount;
        if (record.termsLength() != 0) return RefusalReason.Terms;
        address receiver = record.localParty();
        if (receiver == address(0) || receiver == address(this) || _standing[receiver] == STANDING_RESERVED) {
            return RefusalReason.Receiver;
        }
        uint8 violation = _windowViolation(
            record.timeout(), record.claimDeadline(), inbox.maxTimeout, inbox.minHold, inbox.maxDeadline
        );
        return violation == 0 ? RefusalReason.None : RefusalReason.Window;
    }

    /// @dev Whether the counterparty's outbox holds all leaves, in the state that `state` names. Reverts if not; false
    /// if `state` froze the client.
    function _provenByOutbox(
        Route storage route,
        bytes32 client,
        bytes calldata state,
        bytes calldata outbox,
        string memory list,
        bytes32[] memory leaves
    ) internal returns (bool) {
        Batch memory reader;
        assembly ("memory-safe") {
            mstore(reader, outbox.offset)
            mstore(add(reader, 32), add(outbox.offset, outbox.length))
        }
        uint256 length = reader.readUint(2) * 32;
        uint256 start = reader.skip(length);
        bytes calldata siblings;
        assembly ("memory-safe") {
            siblings.offset := start
            siblings.length := length
        }
        bytes32 head = Outbox.head(reader, leaves);
        reader.close();
        bytes memory key = abi.encodePacked(_prefix(route), "outbox/", Paths.text(route.counterparty), list);
        (uint64 time, bool proven) = ILightClient(route.lightClient).proveMembership(client, state, key, head, siblings);
        if (time == 0) return false;
        if (!proven) revert ProofInvalid();
        return true;
    }

    /// @dev What stands before every key in the counterparty's store.
    function _prefix(Route storage route) internal view returns (bytes memory prefix) {
        uint256 length = route.prefixLength;
        if (length == 0) return "";
        prefix = new bytes(length);
        bytes32 word = route.prefix;
        for (uint256 i = 0; i < length; ++i) {
            prefix[i] = word[i];
        }
    }
}
