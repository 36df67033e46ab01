// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {PointsVoucher} from "../src/PointsVoucher.sol";
import {ICheckpointClient} from "../src/interfaces/ICheckpointClient.sol";
import {ICrosspointGateway} from "../src/interfaces/ICrosspointGateway.sol";
import {ICrosspointRegistry} from "../src/interfaces/ICrosspointRegistry.sol";
import {ILockIntents} from "../src/interfaces/ILockIntents.sol";
import {GatewayTest} from "./utils/GatewayTest.sol";

/// @dev Which locks are taken, from whom.
contract SendingTest is GatewayTest {
    uint256 private constant KEY = 0xa11ce;
    address private alice;

    function setUp() public override {
        super.setUp();
        alice = vm.addr(KEY);
        P memory p = _incoming(1000);
        p.local = alice;
        _deliver(p);
        _claim(p, PREIMAGE);
        token.mint(alice, 1000);
        vm.prank(alice);
        token.approve(address(gateway), 1000);
    }

    function _good() private view returns (ICrosspointGateway.Lock memory lock) {
        (lock,) = _lock(alice, VOUCHER, 100, _hashlock("h"));
    }

    function _sendReverts(ICrosspointGateway.Lock memory lock, bytes memory expected) private {
        vm.prank(alice);
        vm.expectRevert(expected);
        gateway.send(lock);
    }

    function test_nothing_is_locked_towards_a_frozen_or_expired_client() public {
        ICrosspointGateway.Lock memory lock = _good();
        uint256 snapshot = vm.snapshotState();
        lightClient.update(CLIENT, chain.signed(chain.height(), chain.time(), keccak256("other"), 3));
        assertTrue(lightClient.status(CLIENT).frozen, "frozen");
        _sendReverts(lock, abi.encodeWithSelector(ICheckpointClient.ClientFrozen.selector, CLIENT));
        chain.endBlock(1);
        registry.reanchor(CLIENT, chain.header());
        vm.prank(alice);
        gateway.send(lock);

        vm.revertToState(snapshot);
        vm.warp(lightClient.status(CLIENT).time + TRUSTING - 1);
        lock = _good();
        vm.prank(alice);
        gateway.send(lock);
        vm.warp(block.timestamp + 1);
        lock = _good();
        lock.hashlock = _hashlock("i");
        _sendReverts(lock, abi.encodeWithSelector(ICheckpointClient.ClientExpired.selector, CLIENT));
    }

    function test_what_the_books_cannot_hold_is_not_locked() public {
        // out and backing share the second slot of the lane in the third mapping.
        bytes32 lane = keccak256(abi.encodePacked(CLIENT, keccak256(bytes(home))));
        uint256 slot = uint256(keccak256(abi.encode(lane, uint256(2)))) + 1;
        uint256 flags = uint256(vm.load(address(gateway), bytes32(slot))) >> 240 << 240;
        uint256 out = type(uint120).max - 150;
        vm.store(address(gateway), bytes32(slot), bytes32(flags | uint256(60) << 120 | out));
        assertEq(_supply(home).locked, out, "locked");
        assertEq(_supply(home).vault, 60, "vault");
        (ICrosspointGateway.Lock memory lock,) = _lock(alice, home, 91, _hashlock("h"));
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.LimitExceeded.selector, 4));
        lock.amount = 90;
        vm.prank(alice);
        gateway.send(lock);
    }

    function test_a_send_emits_all_that_the_packet_is_rebuilt_from() public {
        ICrosspointGateway.Lock memory lock = _good();
        vm.roll(77);
        vm.recordLogs();
        vm.prank(alice);
        gateway.send(lock);
        (, bytes memory data) = _dataOf(ICrosspointGateway.Sent.selector);
        (uint64 previous, string memory denom, bytes memory record) = abi.decode(data, (uint64, string, bytes));
        assertEq(previous, 0, "previous block");
        assertEq(bytes(denom), bytes(VOUCHER), "denom");
        P memory p = P(1, lock.timeout, lock.claimDeadline, 100, alice, lock.hashlock, VOUCHER, MALL, "", "thanks");
        assertEq(record, _record(p), "record");
        assertEq(_stored(1, 1), _commitment(p, false), "commitment");
        vm.roll(99);
        lock.hashlock = _hashlock("i");
        vm.recordLogs();
        vm.prank(alice);
        gateway.send(lock);
        (, data) = _dataOf(ICrosspointGateway.Sent.selector);
        (previous,,) = abi.decode(data, (uint64, string, bytes));
        assertEq(previous, 77, "previous block");
        assertEq(registry.clientInfo(CLIENT).lastSendBlock, 99, "last block");
        assertEq(registry.clientInfo(CLIENT).nextSequence, 3, "next sequence");
    }

    function test_windows_are_checked_at_lock() public {
        ICrosspointGateway.Lock memory lock = _good();
        lock.timeout = uint64(block.timestamp);
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.WindowViolated.selector, 1));
        lock.timeout = uint64(block.timestamp) + MAX_TIMEOUT + 1;
        lock.claimDeadline = lock.timeout + MIN_HOLD;
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.WindowViolated.selector, 2));
        lock.timeout -= 1;
        lock.claimDeadline = lock.timeout + MIN_HOLD - 1;
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.WindowViolated.selector, 3));
        lock.claimDeadline = uint64(block.timestamp) + TRUSTING / 3 + 1;
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.WindowViolated.selector, 4));
        lock.timeout = type(uint64).max;
        lock.claimDeadline = type(uint64).max;
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.WindowViolated.selector, 2));
        lock = _good();
        lock.claimDeadline = lock.timeout + MIN_HOLD;
        vm.prank(alice);
        gateway.send(lock);
    }

    function test_a_hashlock_is_used_once_per_sender() public {
        ICrosspointGateway.Lock memory lock = _good();
        vm.prank(alice);
        gateway.send(lock);
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.HashlockUsed.selector, lock.hashlock));
        assertTrue(gateway.hashlockUsed(alice, lock.hashlock), "used");
        // Nobody can use up another's.
        assertTrue(!gateway.hashlockUsed(merchant, lock.hashlock), "not used by the merchant");
    }

    function test_bad_fields_are_refused() public {
        ICrosspointGateway.Lock memory lock = _good();
        lock.amount = 0;
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.InvalidLock.selector, "amount"));
        lock = _good();
        lock.receiver = "";
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.InvalidLock.selector, "receiver"));
        lock.receiver = string(new bytes(129));
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.InvalidLock.selector, "receiver"));
        lock.receiver = string(hex"c3a9");
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.InvalidLock.selector, "receiver"));
        lock = _good();
        lock.memo = "line\nfeed";
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.InvalidLock.selector, "memo"));
        lock = _good();
        lock.terms = hex"01";
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.InvalidLock.selector, "terms"));
        lock = _good();
        lock.client = "checkpoint-9";
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.UnknownClient.selector, lock.client));
        lock = _good();
        lock.denom = "sfs";
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.UnknownDenom.selector, CLIENT, "sfs"));
    }

    function test_limits_hold_and_refunds_give_the_days_budget_back() public {
        registry.setLimits(CLIENT, home, ICrosspointRegistry.Limits(10, 300, 500, 450));
        ICrosspointGateway.Lock memory lock;
        (lock,) = _lock(alice, home, 9, _hashlock("1"));
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.LimitExceeded.selector, 1));
        lock.amount = 301;
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.LimitExceeded.selector, 2));
        P memory p = _send(alice, home, 300);
        lock.amount = 201;
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.LimitExceeded.selector, 3));
        lock.amount = 151;
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.LimitExceeded.selector, 4));
        _ack(p, false, 0);
        _send(alice, home, 300);
        _send(alice, home, 150);
        // Another day, another budget; what is in flight stays so.
        vm.warp(block.timestamp + 1 days);
        lock.timeout += 1 days;
        lock.claimDeadline += 1 days;
        lock.amount = 10;
        _sendReverts(lock, abi.encodeWithSelector(ICrosspointGateway.LimitExceeded.selector, 4));
    }

    function test_pause_blocks_locks() public {
        registry.pause(CLIENT);
        _sendReverts(_good(), abi.encodeWithSelector(ICrosspointGateway.Paused.selector, CLIENT));
    }

    function test_suspended_members_do_not_lock() public {
        address[] memory who = new address[](1);
        who[0] = alice;
        registry.setStanding(who, ICrosspointRegistry.Standing.Suspended);
        _sendReverts(_good(), abi.encodeWithSelector(ICrosspointGateway.MayNotTransact.selector, alice));
    }

    function test_nobody_sends_for_another() public {
        ICrosspointGateway.Lock memory lock = _good();
        vm.expectRevert(ICrosspointGateway.Unauthorized.selector);
        gateway.sendFrom(alice, lock);
        // The sender of the transaction pays, and has nothing.
        vm.prank(relayer);
        vm.expectRevert();
        gateway.send(lock);
    }

    // ---- intents ----

    function _sign(ICrosspointGateway.Lock memory lock, ILockIntents.Intent memory intent)
        private
        view
        returns (bytes memory)
    {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "LockIntent(address payer,bytes32 client,string denom,uint96 amount,string receiver,bytes32 hashlock,uint64 timeout,uint64 claimDeadline,bytes terms,string memo,uint256 nonce,uint256 deadline)"
                ),
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
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(KEY, keccak256(abi.encodePacked(hex"1901", intents.domainSeparator(), structHash)));
        return abi.encodePacked(r, s, v);
    }

    function test_anyone_submits_what_the_payer_signed_once() public {
        ICrosspointGateway.Lock memory lock = _good();
        ILockIntents.Intent memory intent = ILockIntents.Intent(alice, 0, block.timestamp);
        bytes memory signature = _sign(lock, intent);
        ILockIntents.Permit memory none;
        vm.prank(relayer);
        assertEq(intents.sendSigned(lock, intent, signature, none), 1, "sequence");
        assertEq(voucher.balanceOf(alice), 900, "alice");
        vm.expectRevert(abi.encodeWithSelector(ILockIntents.WrongNonce.selector, 1));
        intents.sendSigned(lock, intent, signature, none);
    }

    function test_every_field_of_an_intent_is_signed() public {
        ICrosspointGateway.Lock memory lock = _good();
        ILockIntents.Intent memory intent = ILockIntents.Intent(alice, 0, block.timestamp);
        bytes memory signature = _sign(lock, intent);
        for (uint256 i = 0; i < 10; ++i) {
            ICrosspointGateway.Lock memory changed = _good();
            ILockIntents.Intent memory changedIntent = ILockIntents.Intent(alice, 0, block.timestamp);
            if (i == 0) changed.amount += 1;
            if (i == 1) changed.receiver = "point1other";
            if (i == 2) changed.hashlock = _hashlock("other");
            if (i == 3) changed.timeout += 1;
            if (i == 4) changed.claimDeadline += 1;
            if (i == 5) changed.memo = "other";
            if (i == 6) changed.denom = home;
            if (i == 7) changedIntent.deadline += 1;
            if (i == 8) changedIntent.payer = merchant;
            if (i == 9) changed.client = "checkpoint-1";
            ILockIntents.Permit memory none;
            (bool ok,) =
                address(intents).call(abi.encodeCall(intents.sendSigned, (changed, changedIntent, signature, none)));
            assertTrue(!ok, string.concat("field ", vm.toString(i)));
        }
    }

    function test_an_intent_ends_with_its_deadline() public {
        ICrosspointGateway.Lock memory lock = _good();
        ILockIntents.Intent memory intent = ILockIntents.Intent(alice, 0, block.timestamp - 1);
        bytes memory signature = _sign(lock, intent);
        ILockIntents.Permit memory none;
        vm.expectRevert(abi.encodeWithSelector(ILockIntents.IntentExpired.selector, block.timestamp - 1));
        intents.sendSigned(lock, intent, signature, none);
    }

    function test_a_failing_permit_is_ignored_if_the_allowance_is_there() public {
        (ICrosspointGateway.Lock memory lock,) = _lock(alice, home, 100, _hashlock("h"));
        ILockIntents.Permit memory bad = ILockIntents.Permit(block.timestamp, 27, bytes32("r"), bytes32("s"));
        vm.prank(alice);
        intents.sendWithPermit(lock, bad);
        assertEq(_supply(home).locked, 100, "locked");
    }

    // ---- vouchers ----

    function test_a_voucher_permit_approves_once() public {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                alice,
                merchant,
                uint256(50),
                uint256(0),
                block.timestamp
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(KEY, keccak256(abi.encodePacked(hex"1901", voucher.DOMAIN_SEPARATOR(), structHash)));
        voucher.permit(alice, merchant, 50, block.timestamp, v, r, s);
        assertEq(voucher.allowance(alice, merchant), 50, "allowance");
        vm.expectRevert();
        voucher.permit(alice, merchant, 50, block.timestamp, v, r, s);
        vm.warp(block.timestamp + 1);
        vm.expectRevert(abi.encodeWithSelector(PointsVoucher.PermitExpired.selector, block.timestamp - 1));
        voucher.permit(alice, merchant, 50, block.timestamp - 1, v, r, s);
    }

    function test_only_the_gateway_mints_and_burns() public {
        vm.expectRevert(PointsVoucher.OnlyGateway.selector);
        voucher.mint(alice, 1);
        vm.expectRevert(PointsVoucher.OnlyGateway.selector);
        voucher.burn(alice, 1);
        assertEq(voucher.decimals(), 2, "decimals");
    }
}
