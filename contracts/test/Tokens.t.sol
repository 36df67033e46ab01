// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICrosspointGateway} from "../src/interfaces/ICrosspointGateway.sol";
import {Text} from "../src/libraries/Text.sol";
import {GatewayTest} from "./utils/GatewayTest.sol";
import {SilentToken} from "./utils/Tokens.sol";

/// @dev ERC-20s that misbehave: no transition depends on a payout.
contract TokensTest is GatewayTest {
    function setUp() public override {
        super.setUp();
        token.mint(merchant, 1000);
        vm.prank(merchant);
        token.approve(address(gateway), 1000);
    }

    /// @dev 700 in the vault and a return of 300 held for the merchant.
    function _held() private returns (P memory back) {
        P memory out = _send(merchant, home, 700, bytes32("out"));
        _ack(out, true, bytes32("out"));
        back = _incoming(300);
        back.denom = homeReturned;
        _deliver(back);
    }

    function test_a_token_that_takes_a_fee_is_refused_at_lock() public {
        token.setFee(true);
        (ICrosspointGateway.Lock memory lock,) = _lock(merchant, home, 100, _hashlock("h"));
        vm.prank(merchant);
        vm.expectRevert(abi.encodeWithSelector(ICrosspointGateway.TransferNotExact.selector, 99));
        gateway.send(lock);
    }

    function test_a_token_that_returns_false_is_refused_at_lock() public {
        token.setReturnsFalse(true);
        (ICrosspointGateway.Lock memory lock,) = _lock(merchant, home, 100, _hashlock("h"));
        vm.prank(merchant);
        vm.expectRevert();
        gateway.send(lock);
    }

    function test_a_claim_whose_payout_fails_is_owed_and_withdrawn_later() public {
        P memory back = _held();
        token.setReturnsFalse(true);
        _claim(back, PREIMAGE);
        assertEq(_stored(3, back.sequence), _successAck(PREIMAGE), "the claim stands");
        assertEq(gateway.owed(address(token), merchant), 300, "owed");
        assertEq(_supply(home).held, 0, "held");
        vm.expectRevert(ICrosspointGateway.PayoutFailed.selector);
        gateway.withdraw(address(token), merchant);
        token.setReturnsFalse(false);
        vm.prank(relayer);
        gateway.withdraw(address(token), merchant);
        assertEq(token.balanceOf(merchant), 600, "merchant");
        assertEq(gateway.owedTotal(address(token)), 0, "owed");
    }

    function test_a_refund_to_a_blacklisted_sender_is_owed() public {
        P memory p = _send(merchant, home, 700);
        token.setBlacklisted(merchant, true);
        _ack(p, false, 0);
        assertEq(_stored(1, 1), bytes32(0), "the lock has ended");
        assertEq(gateway.owed(address(token), merchant), 700, "owed");
        token.setBlacklisted(merchant, false);
        gateway.withdraw(address(token), merchant);
        assertEq(token.balanceOf(merchant), 1000, "merchant");
    }

    function test_a_timeout_to_a_blacklisted_sender_is_owed() public {
        P memory p = _send(merchant, home, 700);
        token.setBlacklisted(merchant, true);
        chain.endBlock(3700);
        vm.warp(block.timestamp + 3700);
        _timeout(p);
        assertEq(gateway.owed(address(token), merchant), 700, "owed");
    }

    function test_one_failing_payout_leaves_the_others_of_its_batch() public {
        P memory a = _held();
        P memory b = _incoming(200);
        b.denom = homeReturned;
        b.local = relayer;
        _deliver(b);
        token.setBlacklisted(merchant, true);
        P[] memory both = new P[](2);
        (both[0], both[1]) = (a, b);
        gateway.claim(CLIENT, _claimBatch(both, PREIMAGE));
        assertEq(token.balanceOf(relayer), 200, "relayer");
        assertEq(gateway.owed(address(token), merchant), 300, "owed");
    }

    function test_a_token_that_returns_nothing_is_paid_out() public {
        SilentToken silent = SilentToken(vm.deployCode("Tokens.sol:SilentToken"));
        registry.listToken(CLIENT, address(silent), _noLimits());
        string memory denom = Text.hexAddress(address(silent));
        silent.mint(merchant, 1000);
        vm.prank(merchant);
        silent.approve(address(gateway), 1000);
        P memory p = _send(merchant, denom, 700);
        _ack(p, false, 0);
        assertEq(silent.balanceOf(merchant), 1000, "merchant");
        assertEq(gateway.owedTotal(address(silent)), 0, "owed");
        assertEq(bytes(_supply(denom).symbol).length, 0, "no symbol");
    }

    function test_a_token_that_calls_back_finds_every_entry_point_closed() public {
        P memory a = _held();
        P memory b = _incoming(200);
        b.denom = homeReturned;
        _deliver(b);
        (ICrosspointGateway.Lock memory lock,) = _lock(address(token), home, 1, _hashlock("h"));
        bytes[] memory calls = new bytes[](7);
        calls[0] = abi.encodeCall(gateway.claim, (CLIENT, _claimBatch(_list(b), PREIMAGE)));
        calls[1] = abi.encodeCall(gateway.void, (CLIENT, hex"000000"));
        calls[2] = abi.encodeCall(gateway.recv, (CLIENT, "", "", hex"000000"));
        calls[3] = abi.encodeCall(gateway.ack, (CLIENT, "", "", hex"000000"));
        calls[4] = abi.encodeCall(gateway.timeout, (CLIENT, "", hex"000000"));
        calls[5] = abi.encodeCall(gateway.send, (lock));
        calls[6] = abi.encodeCall(gateway.withdraw, (address(token), merchant));
        bytes4 reentered = bytes4(keccak256("ReentrancyGuardReentrantCall()"));
        for (uint256 i = 0; i < calls.length; ++i) {
            token.setCall(address(gateway), calls[i]);
            P memory p = i == 0 ? a : _incoming(1);
            if (i > 0) {
                p.denom = homeReturned;
                _deliver(p);
            }
            _claim(p, PREIMAGE);
            assertTrue(!token.lastCallSucceeded(), string.concat("call ", vm.toString(i)));
            assertEq(bytes32(token.lastError()), bytes32(reentered), string.concat("error ", vm.toString(i)));
        }
        assertEq(_stored(3, b.sequence), bytes32(0), "b is still open");
    }
}
