// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICrosspointGateway} from "../src/interfaces/ICrosspointGateway.sol";
import {ICrosspointRegistry} from "../src/interfaces/ICrosspointRegistry.sol";
import {GatewayTest} from "./utils/GatewayTest.sol";

/// @dev How locks end: by proof alone.
contract LocksTest is GatewayTest {
    function setUp() public override {
        super.setUp();
        token.mint(merchant, 1000);
        vm.prank(merchant);
        token.approve(address(gateway), 1000);
    }

    function _ackSkipped(P memory p, bool success, bytes32 preimage, ICrosspointGateway.SkipReason reason) private {
        vm.recordLogs();
        _ack(p, success, preimage);
        assertSkipped(reason);
    }

    function test_a_proof_of_payment_needs_the_preimage_of_the_hashlock() public {
        P memory p = _send(merchant, home, 700, bytes32("right"));
        _ackSkipped(p, true, bytes32("wrong"), ICrosspointGateway.SkipReason.WrongPreimage);
        assertEq(_supply(home).locked, 700, "locked");
        assertEq(_stored(1, 1), _commitment(p, false), "the lock stands");
    }

    function test_the_duplicate_of_a_done_ack_or_timeout_is_a_no_op() public {
        P memory p = _send(merchant, home, 700, bytes32("right"));
        _ack(p, true, bytes32("right"));
        chain.endBlock(1);
        (bytes memory state, bytes memory outbox, bytes memory batch) = _ackArgs(p, true, bytes32("right"));
        vm.recordLogs();
        gateway.ack(CLIENT, state, outbox, batch);
        assertSkipped(ICrosspointGateway.SkipReason.Duplicate);
        chain.endBlock(3700);
        vm.warp(block.timestamp + 3700);
        vm.recordLogs();
        _timeout(p);
        assertSkipped(ICrosspointGateway.SkipReason.Duplicate);
        assertEq(_supply(home).vault, 700, "vault");
        assertEq(token.balanceOf(merchant), 300, "merchant");
    }

    function test_a_timeout_needs_a_consensus_time_at_or_after_it() public {
        P memory p = _send(merchant, home, 700);
        vm.warp(p.timeout + 100);
        chain.endBlock(p.timeout - 1 - chain.time());
        vm.recordLogs();
        _timeout(p);
        assertSkipped(ICrosspointGateway.SkipReason.TooEarly);
        assertEq(_supply(home).locked, 700, "no refund is granted by this chain's clock");
        chain.endBlock(1);
        _timeout(p);
        assertEq(token.balanceOf(merchant), 1000, "merchant");
    }

    function test_a_packet_that_was_received_does_not_time_out() public {
        P memory p = _send(merchant, home, 700);
        chain.receipt(p.sequence, _commitment(p, false));
        chain.endBlock(p.timeout - chain.time());
        vm.warp(p.timeout);
        vm.recordLogs();
        bytes memory state = chain.update();
        bytes memory siblings = chain.membership(chain.path(2, p.sequence));
        bytes32 key = sha256(chain.path(2, p.sequence));
        bytes32 value = sha256(abi.encodePacked(_commitment(p, false)));
        // The leaf itself, as if it were another's.
        bytes memory proof = abi.encodePacked(key, value, siblings);
        bytes[] memory items = new bytes[](1);
        items[0] = abi.encodePacked(uint16(proof.length), proof, _record(p));
        gateway.timeout(CLIENT, state, _batch(home, items));
        assertSkipped(ICrosspointGateway.SkipReason.NotProven);
        // Another leaf, which does not stand in its place.
        vm.recordLogs();
        siblings = chain.membership("chain/id");
        proof = abi.encodePacked(sha256("chain/id"), sha256("crosspoint-1"), siblings);
        items[0] = abi.encodePacked(uint16(proof.length), proof, _record(p));
        gateway.timeout(CLIENT, bytes.concat(hex"00", chain.header()), _batch(home, items));
        assertSkipped(ICrosspointGateway.SkipReason.NotProven);
        assertEq(_supply(home).locked, 700, "locked");
    }

    function test_no_byte_of_an_absence_can_be_changed() public {
        P memory p = _send(merchant, home, 700);
        for (uint256 i = 0; i < 20; ++i) {
            chain.put(abi.encode("key", i), "value");
        }
        chain.endBlock(p.timeout - chain.time());
        vm.warp(p.timeout);
        lightClient.update(CLIENT, chain.update());
        bytes memory state = bytes.concat(hex"00", chain.header());
        bytes memory batch = _timeoutBatch(p);
        for (uint256 i = 0; i < batch.length; ++i) {
            bytes memory forged = bytes.concat(batch);
            forged[i] = bytes1(uint8(forged[i]) ^ 0x01);
            (bool ok,) = address(gateway).call(abi.encodeCall(gateway.timeout, (CLIENT, state, forged)));
            assertTrue(!ok || _supply(home).locked == 700, string.concat("byte ", vm.toString(i)));
        }
        gateway.timeout(CLIENT, state, batch);
        assertEq(_supply(home).locked, 0, "locked");
    }

    function test_an_ack_never_written_is_not_proven() public {
        P memory p = _send(merchant, home, 700, bytes32("right"));
        chain.push("acked", 3, p.sequence, _errorAck());
        chain.endBlock(1);
        (bytes memory state, bytes memory outbox, bytes memory batch) = _ackArgs(p, true, bytes32("right"));
        vm.expectRevert(ICrosspointGateway.ProofInvalid.selector);
        gateway.ack(CLIENT, state, outbox, batch);
        // Nor does the list of packets sent prove an ack.
        chain.push("sent", 3, p.sequence, _successAck("right"));
        chain.endBlock(1);
        uint64[] memory sequences = new uint64[](1);
        sequences[0] = p.sequence;
        outbox = chain.outbox("sent", sequences);
        state = chain.update();
        vm.expectRevert(ICrosspointGateway.ProofInvalid.selector);
        gateway.ack(CLIENT, state, outbox, batch);
    }

    function test_only_the_packet_sent_can_be_ended() public {
        P memory p = _send(merchant, home, 700);
        P memory forged = _send(merchant, home, 100);
        forged.sequence = p.sequence;
        forged.local = relayer;
        _ackSkipped(forged, false, 0, ICrosspointGateway.SkipReason.WrongPacket);
        P memory never = p;
        never.sequence = 9;
        _ackSkipped(never, false, 0, ICrosspointGateway.SkipReason.WrongPacket);
        assertEq(_supply(home).locked, 800, "locked");
    }

    function test_refunds_flow_while_paused() public {
        P memory p = _send(merchant, home, 700);
        P memory q = _send(merchant, home, 200);
        registry.pause(CLIENT);
        _ack(p, false, 0);
        chain.endBlock(3700);
        vm.warp(block.timestamp + 3700);
        _timeout(q);
        assertEq(token.balanceOf(merchant), 1000, "merchant");
    }

    function test_a_refund_to_a_suspended_member_is_credited_and_frozen() public {
        P memory p = _send(merchant, home, 700);
        address[] memory who = new address[](1);
        who[0] = merchant;
        registry.setStanding(who, ICrosspointRegistry.Standing.Suspended);
        _ack(p, false, 0);
        assertEq(token.balanceOf(merchant), 300, "merchant");
        assertEq(gateway.owed(address(token), merchant), 700, "owed");
        assertEq(_supply(home).owed, 700, "owed in the books");
        vm.expectRevert(abi.encodeWithSelector(ICrosspointGateway.MayNotTransact.selector, merchant));
        gateway.withdraw(address(token), merchant);
        registry.setStanding(who, ICrosspointRegistry.Standing.Member);
        gateway.withdraw(address(token), merchant);
        assertEq(token.balanceOf(merchant), 1000, "merchant");
        vm.expectRevert(ICrosspointGateway.NothingOwed.selector);
        gateway.withdraw(address(token), merchant);
    }

    function test_vouchers_owed_count_against_the_cap_and_are_minted_on_withdrawal() public {
        P memory all = _incoming(910_000_000);
        _deliver(all);
        _claim(all, PREIMAGE);
        P memory p = _send(merchant, VOUCHER, 700);
        address[] memory who = new address[](1);
        who[0] = merchant;
        registry.setStanding(who, ICrosspointRegistry.Standing.Suspended);
        _ack(p, false, 0);
        assertEq(gateway.owed(address(voucher), merchant), 700, "owed");
        P memory more = _incoming(1);
        more.local = relayer;
        vm.recordLogs();
        _deliver(more);
        assertSkipped(ICrosspointGateway.SkipReason.CapExceeded);
        registry.setStanding(who, ICrosspointRegistry.Standing.None);
        gateway.withdraw(address(voucher), merchant);
        assertEq(voucher.balanceOf(merchant), 910_000_000, "merchant");
    }

    function test_one_bad_ack_never_fails_its_batch() public {
        P[] memory packets = new P[](3);
        packets[0] = _send(merchant, home, 100, bytes32("a"));
        packets[1] = _send(merchant, home, 200, bytes32("b"));
        packets[2] = _send(merchant, home, 300, bytes32("c"));
        bytes[] memory items = new bytes[](3);
        uint64[] memory sequences = new uint64[](3);
        for (uint256 i = 0; i < 3; ++i) {
            sequences[i] = packets[i].sequence;
        }
        chain.push("acked", 3, 1, _successAck("a"));
        chain.push("acked", 3, 2, _successAck("not b"));
        chain.push("acked", 3, 3, _errorAck());
        items[0] = abi.encodePacked(uint8(1), bytes32("a"), _record(packets[0]));
        items[1] = abi.encodePacked(uint8(1), bytes32("not b"), _record(packets[1]));
        items[2] = abi.encodePacked(uint8(0), _record(packets[2]));
        chain.endBlock(1);
        bytes memory state = chain.update();
        bytes memory outbox = chain.outbox("acked", sequences);
        vm.recordLogs();
        gateway.ack(CLIENT, state, outbox, _batch(home, items));
        assertSkipped(ICrosspointGateway.SkipReason.WrongPreimage);
        assertEq(_supply(home).vault, 100, "vault");
        assertEq(_supply(home).locked, 200, "locked");
        assertEq(token.balanceOf(merchant), 700, "merchant");
    }

    function test_misbehaviour_inline_freezes_and_leaves_the_locks() public {
        P memory p = _send(merchant, home, 700);
        chain.endBlock(p.timeout - chain.time());
        vm.warp(p.timeout);
        lightClient.update(CLIENT, chain.update());
        vm.recordLogs();
        gateway.timeout(CLIENT, chain.signed(2, chain.time(), keccak256("other"), 3), _timeoutBatch(p));
        assertSkipped(ICrosspointGateway.SkipReason.ClientFrozen);
        assertTrue(lightClient.status(CLIENT).frozen, "frozen");
        assertEq(_supply(home).locked, 700, "locked");
    }
}
