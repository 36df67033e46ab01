// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICheckpointClient} from "../src/interfaces/ICheckpointClient.sol";
import {ICrosspointGateway} from "../src/interfaces/ICrosspointGateway.sol";
import {ILightClient} from "../src/interfaces/ILightClient.sol";
import {Checkpoints} from "../src/libraries/Checkpoints.sol";
import {GatewayTest} from "./utils/GatewayTest.sol";

/// @dev The checkpoint client: which statements it believes, and which evidence freezes it.
contract ClientTest is GatewayTest {
    function _status() private view returns (ILightClient.Status memory) {
        return lightClient.status(CLIENT);
    }

    function test_more_than_two_thirds_advance_the_client() public {
        chain.endBlock(1);
        lightClient.update(CLIENT, chain.update(3));
        assertEq(_status().height, 2, "height");
        assertEq(_status().time, chain.time(), "time");
        bytes32 set = keccak256(chain.setOf(chain.allKeys()));
        bytes32 digest = chain.digestOf(2, chain.time(), chain.appHash(), set, set);
        assertTrue(lightClient.isTrusted(CLIENT, 2, digest), "trusted");
        assertTrue(!lightClient.isTrusted(CLIENT, 2, keccak256("another")), "another digest");
        assertTrue(!lightClient.isTrusted(CLIENT, 3, digest), "another height");
        assertTrue(!lightClient.isTrusted(CLIENT, 3, 0), "nothing");
    }

    function test_exactly_two_thirds_are_too_few() public {
        _deploy(3);
        chain.endBlock(1);
        bytes memory two = chain.update(2);
        vm.expectRevert(abi.encodeWithSelector(Checkpoints.QuorumNotReached.selector, 200, 300));
        lightClient.update(CLIENT, two);
        lightClient.update(CLIENT, chain.update(3));
    }

    function test_a_hundred_validators() public {
        _deploy(100);
        chain.endBlock(1);
        bytes memory few = chain.update(66);
        vm.expectRevert(abi.encodeWithSelector(Checkpoints.QuorumNotReached.selector, 6600, 10_000));
        lightClient.update(CLIENT, few);
        lightClient.update(CLIENT, chain.update(67));
        assertEq(_status().height, 2, "height");
    }

    function test_a_known_update_is_a_no_op() public {
        chain.endBlock(1);
        bytes memory update = chain.update();
        lightClient.update(CLIENT, update);
        vm.recordLogs();
        lightClient.update(CLIENT, update);
        (uint256 count,) = _logs(ICheckpointClient.Updated.selector);
        assertEq(count, 0, "updates");
    }

    function test_the_height_rises_strictly() public {
        chain.endBlock(1);
        bytes memory old = chain.update();
        chain.endBlock(1);
        lightClient.update(CLIENT, chain.update());
        vm.expectRevert(abi.encodeWithSelector(ICheckpointClient.HeightNotAbove.selector, 2, 3));
        lightClient.update(CLIENT, old);
    }

    function test_any_byte_changed_is_refused() public {
        chain.endBlock(1);
        bytes memory update = chain.update();
        for (uint256 i = 0; i < update.length; i += 3) {
            bytes memory forged = bytes.concat(update);
            forged[i] = bytes1(uint8(forged[i]) ^ 0x01);
            (bool ok,) = address(lightClient).call(abi.encodeCall(ILightClientUpdate.update, (CLIENT, forged)));
            assertTrue(!ok, string.concat("byte ", vm.toString(i)));
        }
        for (uint256 length = 0; length < update.length; length += 17) {
            bytes memory cut = bytes.concat(update);
            assembly ("memory-safe") {
                mstore(cut, length)
            }
            (bool ok,) = address(lightClient).call(abi.encodeCall(ILightClientUpdate.update, (CLIENT, cut)));
            assertTrue(!ok, string.concat("cut to ", vm.toString(length)));
        }
        (bool longer,) = address(lightClient)
            .call(abi.encodeCall(ILightClientUpdate.update, (CLIENT, bytes.concat(update, hex"00"))));
        assertTrue(!longer, "a byte too many");
        assertEq(_status().height, 1, "height");
    }

    function test_a_high_s_is_refused() public {
        chain.endBlock(1);
        bytes memory update = chain.update();
        // The last signature's s, mirrored, with the other parity.
        uint256 vs;
        assembly ("memory-safe") {
            vs := mload(add(update, mload(update)))
        }
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        uint256 s = order - (vs & (type(uint256).max >> 1));
        // A high s does not fit EIP-2098's 255 bits unless it is just above half.
        uint256 mirrored = s | ((vs >> 255) ^ 1) << 255;
        assembly ("memory-safe") {
            mstore(add(update, mload(update)), mirrored)
        }
        vm.expectRevert(abi.encodeWithSelector(Checkpoints.BadSignature.selector, 2));
        lightClient.update(CLIENT, update);
    }

    function test_a_signature_that_recovers_nobody_is_refused() public {
        chain.endBlock(1);
        bytes memory update = chain.update();
        assembly ("memory-safe") {
            // r of the last signature
            mstore(add(update, sub(mload(update), 32)), 0)
        }
        vm.expectRevert(abi.encodeWithSelector(Checkpoints.BadSignature.selector, 2));
        lightClient.update(CLIENT, update);
    }

    function test_only_the_current_set_signs() public {
        chain.rotate(1);
        chain.finishRotation();
        chain.endBlock(1);
        bytes memory update = chain.update();
        vm.expectRevert(ICheckpointClient.WrongSet.selector);
        this.callUpdate(update);
    }

    function callUpdate(bytes calldata update) external {
        (bool ok, bytes memory data) =
            address(lightClient).call(abi.encodeCall(ILightClientUpdate.update, (CLIENT, update)));
        if (!ok) {
            // Only the selector is compared.
            bytes4 selector = bytes4(data);
            assembly ("memory-safe") {
                mstore(0, selector)
                revert(0, 4)
            }
        }
    }

    function test_a_rotation_signed_by_the_old_set_is_followed() public {
        bytes memory oldSet = chain.setOf(chain.allKeys());
        chain.endBlock(1);
        chain.rotate(1);
        lightClient.update(CLIENT, chain.update());
        chain.finishRotation();
        bytes32 set = keccak256(chain.setOf(chain.allKeys()));
        assertTrue(set != keccak256(oldSet), "the set is another one");
        assertEq(_status().setHash, set, "set");
        chain.endBlock(1);
        lightClient.update(CLIENT, chain.update());
        assertEq(_status().height, 3, "height");
    }

    function test_two_quorums_for_one_height_freeze() public {
        chain.endBlock(1);
        lightClient.update(CLIENT, chain.update());
        // Another block, so that the current set still stands behind height 2.
        bytes memory conflicting = chain.signed(2, chain.time(), keccak256("other"), 3);
        lightClient.update(CLIENT, conflicting);
        assertTrue(_status().frozen, "frozen");
        chain.endBlock(1);
        bytes memory update = chain.update();
        vm.expectRevert(abi.encodeWithSelector(ICheckpointClient.ClientFrozen.selector, CLIENT));
        lightClient.update(CLIENT, update);
    }

    function test_a_quorum_for_a_later_block_with_an_earlier_time_freezes() public {
        chain.endBlock(10);
        lightClient.update(CLIENT, chain.update());
        lightClient.update(CLIENT, chain.signed(3, chain.time() - 1, keccak256("x"), 3));
        assertTrue(_status().frozen, "frozen");
    }

    function test_evidence_of_a_fork_at_an_untrusted_height_freezes() public {
        bytes memory anchor = chain.header();
        bytes memory a = chain.signed(9, chain.time() + 9, keccak256("a"), 3);
        bytes memory b = chain.signed(9, chain.time() + 9, keccak256("b"), 3);
        lightClient.misbehaviour(CLIENT, anchor, a, b);
        assertTrue(_status().frozen, "frozen");
    }

    function test_evidence_by_the_set_before_a_rotation_freezes() public {
        chain.endBlock(1);
        bytes memory conflicting = chain.signed(2, chain.time(), keccak256("other"), 3);
        chain.rotate(1);
        bytes memory trusted = chain.header();
        lightClient.update(CLIENT, chain.update());
        bytes memory known = bytes.concat(hex"00", trusted);
        chain.finishRotation();
        lightClient.misbehaviour(CLIENT, trusted, known, conflicting);
        assertTrue(_status().frozen, "frozen");
    }

    /// @dev A forger names a set of his own as the next, so that the true set's certificates are no updates any more.
    function test_a_forged_rotation_that_is_trusted_freezes_by_the_true_certificate_alone() public {
        bytes memory root = chain.header();
        chain.endBlock(1);
        bytes memory honest = chain.signed(2, chain.time(), keccak256("true"), 3);
        chain.rotate(1);
        lightClient.update(CLIENT, chain.update());
        chain.finishRotation();
        vm.expectRevert();
        lightClient.update(CLIENT, honest);
        lightClient.misbehaviour(CLIENT, root, "", honest);
        assertTrue(_status().frozen, "frozen");
    }

    /// @dev A forged height that the chain does not reach: a true block below it has the later time.
    function test_a_height_out_of_reach_freezes_by_a_later_block_below_it() public {
        bytes memory root = chain.header();
        uint64 time = chain.time();
        lightClient.update(CLIENT, chain.signed(1_000_000, time + 1, keccak256("forged"), 3));
        bytes memory early = chain.signed(2, time + 1, keccak256("x"), 3);
        vm.expectRevert(ICheckpointClient.NoConflict.selector);
        lightClient.misbehaviour(CLIENT, root, "", early);
        lightClient.misbehaviour(CLIENT, root, "", chain.signed(2, time + 2, keccak256("x"), 3));
        assertTrue(_status().frozen, "frozen");
    }

    function test_the_newest_state_contradicts_nothing_that_is_true() public {
        bytes memory root = chain.header();
        chain.endBlock(1);
        bytes memory known = chain.signed(2, chain.time(), chain.appHash(), 3);
        lightClient.update(CLIENT, chain.update());
        vm.expectRevert(ICheckpointClient.NoConflict.selector);
        lightClient.misbehaviour(CLIENT, root, "", known);
        vm.expectRevert(ICheckpointClient.Malformed.selector);
        lightClient.misbehaviour(CLIENT, root, "", "");
    }

    /// @dev Blocks and updates until every place where states are kept was used again.
    function _outliveStates() private {
        for (uint256 i = 0; i < lightClient.KEPT(); ++i) {
            chain.endBlock(1);
            lightClient.update(CLIENT, chain.update());
        }
    }

    function test_a_state_proves_until_another_takes_its_place() public {
        P memory p = _incoming(10);
        _sendFromNative(_list(p));
        (bytes memory state, bytes memory outbox, bytes memory batch) = _recvArgs(_list(p));
        bytes memory stored = bytes.concat(hex"00", chain.header());
        uint64 height = chain.height();
        lightClient.update(CLIENT, state);
        for (uint256 i = 1; i < lightClient.KEPT(); ++i) {
            chain.endBlock(1);
            lightClient.update(CLIENT, chain.update());
        }
        uint256 snapshot = vm.snapshotState();
        gateway.recv(CLIENT, stored, outbox, batch);
        assertEq(_supply(VOUCHER).held, 10, "the oldest state kept still proves");

        vm.revertToState(snapshot);
        chain.endBlock(1);
        lightClient.update(CLIENT, chain.update());
        vm.expectRevert(abi.encodeWithSelector(ICheckpointClient.UnknownState.selector, CLIENT, height));
        gateway.recv(CLIENT, stored, outbox, batch);
        // Its update is no way back either; a newer state proves the same.
        vm.expectRevert(abi.encodeWithSelector(ICheckpointClient.HeightNotAbove.selector, height, chain.height()));
        gateway.recv(CLIENT, state, outbox, batch);
        (state, outbox, batch) = _recvArgs(_list(p));
        gateway.recv(CLIENT, state, outbox, batch);
        assertEq(_supply(VOUCHER).held, 10, "held");
    }

    function test_anchors_and_rotations_are_kept_for_good() public {
        bytes memory anchor = chain.header();
        chain.endBlock(1);
        bytes memory first = chain.signed(2, chain.time(), keccak256("one"), 3);
        bytes memory second = chain.signed(2, chain.time(), keccak256("other"), 3);
        chain.rotate(1);
        bytes memory rotation = chain.header();
        lightClient.update(CLIENT, chain.update());
        chain.finishRotation();
        _outliveStates();
        uint256 snapshot = vm.snapshotState();
        // The set of the beginning has long been replaced; what it signed is evidence still.
        lightClient.misbehaviour(CLIENT, rotation, first, second);
        assertTrue(_status().frozen, "frozen by the rotation's set");
        vm.revertToState(snapshot);
        lightClient.misbehaviour(CLIENT, anchor, first, second);
        assertTrue(_status().frozen, "frozen by the anchor's set");
    }

    function test_a_fork_below_the_newest_state_freezes_by_evidence_even_when_the_state_is_gone() public {
        bytes memory anchor = chain.header();
        chain.endBlock(1);
        bytes memory honest = chain.update();
        bytes memory conflicting = chain.signed(2, chain.time(), keccak256("other"), 3);
        lightClient.update(CLIENT, honest);
        _outliveStates();
        vm.expectRevert(abi.encodeWithSelector(ICheckpointClient.HeightNotAbove.selector, 2, chain.height()));
        lightClient.update(CLIENT, conflicting);
        lightClient.misbehaviour(CLIENT, anchor, honest, conflicting);
        assertTrue(_status().frozen, "frozen");
    }

    function test_evidence_finds_a_root_also_when_the_anchor_has_expired() public {
        bytes memory anchor = chain.header();
        bytes memory root;
        bytes memory honest;
        bytes memory conflicting;
        for (uint256 i = 0; i < 9; ++i) {
            chain.endBlock(TRUSTING / 8 + 1);
            vm.warp(chain.time());
            lightClient.update(CLIENT, chain.update());
            if (i != 6) continue;
            root = chain.header();
            chain.endBlock(1);
            honest = chain.update();
            conflicting = chain.signed(chain.height(), chain.time(), keccak256("other"), 3);
            lightClient.update(CLIENT, honest);
            _outliveStates();
        }
        vm.expectRevert(abi.encodeWithSelector(ICheckpointClient.ClientExpired.selector, CLIENT));
        lightClient.misbehaviour(CLIENT, anchor, honest, conflicting);
        lightClient.misbehaviour(CLIENT, root, honest, conflicting);
        assertTrue(_status().frozen, "frozen");
    }

    function test_one_statement_twice_or_by_too_few_is_no_evidence() public {
        bytes memory anchor = chain.header();
        bytes memory a = chain.signed(9, chain.time() + 9, keccak256("a"), 3);
        vm.expectRevert(ICheckpointClient.NoConflict.selector);
        lightClient.misbehaviour(CLIENT, anchor, a, a);
        bytes memory b = chain.signed(9, chain.time() + 9, keccak256("b"), 2);
        vm.expectRevert(abi.encodeWithSelector(Checkpoints.QuorumNotReached.selector, 200, 400));
        lightClient.misbehaviour(CLIENT, anchor, a, b);
        bytes memory later = chain.signed(10, chain.time() + 10, keccak256("b"), 3);
        vm.expectRevert(ICheckpointClient.NoConflict.selector);
        lightClient.misbehaviour(CLIENT, anchor, a, later);
        assertTrue(!_status().frozen, "not frozen");
    }

    function test_a_frozen_client_proves_nothing_until_governance_re_anchors_it() public {
        P memory p = _incoming(10);
        _sendFromNative(_list(p));
        (bytes memory state, bytes memory outbox, bytes memory batch) = _recvArgs(_list(p));
        bytes memory stored = bytes.concat(hex"00", chain.header());
        lightClient.update(CLIENT, state);
        lightClient.update(CLIENT, chain.signed(2, chain.time(), keccak256("other"), 3));
        vm.expectRevert(abi.encodeWithSelector(ICheckpointClient.ClientFrozen.selector, CLIENT));
        gateway.recv(CLIENT, stored, outbox, batch);

        chain.endBlock(1);
        registry.reanchor(CLIENT, chain.header());
        assertEq(_status().generation, 2, "generation");
        assertTrue(!_status().frozen, "not frozen");
        // States of the generation before prove nothing any more.
        vm.expectRevert(abi.encodeWithSelector(ICheckpointClient.UnknownState.selector, CLIENT, 2));
        gateway.recv(CLIENT, stored, outbox, batch);
        chain.endBlock(1);
        _recv(_list(p));
        assertEq(_supply(VOUCHER).held, 10, "held");
    }

    /// @dev A deployer that wants what the ledger has gives re-anchoring to a role whose members wait.
    function test_a_governor_with_a_delay_re_anchors_only_after_it() public {
        lightClient.update(CLIENT, chain.signed(1, chain.time(), keccak256("other"), 3));
        assertTrue(_status().frozen, "frozen");
        (uint64 role, address governor) = (7, address(0x607));
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = registry.reanchor.selector;
        manager.setTargetFunctionRole(address(registry), selectors, role);
        manager.grantRole(role, governor, 2 days);
        bytes memory anchor = chain.header();
        bytes memory call = abi.encodeCall(registry.reanchor, (CLIENT, anchor));

        vm.expectRevert();
        registry.reanchor(CLIENT, anchor);
        vm.prank(governor);
        vm.expectRevert();
        registry.reanchor(CLIENT, anchor);
        vm.prank(governor);
        manager.schedule(address(registry), call, 0);
        vm.warp(block.timestamp + 2 days - 1);
        vm.prank(governor);
        vm.expectRevert();
        registry.reanchor(CLIENT, anchor);
        vm.warp(block.timestamp + 1);
        vm.prank(governor);
        registry.reanchor(CLIENT, anchor);
        assertTrue(!_status().frozen, "re-anchored");
        assertEq(_status().generation, 2, "generation");
    }

    function test_evidence_from_before_a_re_anchoring_does_not_freeze_again() public {
        bytes memory anchor = chain.header();
        bytes memory a = chain.signed(3, chain.time() + 3, keccak256("a"), 3);
        bytes memory b = chain.signed(3, chain.time() + 3, keccak256("b"), 3);
        lightClient.misbehaviour(CLIENT, anchor, a, b);
        for (uint256 i = 0; i < 5; ++i) {
            chain.endBlock(1);
        }
        bytes memory root = chain.header();
        registry.reanchor(CLIENT, root);
        // The set is the same: without a bound anybody could freeze the route again after each re-anchoring.
        vm.expectRevert(abi.encodeWithSelector(ICheckpointClient.BelowRoot.selector, 3, 6));
        lightClient.misbehaviour(CLIENT, root, a, b);
        chain.endBlock(1);
        lightClient.update(CLIENT, chain.update());
        bytes memory known = bytes.concat(hex"00", chain.header());
        vm.expectRevert(abi.encodeWithSelector(ICheckpointClient.BelowRoot.selector, 3, 6));
        lightClient.misbehaviour(CLIENT, root, a, known);
        assertTrue(!_status().frozen, "not frozen");
        bytes memory fresh = chain.signed(7, chain.time(), keccak256("c"), 3);
        lightClient.misbehaviour(CLIENT, root, fresh, known);
        assertTrue(_status().frozen, "frozen by what is new");
    }

    function test_a_healthy_client_is_not_re_anchored() public {
        bytes memory header = chain.header();
        vm.expectRevert(abi.encodeWithSelector(ICheckpointClient.NotFrozenNorExpired.selector, CLIENT));
        registry.reanchor(CLIENT, header);
    }

    function test_an_expired_client_takes_no_update_and_proves_nothing() public {
        P memory p = _incoming(10);
        _sendFromNative(_list(p));
        (bytes memory state, bytes memory outbox, bytes memory batch) = _recvArgs(_list(p));
        vm.warp(_status().time + TRUSTING - 1);
        lightClient.update(CLIENT, state);
        vm.warp(chain.time() + TRUSTING);
        bytes memory stored = bytes.concat(hex"00", chain.header());
        vm.expectRevert(abi.encodeWithSelector(ICheckpointClient.ClientExpired.selector, CLIENT));
        gateway.recv(CLIENT, stored, outbox, batch);
        chain.endBlock(TRUSTING);
        bytes memory update = chain.update();
        vm.expectRevert(abi.encodeWithSelector(ICheckpointClient.ClientExpired.selector, CLIENT));
        lightClient.update(CLIENT, update);
        registry.reanchor(CLIENT, chain.header());
        assertEq(_status().generation, 2, "generation");
    }

    function test_a_header_far_in_the_future_is_refused() public {
        bytes memory update = chain.signed(2, uint64(block.timestamp) + 601, keccak256("x"), 3);
        vm.expectRevert(abi.encodeWithSelector(ICheckpointClient.FromTheFuture.selector, block.timestamp + 601));
        lightClient.update(CLIENT, update);
        lightClient.update(CLIENT, chain.signed(2, uint64(block.timestamp) + 600, keccak256("x"), 3));
    }

    function test_misbehaviour_inline_freezes_and_leaves_the_packets() public {
        P memory p = _incoming(10);
        _sendFromNative(_list(p));
        (bytes memory state, bytes memory outbox, bytes memory batch) = _recvArgs(_list(p));
        lightClient.update(CLIENT, state);
        vm.recordLogs();
        gateway.recv(CLIENT, chain.signed(2, chain.time(), keccak256("other"), 3), outbox, batch);
        assertSkipped(ICrosspointGateway.SkipReason.ClientFrozen);
        assertTrue(_status().frozen, "frozen");
        assertEq(_stored(2, 1), bytes32(0), "receipt");
    }

    function test_another_chains_signatures_are_refused() public {
        bytes32 other = keccak256(chain.setOf(chain.allKeys()));
        bytes32 digest = keccak256(
            abi.encode(
                keccak256("crosspoint/checkpoint/v1"),
                keccak256("crosspoint-2"),
                uint64(2),
                chain.time(),
                bytes32("app"),
                other,
                other
            )
        );
        bytes memory set = chain.setOf(chain.allKeys());
        bytes memory update = abi.encodePacked(
            uint8(1), uint64(2), chain.time(), bytes32("app"), uint8(4), set, chain.certificate(digest, 3)
        );
        vm.expectRevert(abi.encodeWithSelector(Checkpoints.BadSignature.selector, 0));
        lightClient.update(CLIENT, update);
    }

    function test_only_the_registry_creates_and_re_anchors() public {
        bytes memory header = chain.header();
        vm.expectRevert(ICheckpointClient.Unauthorized.selector);
        lightClient.create("checkpoint-1", "crosspoint-1", TRUSTING, header);
        vm.expectRevert(ICheckpointClient.Unauthorized.selector);
        lightClient.reanchor(CLIENT, header);
    }
}

interface ILightClientUpdate {
    function update(bytes32 client, bytes calldata state) external;
}
