// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ILightClient} from "../src/interfaces/ILightClient.sol";
import {GatewayTest} from "./utils/GatewayTest.sol";

/// @dev Does to the light client what its chain, forgers with any number of keys, accusers, time and governance can do, in
/// any order, and watches each step.
contract ClientActions is GatewayTest {
    ILightClient.Status private _before;

    uint256 public advanced;
    uint256 public rotated;
    uint256 public froze;
    uint256 public reanchored;

    function init() external {
        _deploy(4);
        _before = lightClient.status(CLIENT);
    }

    modifier watched() {
        _before = lightClient.status(CLIENT);
        bool expired = block.timestamp >= uint256(_before.time) + _before.trustingPeriod;
        _;
        ILightClient.Status memory s = lightClient.status(CLIENT);
        if (s.generation != _before.generation) {
            assertEq(s.generation, _before.generation + 1, "generations are counted");
            assertTrue(_before.frozen || expired, "a healthy client is not re-anchored");
            assertTrue(!s.frozen, "a new generation is not frozen");
            ++reanchored;
            return;
        }
        assertTrue(s.height >= _before.height && s.time >= _before.time, "height and time never fall");
        assertTrue(s.height > _before.height || s.time == _before.time, "one time for one height");
        if (_before.frozen || expired) {
            assertTrue(s.frozen || !_before.frozen, "what is frozen stays frozen");
            assertEq(s.height, _before.height, "frozen or expired, it moves no more");
            assertEq(s.setHash, _before.setHash, "nor does its set");
        }
        if (s.frozen && !_before.frozen) {
            assertEq(s.height, _before.height, "what froze it is not trusted");
            ++froze;
        }
        if (s.height > _before.height) ++advanced;
        if (s.setHash != _before.setHash) ++rotated;
    }

    function _now() private {
        if (block.timestamp < chain.time()) vm.warp(chain.time());
    }

    function follow(uint256 seconds_, uint256 signers) external watched {
        chain.endBlock(uint64(bound(seconds_, 0, 3)));
        _now();
        try lightClient.update(CLIENT, chain.update(bound(signers, 1, 4))) {} catch {}
    }

    function rotate() external watched {
        chain.endBlock(1);
        _now();
        chain.rotate(1);
        try lightClient.update(CLIENT, chain.update()) {} catch {}
        chain.finishRotation();
    }

    function lie(uint256 height, uint256 time, uint256 root, uint256 signers) external watched {
        try lightClient.update(CLIENT, _lie(height, time, root, signers)) {} catch {}
    }

    function accuse(uint256 height, uint256 time, uint256 signers, uint256 form) external watched {
        bytes memory trusted = chain.header();
        bytes memory one = form % 3 == 0 ? bytes("") : _lie(height, time, 1, signers);
        if (form % 3 == 1) one = bytes.concat(hex"00", trusted);
        try lightClient.misbehaviour(CLIENT, trusted, one, _lie(height >> 8, time >> 8, 2, 3)) {} catch {}
    }

    function wait(uint256 seconds_) external watched {
        vm.warp(block.timestamp + bound(seconds_, 0, TRUSTING / 4));
        if (chain.time() < block.timestamp) chain.endBlock(uint64(block.timestamp) - chain.time());
    }

    function govern() external watched {
        try registry.reanchor(CLIENT, chain.header()) {} catch {}
    }

    /// @dev A certificate of the present set for a block near the newest one.
    function _lie(uint256 height, uint256 time, uint256 root, uint256 signers) private view returns (bytes memory) {
        uint64 h = chain.height() + uint64(bound(height, 0, 4)) - 1;
        uint64 t = chain.time() + uint64(bound(time, 0, 4)) - 2;
        return chain.signed(h, t, keccak256(abi.encode(root % 2)), bound(signers, 1, 4));
    }
}

/// @dev Within a generation a client only rises; frozen it proves nothing until governance gives it a new one.
contract ClientInvariantsTest is GatewayTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    ClientActions private actions;

    function setUp() public override {
        actions = ClientActions(vm.deployCode("ClientInvariants.t.sol:ClientActions"));
        actions.init();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(actions);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0].addr = address(actions);
        bytes4[] memory s = new bytes4[](6);
        (s[0], s[1], s[2]) = (ClientActions.follow.selector, ClientActions.rotate.selector, ClientActions.lie.selector);
        (s[3], s[4], s[5]) = (ClientActions.accuse.selector, ClientActions.wait.selector, ClientActions.govern.selector);
        targets[0].selectors = s;
    }

    /// @dev Each action asserts its own step; a failed one is a failed run.
    function invariant_a_client_only_rises_within_a_generation() public view {
        assertTrue(address(actions) != address(0), "actions");
    }

    /// @dev The actions reach all that is watched: else the invariant would say nothing.
    function test_the_actions_reach_what_is_watched() public {
        actions.follow(1, 2);
        actions.rotate();
        actions.lie(1, 3, 1, 3);
        actions.govern();
        actions.accuse(2 << 8, 3 << 8, 3, 0);
        actions.govern();
        assertTrue(actions.advanced() > 0, "advanced");
        assertTrue(actions.rotated() > 0, "rotated");
        assertTrue(actions.froze() > 0, "froze");
        assertTrue(actions.reanchored() > 0, "re-anchored");
    }
}
