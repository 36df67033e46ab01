// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICrosspointRegistry} from "../src/interfaces/ICrosspointRegistry.sol";
import {GatewayTest} from "./utils/GatewayTest.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @dev Does what payers, receivers, relayers, governance and the native chain can do, in any order, valid or not, and
/// keeps a model of the native chain's books.
contract Actions is GatewayTest {
    P[] private _arrived; // packets from the native chain that have a hold, or had one
    bool[] private _arrivedEnded;
    P[] private _left; // packets to it
    bool[] private _leftEnded;
    bytes32[] private _preimages; // of those that left
    mapping(uint64 sequence => bool) private _acked;
    mapping(uint64 sequence => bool) private _succeeded;

    /// @notice Vouchers of `sfs` that the native chain backs: held or claimed here, less returns settled.
    uint256 public backed;
    /// @notice Home points that the native chain has vouchers of.
    uint256 public returnable;

    function init() external {
        _deploy(4);
        for (uint256 i = 0; i < 3; ++i) {
            token.mint(_person(i), 1_000_000);
            vm.prank(_person(i));
            token.approve(address(gateway), type(uint256).max);
        }
    }

    function contracts() external view returns (address, ICrosspointRegistry, IERC20, IERC20, string memory) {
        return (address(gateway), registry, voucher, token, home);
    }

    function owedToPeople() external view returns (uint256 sum) {
        for (uint256 i = 0; i < 3; ++i) {
            sum += gateway.owed(address(token), _person(i));
        }
    }

    function _person(uint256 i) private pure returns (address) {
        return address(uint160(0xa1 + i % 3));
    }

    function deliver(uint256 who, uint96 amount, bool returned, bool late) external {
        P memory p = _incoming(uint96(bound(amount, 0, 2000)));
        p.local = _person(who);
        if (returned) {
            // An honest chain returns no more than it has.
            p.amount = uint96(bound(amount, 0, returnable));
            p.denom = homeReturned;
        }
        _sendFromNative(_list(p));
        if (late) vm.warp(p.timeout);
        _recv(_list(p));
        if (_stored(2, p.sequence) == 0 || _stored(3, p.sequence) != 0) return;
        if (returned) returnable -= p.amount;
        else backed += p.amount;
        _arrived.push(p);
        _arrivedEnded.push(false);
    }

    function claim(uint256 which, bool right, bool wait) external {
        if (_arrived.length == 0) return;
        which %= _arrived.length;
        P memory p = _arrived[which];
        if (wait) vm.warp(block.timestamp + 4000);
        uint256 before = _wealth(p);
        _claim(p, right ? PREIMAGE : bytes32("wrong"));
        if (_wealth(p) == before) return;
        assertTrue(right && block.timestamp < p.claimDeadline, "only in time and by the preimage");
        assertTrue(!_arrivedEnded[which], "once");
        assertEq(_wealth(p), before + p.amount, "the receiver is paid");
        _arrivedEnded[which] = true;
    }

    function giveUp(uint256 which, bool wait) external {
        if (_arrived.length == 0) return;
        which %= _arrived.length;
        P memory p = _arrived[which];
        if (wait) vm.warp(block.timestamp + 7200);
        _void(p);
        if (_arrivedEnded[which] || _stored(3, p.sequence) == 0) return;
        assertTrue(block.timestamp >= p.claimDeadline, "only after the deadline");
        _arrivedEnded[which] = true;
        if (_isVoucher(p)) backed -= p.amount;
        else returnable += p.amount;
    }

    function lock(uint256 who, uint96 amount, bool vouchers) external {
        address payer = _person(who);
        if (registryStanding(payer) == 2) return;
        uint256 max = vouchers ? voucher.balanceOf(payer) : token.balanceOf(payer);
        if (max == 0) return;
        bytes32 preimage = keccak256(abi.encode("preimage", _left.length));
        _left.push(_send(payer, vouchers ? VOUCHER : home, uint96(bound(amount, 1, max)), preimage));
        _leftEnded.push(false);
        _preimages.push(preimage);
    }

    /// @dev The native chain ends a hold, and the ack is relayed; a second time it changes nothing.
    function acknowledge(uint256 which, bool success) external {
        if (_left.length == 0) return;
        which %= _left.length;
        P memory p = _left[which];
        uint256 before = _wealth(p);
        if (!_leftEnded[which]) {
            _leftEnded[which] = true;
            _acked[p.sequence] = true;
            _succeeded[p.sequence] = success;
            _ack(p, success, _preimages[which]);
            if (success && _isVoucher(p)) backed -= p.amount;
            if (success && !_isVoucher(p)) returnable += p.amount;
            assertEq(_wealth(p), success ? before : before + p.amount, "settled or refunded");
        } else if (_acked[p.sequence]) {
            chain.endBlock(1);
            (bytes memory state, bytes memory outbox, bytes memory batch) =
                _ackArgs(p, _succeeded[p.sequence], _preimages[which]);
            gateway.ack(CLIENT, state, outbox, batch);
            assertEq(_wealth(p), before, "nothing is refunded twice");
        }
    }

    function expire(uint256 which) external {
        if (_left.length == 0) return;
        which %= _left.length;
        P memory p = _left[which];
        if (chain.time() < p.timeout) chain.endBlock(p.timeout - chain.time());
        if (block.timestamp < chain.time()) vm.warp(chain.time());
        uint256 before = _wealth(p);
        _timeout(p);
        assertEq(_wealth(p), _leftEnded[which] ? before : before + p.amount, "refunded, once");
        _leftEnded[which] = true;
    }

    function judge(uint256 who, bool suspended, bool blacklisted) external {
        address[] memory list = new address[](1);
        list[0] = _person(who);
        registry.setStanding(
            list, suspended ? ICrosspointRegistry.Standing.Suspended : ICrosspointRegistry.Standing.None
        );
        token.setBlacklisted(list[0], blacklisted);
    }

    function withdraw(uint256 who) external {
        (bool ok,) = address(gateway).call(abi.encodeCall(gateway.withdraw, (address(token), _person(who))));
        (ok,) = address(gateway).call(abi.encodeCall(gateway.withdraw, (address(voucher), _person(who))));
    }

    function registryStanding(address account) private view returns (uint8) {
        return token.blacklisted(account) ? 2 : gateway.standingOf(account);
    }

    function _isVoucher(P memory p) private pure returns (bool) {
        bytes32 denom = keccak256(bytes(p.denom));
        return denom == keccak256("sfs") || denom == keccak256(bytes(VOUCHER));
    }

    /// @dev What the packet's party here has of its points, owed or in hand.
    function _wealth(P memory p) private view returns (uint256) {
        IERC20 asset = _isVoucher(p) ? IERC20(address(voucher)) : IERC20(address(token));
        return asset.balanceOf(p.local) + gateway.owed(address(asset), p.local);
    }
}

