// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICrosspointGateway} from "../src/interfaces/ICrosspointGateway.sol";
import {ICrosspointRegistry} from "../src/interfaces/ICrosspointRegistry.sol";
import {Outbox} from "../src/libraries/Outbox.sol";
import {Batches} from "../src/libraries/Records.sol";
import {GatewayTest} from "./utils/GatewayTest.sol";

/// @dev What recv accepts, refuses and skips.
contract ReceivingTest is GatewayTest {
    function _deliverAndExpect(P memory p, ICrosspointGateway.RefusalReason refusal) private {
        vm.recordLogs();
        _deliver(p);
        assertRefused(refusal);
        assertEq(_stored(2, p.sequence), _commitment(p, true), "a refused packet has a receipt");
        assertEq(_stored(3, p.sequence), _errorAck(), "and the error ack");
        // Nobody can claim or void what was refused.
        vm.recordLogs();
        _claim(p, PREIMAGE);
        assertTrue(_skipReason() != ICrosspointGateway.SkipReason.None, "claim is skipped");
    }

    function _deliverAndSkip(P memory p, ICrosspointGateway.SkipReason reason) private {
        _sendFromNative(_list(p));
        vm.recordLogs();
        _recv(_list(p));
        assertSkipped(reason);
        assertEq(_stored(2, p.sequence), bytes32(0), "a skipped packet has no receipt");
        assertEq(_stored(3, p.sequence), bytes32(0), "and no ack");
    }

    function test_the_storage_base_is_slot_zero() public {
        P memory p = _incoming(5);
        _deliver(p);
        bytes32 path = keccak256(abi.encodePacked("checkpoint-0", uint8(2), uint64(1)));
        bytes32 slot = keccak256(abi.encode(path, uint256(0)));
        assertEq(vm.load(address(gateway), slot), _commitment(p, true), "slot");
    }

    function test_one_event_lists_the_holds_opened() public {
        P[] memory packets = new P[](3);
        for (uint256 i = 0; i < 3; ++i) {
            packets[i] = _incoming(uint96(i)); // the first has amount 0
        }
        _sendFromNative(packets);
        vm.recordLogs();
        _recv(packets);
        (uint256 count, bytes memory data) = _dataOf(ICrosspointGateway.Received.selector);
        assertEq(count, 1, "events");
        assertEq(abi.decode(data, (bytes)), abi.encodePacked(uint64(2), uint64(3)), "sequences");
    }

    function test_a_duplicate_is_a_no_op() public {
        P memory p = _incoming(5);
        _deliver(p);
        (, bytes memory outbox, bytes memory batch) = _recvArgs(_list(p));
        vm.recordLogs();
        gateway.recv(CLIENT, bytes.concat(hex"00", chain.header()), outbox, batch);
        assertSkipped(ICrosspointGateway.SkipReason.Duplicate);
        assertEq(_supply(VOUCHER).held, 5, "held");
        // Nor is it one after the hold has ended.
        _claim(p, PREIMAGE);
        gateway.recv(CLIENT, bytes.concat(hex"00", chain.header()), outbox, batch);
        assertEq(_supply(VOUCHER).held, 0, "held");
    }

    function test_recv_iff_now_is_before_the_timeout() public {
        P memory p = _incoming(5);
        P memory q = _incoming(6);
        P[] memory both = new P[](2);
        (both[0], both[1]) = (p, q);
        _sendFromNative(both);
        vm.warp(p.timeout - 1);
        _recv(_list(p));
        assertEq(_supply(VOUCHER).held, 5, "held");
        vm.warp(q.timeout);
        chain.endBlock(1);
        vm.recordLogs();
        _recv(_list(q));
        assertSkipped(ICrosspointGateway.SkipReason.Expired);
        assertEq(_stored(2, q.sequence), bytes32(0), "what expired must stay provably absent");
    }

    function test_windows_are_checked_again_at_receipt() public {
        P memory p = _incoming(5);
        p.timeout = uint64(block.timestamp) + MAX_TIMEOUT + 1;
        p.claimDeadline = p.timeout + MIN_HOLD;
        _deliverAndExpect(p, ICrosspointGateway.RefusalReason.Window);
        p = _incoming(5);
        p.claimDeadline = p.timeout + MIN_HOLD - 1;
        _deliverAndExpect(p, ICrosspointGateway.RefusalReason.Window);
        p = _incoming(5);
        p.claimDeadline = uint64(block.timestamp) + TRUSTING / 3 + 1;
        _deliverAndExpect(p, ICrosspointGateway.RefusalReason.Window);
        // Each bound itself is good.
        p = _incoming(5);
        p.timeout = uint64(block.timestamp) + MAX_TIMEOUT;
        p.claimDeadline = p.timeout + MIN_HOLD;
        _deliver(p);
        p = _incoming(5);
        p.claimDeadline = uint64(block.timestamp) + TRUSTING / 3;
        _deliver(p);
        assertEq(_supply(VOUCHER).held, 10, "held");
    }

    function test_zero_amounts_and_bad_receivers_are_refused() public {
        _deliverAndExpect(_incoming(0), ICrosspointGateway.RefusalReason.ZeroAmount);
        address[5] memory bad = [address(0), address(gateway), address(voucher), address(token), address(registry)];
        for (uint256 i = 0; i < bad.length; ++i) {
            P memory p = _incoming(5);
            p.local = bad[i];
            _deliverAndExpect(p, ICrosspointGateway.RefusalReason.Receiver);
        }
        assertEq(_supply(VOUCHER).held, 0, "held");
    }

    function test_unknown_denoms_and_terms_are_refused() public {
        P memory p = _incoming(5);
        p.denom = "other";
        _deliverAndExpect(p, ICrosspointGateway.RefusalReason.UnknownDenom);
        string memory hop = "points/attested-0/";
        string[10] memory unknown = [
            VOUCHER, // as this chain names it, not as packets do
            home,
            hop,
            string.concat(hop, "sfs"), // a base denom of the other chain never went out from here
            string.concat(hop, VOUCHER), // nor did a voucher, under its name here
            string.concat(homeReturned, "0"),
            string.concat("points/attested-1/", home),
            string.concat("points/attested-00/", home),
            string.concat("points/", homeReturned),
            "points"
        ];
        for (uint256 i = 0; i < unknown.length; ++i) {
            p = _incoming(5);
            p.denom = unknown[i];
            _deliverAndExpect(p, ICrosspointGateway.RefusalReason.UnknownDenom);
        }
        p = _incoming(5);
        p.terms = hex"01";
        _deliverAndExpect(p, ICrosspointGateway.RefusalReason.Terms);
    }

    function test_vouchers_never_exceed_the_cap() public {
        P memory p = _incoming(910_000_000);
        _deliver(p);
        _deliverAndSkip(_incoming(1), ICrosspointGateway.SkipReason.CapExceeded);
        // Minted and returning ones count too.
        _claim(p, PREIMAGE);
        _deliverAndSkip(_incoming(1), ICrosspointGateway.SkipReason.CapExceeded);
        P memory back = _send(merchant, VOUCHER, 1000, bytes32("back"));
        _deliverAndSkip(_incoming(1), ICrosspointGateway.SkipReason.CapExceeded);
        _ack(back, true, bytes32("back"));
        _deliver(_incoming(1000));
        _deliverAndSkip(_incoming(1), ICrosspointGateway.SkipReason.CapExceeded);
    }

    function test_a_return_draws_on_the_vault_alone() public {
        token.mint(merchant, 1000);
        vm.prank(merchant);
        token.approve(address(gateway), 1000);
        P memory out = _send(merchant, home, 700, bytes32("out"));
        P memory back = _incoming(300);
        back.denom = homeReturned;
        // 700 are locked, but their settle ack is still on its way.
        _deliverAndSkip(back, ICrosspointGateway.SkipReason.VaultShort);
        _ack(out, true, bytes32("out"));
        chain.endBlock(1);
        _recv(_list(back));
        assertEq(_supply(home).held, 300, "held");
        P memory more = _incoming(401);
        more.denom = homeReturned;
        _deliverAndSkip(more, ICrosspointGateway.SkipReason.VaultShort);
        // A void puts the points back into the vault.
        vm.warp(back.claimDeadline);
        _void(back);
        assertEq(_supply(home).vault, 700, "vault");
        assertEq(_supply(home).held, 0, "held");
    }

    function test_limits_skip_and_can_be_lifted() public {
        ICrosspointRegistry.Limits memory limits = _noLimits();
        limits.maxAmount = 100;
        limits.inFlight = 150;
        registry.setLimits(CLIENT, VOUCHER, limits);
        P memory big = _incoming(101);
        _deliverAndSkip(big, ICrosspointGateway.SkipReason.LimitExceeded);
        P memory first = _incoming(100);
        _deliver(first);
        P memory second = _incoming(51);
        _deliverAndSkip(second, ICrosspointGateway.SkipReason.LimitExceeded);
        // Ended holds give the budget back.
        _claim(first, PREIMAGE);
        chain.endBlock(1);
        _recv(_list(second));
        assertEq(_supply(VOUCHER).held, 51, "held");
    }

    function test_pause_blocks_recv_without_a_receipt() public {
        P memory p = _incoming(5);
        _sendFromNative(_list(p));
        (bytes memory state, bytes memory outbox, bytes memory batch) = _recvArgs(_list(p));
        registry.pause(CLIENT);
        vm.expectRevert(abi.encodeWithSelector(ICrosspointGateway.Paused.selector, CLIENT));
        gateway.recv(CLIENT, state, outbox, batch);
        registry.unpause(CLIENT);
        gateway.recv(CLIENT, state, outbox, batch);
        assertEq(_supply(VOUCHER).held, 5, "held");
    }

    function test_one_bad_item_never_fails_its_batch() public {
        P[] memory packets = new P[](4);
        packets[0] = _incoming(5);
        packets[1] = _incoming(0); // refused
        packets[2] = _incoming(910_000_000); // skipped: above the cap with the first
        packets[3] = _incoming(7);
        _sendFromNative(packets);
        vm.recordLogs();
        _recv(packets);
        assertEq(_supply(VOUCHER).held, 12, "held");
        assertEq(_stored(2, 3), bytes32(0), "receipt 3");
    }

    function test_a_proof_for_another_sequence_or_content_reverts() public {
        P memory p = _incoming(5);
        _sendFromNative(_list(p));
        (bytes memory state, bytes memory outbox,) = _recvArgs(_list(p));
        P memory forged = p;
        forged.sequence = 2;
        _expectInvalid(state, outbox, forged);
        forged.sequence = 1;
        forged.amount = 6;
        _expectInvalid(state, outbox, forged);
        forged.amount = 5;
        forged.local = relayer;
        _expectInvalid(state, outbox, forged);
        forged.local = merchant;
        forged.hashlock = bytes32(uint256(1));
        _expectInvalid(state, outbox, forged);
        forged.hashlock = _hashlock(PREIMAGE);
        forged.timeout += 1;
        _expectInvalid(state, outbox, forged);
        forged.timeout -= 1;
        forged.claimDeadline += 1;
        _expectInvalid(state, outbox, forged);
        forged.claimDeadline -= 1;
        forged.memo = "x";
        _expectInvalid(state, outbox, forged);
        forged.memo = "";
        forged.remote = "somebody else";
        _expectInvalid(state, outbox, forged);
        forged.remote = MALL;
        forged.denom = "sft";
        _expectInvalid(state, outbox, forged);
    }

    function _expectInvalid(bytes memory state, bytes memory outbox, P memory forged) private {
        bytes[] memory items = new bytes[](1);
        items[0] = _record(forged);
        bytes memory batch = _batch(forged.denom, items);
        vm.expectRevert(ICrosspointGateway.ProofInvalid.selector);
        gateway.recv(CLIENT, state, outbox, batch);
    }

    function test_the_acked_outbox_proves_no_packet() public {
        P memory p = _incoming(5);
        // The same leaf, but in the other list.
        chain.push("acked", 1, p.sequence, _commitment(p, true));
        chain.endBlock(1);
        uint64[] memory sequences = new uint64[](1);
        sequences[0] = p.sequence;
        bytes[] memory items = new bytes[](1);
        items[0] = _record(p);
        bytes memory state = chain.update();
        bytes memory outbox = chain.outbox("acked", sequences);
        bytes memory batch = _batch("sfs", items);
        vm.expectRevert(ICrosspointGateway.ProofInvalid.selector);
        gateway.recv(CLIENT, state, outbox, batch);
    }

    function test_no_byte_of_a_proof_can_be_changed() public {
        P[] memory packets = new P[](3);
        for (uint256 i = 0; i < 3; ++i) {
            packets[i] = _incoming(uint96(10 + i));
        }
        _sendFromNative(packets);
        P[] memory some = new P[](2);
        (some[0], some[1]) = (packets[0], packets[2]);
        (bytes memory state, bytes memory outbox, bytes memory batch) = _recvArgs(some);
        for (uint256 i = 0; i < outbox.length; ++i) {
            bytes memory forged = bytes.concat(outbox);
            forged[i] = bytes1(uint8(forged[i]) ^ 0x01);
            (bool ok,) = address(gateway).call(abi.encodeCall(gateway.recv, (CLIENT, state, forged, batch)));
            assertTrue(!ok, string.concat("outbox byte ", vm.toString(i)));
        }
        for (uint256 i = 0; i < batch.length; ++i) {
            bytes memory forged = bytes.concat(batch);
            forged[i] = bytes1(uint8(forged[i]) ^ 0x01);
            (bool ok,) = address(gateway).call(abi.encodeCall(gateway.recv, (CLIENT, state, outbox, forged)));
            assertTrue(!ok, string.concat("batch byte ", vm.toString(i)));
        }
        gateway.recv(CLIENT, state, outbox, batch);
        assertEq(_supply(VOUCHER).held, 22, "held");
    }

    function test_malformed_bytes_revert() public {
        P memory p = _incoming(5);
        _sendFromNative(_list(p));
        (bytes memory state, bytes memory outbox, bytes memory batch) = _recvArgs(_list(p));
        vm.expectRevert(Batches.BatchMalformed.selector);
        gateway.recv(CLIENT, state, outbox, bytes.concat(batch, hex"00"));
        vm.expectRevert(Batches.BatchMalformed.selector);
        gateway.recv(CLIENT, state, bytes.concat(outbox, hex"00"), batch);
        vm.expectRevert(Batches.BatchMalformed.selector);
        gateway.recv(CLIENT, state, outbox, "");
        vm.expectRevert(Batches.BatchMalformed.selector);
        gateway.recv(CLIENT, state, "", batch);
        vm.expectRevert(Outbox.OutboxMalformed.selector);
        gateway.recv(CLIENT, state, abi.encodePacked(uint16(0), bytes32(0), uint16(0)), batch);
        vm.expectRevert(abi.encodeWithSelector(ICrosspointGateway.UnknownClient.selector, bytes32("nobody")));
        gateway.recv("nobody", state, outbox, batch);
    }

    function test_an_empty_batch_does_nothing() public {
        P memory p = _incoming(5);
        _sendFromNative(_list(p));
        (bytes memory state,,) = _recvArgs(_list(p));
        bytes memory siblings = chain.membership("outbox/attested-0/sent");
        bytes memory outbox = abi.encodePacked(uint16(siblings.length / 32), siblings, chain.headOf("sent"), uint16(0));
        gateway.recv(CLIENT, state, outbox, hex"000000");
        assertEq(_supply(VOUCHER).held, 0, "held");
    }

    function test_one_denom_named_twice_reverts() public {
        P memory p = _incoming(5);
        _sendFromNative(_list(p));
        (bytes memory state, bytes memory outbox,) = _recvArgs(_list(p));
        bytes memory batch = abi.encodePacked(uint8(2), uint16(3), "sfs", uint16(3), "sfs", uint16(1), _record(p));
        vm.expectRevert(ICrosspointGateway.Malformed.selector);
        gateway.recv(CLIENT, state, outbox, batch);
    }

    function test_two_denoms_in_one_batch_are_counted_apart() public {
        token.mint(merchant, 1000);
        vm.prank(merchant);
        token.approve(address(gateway), 1000);
        _ack(_send(merchant, home, 700, bytes32("out")), true, bytes32("out"));
        P memory a = _incoming(5);
        P memory b = _incoming(300);
        b.denom = homeReturned;
        P[] memory both = new P[](2);
        (both[0], both[1]) = (a, b);
        _sendFromNative(both);
        (bytes memory state, bytes memory outbox,) = _recvArgs(both);
        bytes memory batch =
            abi.encodePacked(uint8(2), uint16(3), "sfs", uint16(bytes(homeReturned).length), homeReturned, uint16(2));
        batch = abi.encodePacked(batch, _record(a, 0), _record(b, 1));
        gateway.recv(CLIENT, state, outbox, batch);
        assertEq(_supply(VOUCHER).held, 5, "vouchers held");
        assertEq(_supply(home).held, 300, "home points held");
        assertEq(_supply(home).vault, 400, "vault");
    }

    function test_low_gas_skips_and_never_refuses() public {
        P[] memory packets = new P[](6);
        for (uint256 i = 0; i < 6; ++i) {
            packets[i] = _incoming(5);
        }
        packets[5].amount = 0; // to be refused
        _sendFromNative(packets);
        (bytes memory state, bytes memory outbox, bytes memory batch) = _recvArgs(packets);
        lightClient.update(CLIENT, state);
        state = bytes.concat(hex"00", chain.header());
        uint256 some = 0;
        for (uint256 gas_ = 120_000; gas_ < 700_000; gas_ += 20_000) {
            (bool ok,) = address(gateway).call{gas: gas_}(abi.encodeCall(gateway.recv, (CLIENT, state, outbox, batch)));
            uint256 held = _supply(VOUCHER).held;
            if (ok && held > 0 && held < 25) ++some;
            // Only the packet that deserves it has an error ack.
            for (uint64 s = 1; s <= 5; ++s) {
                assertEq(_stored(3, s), bytes32(0), "ack");
            }
        }
        assertTrue(some > 0, "at some gas only a part was received");
        assertEq(_supply(VOUCHER).held, 25, "held");
        assertEq(_stored(3, 6), _errorAck(), "ack 6");
    }
}
