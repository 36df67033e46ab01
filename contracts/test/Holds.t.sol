// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICrosspointGateway} from "../src/interfaces/ICrosspointGateway.sol";
import {ICrosspointRegistry} from "../src/interfaces/ICrosspointRegistry.sol";
import {Batches} from "../src/libraries/Records.sol";
import {GatewayTest} from "./utils/GatewayTest.sol";

/// @dev How holds end.
contract HoldsTest is GatewayTest {
    function _claimSkipped(P memory p, bytes32 preimage, ICrosspointGateway.SkipReason reason) private {
        uint256 held = _supply(VOUCHER).held;
        vm.recordLogs();
        _claim(p, preimage);
        assertSkipped(reason);
        assertEq(_supply(VOUCHER).held, held, "held");
    }

    function _voidSkipped(P memory p, ICrosspointGateway.SkipReason reason) private {
        vm.recordLogs();
        _void(p);
        assertSkipped(reason);
    }

    function test_claim_iff_now_is_before_the_deadline() public {
        P memory p = _incoming(5);
        P memory q = _incoming(6);
        _deliver(p);
        _deliver(q);
        vm.warp(p.claimDeadline - 1);
        _voidSkipped(p, ICrosspointGateway.SkipReason.DeadlineNotReached);
        _claim(p, PREIMAGE);
        assertEq(voucher.balanceOf(merchant), 5, "merchant");
        vm.warp(q.claimDeadline);
        _claimSkipped(q, PREIMAGE, ICrosspointGateway.SkipReason.DeadlinePassed);
        _void(q);
        assertEq(_stored(3, q.sequence), _errorAck(), "ack");
    }

    function test_a_hold_ends_exactly_once() public {
        P memory p = _incoming(5);
        _deliver(p);
        _claim(p, PREIMAGE);
        _claimSkipped(p, PREIMAGE, ICrosspointGateway.SkipReason.Duplicate);
        vm.warp(p.claimDeadline);
        _voidSkipped(p, ICrosspointGateway.SkipReason.Duplicate);
        assertEq(_stored(3, 1), _successAck(PREIMAGE), "ack");
        assertEq(voucher.totalSupply(), 5, "supply");

        P memory q = _incoming(6);
        _deliver(q);
        vm.warp(q.claimDeadline);
        _void(q);
        _voidSkipped(q, ICrosspointGateway.SkipReason.Duplicate);
        vm.warp(q.claimDeadline - 1);
        _claimSkipped(q, PREIMAGE, ICrosspointGateway.SkipReason.Duplicate);
    }

    function test_twice_in_one_batch_pays_once() public {
        P memory p = _incoming(5);
        _deliver(p);
        P[] memory twice = new P[](2);
        (twice[0], twice[1]) = (p, p);
        vm.recordLogs();
        gateway.claim(CLIENT, _claimBatch(twice, PREIMAGE));
        assertSkipped(ICrosspointGateway.SkipReason.Duplicate);
        assertEq(voucher.balanceOf(merchant), 5, "merchant");
    }

    function test_a_wrong_preimage_pays_nobody() public {
        P memory p = _incoming(5);
        _deliver(p);
        _claimSkipped(p, bytes32("wrong"), ICrosspointGateway.SkipReason.WrongPreimage);
        _claimSkipped(p, p.hashlock, ICrosspointGateway.SkipReason.WrongPreimage);
    }

    function test_a_preimage_is_exactly_32_bytes() public {
        P memory p = _incoming(5);
        _deliver(p);
        bytes[] memory items = new bytes[](1);
        items[0] = bytes.concat(bytes31(PREIMAGE), _record(p));
        bytes memory short = _batch("sfs", items);
        items[0] = bytes.concat(PREIMAGE, hex"00", _record(p));
        bytes memory long = _batch("sfs", items);
        (bool ok,) = address(gateway).call(abi.encodeCall(gateway.claim, (CLIENT, short)));
        assertTrue(!ok || _supply(VOUCHER).held == 5, "31 bytes");
        (ok,) = address(gateway).call(abi.encodeCall(gateway.claim, (CLIENT, long)));
        assertTrue(!ok || _supply(VOUCHER).held == 5, "33 bytes");
        assertEq(_supply(VOUCHER).held, 5, "held");
    }

    function test_only_the_packet_received_can_be_claimed() public {
        P memory p = _incoming(5);
        P memory unknown = _incoming(5);
        _deliver(p);
        _claimSkipped(unknown, PREIMAGE, ICrosspointGateway.SkipReason.WrongPacket);
        p.local = relayer;
        _claimSkipped(p, PREIMAGE, ICrosspointGateway.SkipReason.WrongPacket);
        p.local = merchant;
        p.amount = 6;
        _claimSkipped(p, PREIMAGE, ICrosspointGateway.SkipReason.WrongPacket);
        p.amount = 5;
        p.claimDeadline -= 3600;
        vm.warp(p.claimDeadline);
        _voidSkipped(p, ICrosspointGateway.SkipReason.WrongPacket);
    }

    function test_anyone_may_claim_and_the_receiver_is_paid() public {
        P memory p = _incoming(5);
        _deliver(p);
        vm.prank(address(0xbad));
        gateway.claim(CLIENT, _claimBatch(_list(p), PREIMAGE));
        assertEq(voucher.balanceOf(merchant), 5, "merchant");
        assertEq(voucher.balanceOf(address(0xbad)), 0, "submitter");
    }

    function test_claim_and_void_work_while_paused() public {
        P memory p = _incoming(5);
        P memory q = _incoming(6);
        _deliver(p);
        _deliver(q);
        registry.pause(CLIENT);
        _claim(p, PREIMAGE);
        vm.warp(q.claimDeadline);
        _void(q);
        assertEq(_supply(VOUCHER).held, 0, "held");
    }

    function test_claims_to_suspended_members_fail_and_the_hold_voids() public {
        P memory p = _incoming(5);
        _deliver(p);
        address[] memory who = new address[](1);
        who[0] = merchant;
        registry.setStanding(who, ICrosspointRegistry.Standing.Suspended);
        _claimSkipped(p, PREIMAGE, ICrosspointGateway.SkipReason.Suspended);
        vm.warp(p.claimDeadline);
        _void(p);
        assertEq(_stored(3, 1), _errorAck(), "ack");
    }

    function test_one_bad_claim_never_fails_its_batch() public {
        P[] memory packets = new P[](3);
        for (uint256 i = 0; i < 3; ++i) {
            packets[i] = _incoming(uint96(10 + i));
        }
        packets[1].hashlock = _hashlock("another");
        _sendFromNative(packets);
        _recv(packets);
        vm.recordLogs();
        gateway.claim(CLIENT, _claimBatch(packets, PREIMAGE));
        assertSkipped(ICrosspointGateway.SkipReason.WrongPreimage);
        assertEq(voucher.balanceOf(merchant), 22, "merchant");
        assertEq(_supply(VOUCHER).held, 11, "held");
    }

    function test_low_gas_skips_claims_and_never_owes() public {
        P[] memory packets = new P[](5);
        for (uint256 i = 0; i < 5; ++i) {
            packets[i] = _incoming(5);
        }
        _sendFromNative(packets);
        _recv(packets);
        bytes memory batch = _claimBatch(packets, PREIMAGE);
        uint256 some = 0;
        for (uint256 gas_ = 60_000; gas_ < 1_200_000; gas_ += 30_000) {
            (bool ok,) = address(gateway).call{gas: gas_}(abi.encodeCall(gateway.claim, (CLIENT, batch)));
            uint256 paid = voucher.balanceOf(merchant);
            if (ok && paid > 0 && paid < 25) ++some;
            assertEq(gateway.owedTotal(address(voucher)), 0, "owed");
            assertEq(paid + _supply(VOUCHER).held, 25, "paid and held");
        }
        assertTrue(some > 0, "at some gas only a part was paid");
        assertEq(voucher.balanceOf(merchant), 25, "merchant");
    }

    function test_records_out_of_bounds_revert() public {
        P memory p = _incoming(5);
        bytes[] memory items = new bytes[](1);
        items[0] = bytes.concat(PREIMAGE, _record(p, 1));
        bytes memory batch = _batch("sfs", items);
        vm.expectRevert(Batches.BatchMalformed.selector);
        gateway.claim(CLIENT, batch);
        p.memo = string(new bytes(513));
        batch = _claimBatch(_list(p), PREIMAGE);
        vm.expectRevert(Batches.BatchMalformed.selector);
        gateway.claim(CLIENT, batch);
        p.memo = "";
        p.remote = string(new bytes(129));
        batch = _claimBatch(_list(p), PREIMAGE);
        vm.expectRevert(Batches.BatchMalformed.selector);
        gateway.claim(CLIENT, batch);
    }
}
