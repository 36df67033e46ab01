// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICrosspointGateway} from "../src/interfaces/ICrosspointGateway.sol";
import {ICrosspointRegistry} from "../src/interfaces/ICrosspointRegistry.sol";
import {GatewayTest} from "./utils/GatewayTest.sol";

/// @dev The main paths, whole.
contract JourneyTest is GatewayTest {
    function test_points_cross_and_are_claimed() public {
        P memory p = _incoming(1250);
        _deliver(p);
        assertEq(_stored(2, 1), _commitment(p, true), "receipt");
        assertEq(_stored(3, 1), bytes32(0), "no ack while the hold is open");
        assertEq(_supply(VOUCHER).held, 1250, "held");
        assertEq(voucher.totalSupply(), 0, "nothing minted before the claim");

        _claim(p, PREIMAGE);
        assertEq(voucher.balanceOf(merchant), 1250, "merchant");
        assertEq(_stored(3, 1), _successAck(PREIMAGE), "ack");
        assertEq(_supply(VOUCHER).held, 0, "held");
        assertEq(_supply(VOUCHER).circulating, 1250, "circulating");
    }

    function test_a_hold_is_voided_after_its_deadline() public {
        P memory p = _incoming(1250);
        _deliver(p);
        vm.warp(p.claimDeadline);
        _void(p);
        assertEq(_stored(3, 1), _errorAck(), "ack");
        assertEq(_supply(VOUCHER).held, 0, "held");
        assertEq(voucher.totalSupply(), 0, "supply");
    }

    function test_vouchers_return_home_and_are_burned() public {
        P memory p = _incoming(1250);
        _deliver(p);
        _claim(p, PREIMAGE);
        P memory back = _send(merchant, VOUCHER, 400, bytes32("back"));
        assertEq(_stored(1, 1), _commitment(back, false), "commitment");
        assertEq(voucher.balanceOf(merchant), 850, "merchant");
        assertEq(_supply(VOUCHER).returning, 400, "returning");

        _ack(back, true, bytes32("back"));
        assertEq(_stored(1, 1), bytes32(0), "commitment is gone");
        assertEq(_supply(VOUCHER).returning, 0, "returning");
        assertEq(voucher.totalSupply(), 850, "supply");
    }

    function test_a_refused_return_is_refunded() public {
        P memory p = _incoming(1250);
        _deliver(p);
        _claim(p, PREIMAGE);
        P memory back = _send(merchant, VOUCHER, 400);
        _ack(back, false, 0);
        assertEq(voucher.balanceOf(merchant), 1250, "merchant");
        assertEq(_supply(VOUCHER).returning, 0, "returning");
    }

    function test_home_points_cross_settle_and_return() public {
        token.mint(merchant, 1000);
        vm.prank(merchant);
        token.approve(address(gateway), 1000);
        P memory p = _send(merchant, home, 700, bytes32("out"));
        assertEq(_supply(home).locked, 700, "locked");
        _ack(p, true, bytes32("out"));
        assertEq(_supply(home).locked, 0, "locked");
        assertEq(_supply(home).vault, 700, "vault");

        P memory back = _incoming(300);
        back.denom = homeReturned;
        _deliver(back);
        assertEq(_supply(home).vault, 400, "vault");
        assertEq(_supply(home).held, 300, "held");
        _claim(back, PREIMAGE);
        assertEq(token.balanceOf(merchant), 600, "merchant");
        assertEq(_supply(home).held, 0, "held");
        assertEq(token.balanceOf(address(gateway)), 400, "escrow");
    }

    function test_a_packet_never_received_times_out() public {
        token.mint(merchant, 1000);
        vm.prank(merchant);
        token.approve(address(gateway), 1000);
        P memory p = _send(merchant, home, 700);
        chain.endBlock(3700);
        vm.warp(block.timestamp + 3700);
        _timeout(p);
        assertEq(token.balanceOf(merchant), 1000, "merchant");
        assertEq(_supply(home).locked, 0, "locked");
        assertEq(_stored(1, 1), bytes32(0), "commitment is gone");
    }

    function test_a_batch_over_several_blocks_needs_one_proof() public {
        P[] memory all = new P[](7);
        for (uint256 i = 0; i < 7; ++i) {
            all[i] = _incoming(uint96(10 + i));
            chain.push("sent", 1, all[i].sequence, _commitment(all[i], true));
            if (i == 1 || i == 2) chain.endBlock(1);
        }
        chain.endBlock(1);
        // Of blocks (1 2) (3) (4 5 6 7): items 2, 4 and 7.
        P[] memory some = new P[](3);
        (some[0], some[1], some[2]) = (all[1], all[3], all[6]);
        _recv(some);
        assertEq(_supply(VOUCHER).held, 11 + 13 + 16, "held");
        assertEq(_stored(2, 1), bytes32(0), "packet 1 was not in the batch");
        assertEq(_stored(2, 4), _commitment(all[3], true), "receipt 4");
    }

    function test_a_state_that_is_stored_serves_again() public {
        P memory p = _incoming(5);
        P memory q = _incoming(6);
        P[] memory both = new P[](2);
        (both[0], both[1]) = (p, q);
        _sendFromNative(both);
        _recv(_list(p));
        (, bytes memory outbox, bytes memory batch) = _recvArgs(_list(q));
        gateway.recv(CLIENT, bytes.concat(hex"00", chain.header()), outbox, batch);
        assertEq(_supply(VOUCHER).held, 11, "held");
    }
}