/// @dev Points are never created and never lost (docs/protocol.md, I1 to I5).
contract InvariantsTest is GatewayTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Actions private actions;

    function setUp() public override {
        actions = Actions(vm.deployCode("Invariants.t.sol:Actions"));
        actions.init();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(actions);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0].addr = address(actions);
        bytes4[] memory s = new bytes4[](8);
        (s[0], s[1], s[2], s[3]) =
        (Actions.deliver.selector, Actions.claim.selector, Actions.giveUp.selector, Actions.lock.selector);
        (s[4], s[5], s[6], s[7]) =
        (Actions.acknowledge.selector, Actions.expire.selector, Actions.judge.selector, Actions.withdraw.selector);
        targets[0].selectors = s;
    }

    function invariant_points_are_conserved() public view {
        (address gateway_, ICrosspointRegistry registry_, IERC20 voucher_, IERC20 token_, string memory home_) =
            actions.contracts();
        ICrosspointRegistry.Supply memory v = registry_.supplyOf(CLIENT, VOUCHER);
        ICrosspointRegistry.Supply memory h = registry_.supplyOf(CLIENT, home_);
        assertEq(v.circulating + v.returning + v.held + v.owed, actions.backed(), "I2, I3: vouchers");
        assertEq(voucher_.totalSupply(), v.circulating, "supply");
        // The registry adds up what is there and what there may be more: together always what was opened with.
        assertEq(v.cap, 910_000_000, "cap");
        assertTrue(v.circulating + v.returning + v.held + v.owed <= v.cap, "never above the cap");
        assertEq(token_.balanceOf(gateway_), h.locked + h.vault + h.held + h.owed, "I1: the escrow and its books");
        assertEq(token_.totalSupply(), 3_000_000, "I1: constant issue");
        assertEq(h.vault, actions.returnable(), "I4: the vault backs what is out");
        assertEq(h.owed, actions.owedToPeople(), "owed");
    }
}
