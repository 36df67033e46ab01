// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {CheckpointClient} from "../../src/CheckpointClient.sol";
import {CrosspointGateway} from "../../src/CrosspointGateway.sol";
import {CrosspointRegistry} from "../../src/CrosspointRegistry.sol";
import {LockIntents} from "../../src/LockIntents.sol";
import {PointsVoucher} from "../../src/PointsVoucher.sol";
import {ICrosspointGateway} from "../../src/interfaces/ICrosspointGateway.sol";
import {ICrosspointRegistry} from "../../src/interfaces/ICrosspointRegistry.sol";
import {PacketHasher} from "../../src/libraries/PacketHasher.sol";
import {Text} from "../../src/libraries/Text.sol";
import {NativeChain} from "./NativeChain.sol";
import {Test, Vm} from "./Test.sol";
import {TestToken} from "./Tokens.sol";
import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";

/// @dev A gateway with one client to a native chain, one voucher denom (`sfs`) and one listed ERC-20.
abstract contract GatewayTest is Test {
    bytes32 internal constant CLIENT = "checkpoint-0";
    bytes32 internal constant COUNTERPARTY = "attested-0";
    string internal constant VOUCHER = "points/checkpoint-0/sfs";
    uint32 internal constant MAX_TIMEOUT = 24 hours;
    uint32 internal constant MIN_HOLD = 600;
    uint32 internal constant TRUSTING = 14 days;
    bytes32 internal constant PREIMAGE = keccak256("the secret");
    string internal constant MALL = "point1qyqszqgpqyqszqgpqyqszqgpqyqszqgpe4w2ar";

    /// @dev A packet in either direction; `local` is its party on this chain.
    struct P {
        uint64 sequence;
        uint64 timeout;
        uint64 claimDeadline;
        uint96 amount;
        address local;
        bytes32 hashlock;
        string denom;
        string remote;
        bytes terms;
        string memo;
    }

    AccessManager internal manager;
    CrosspointRegistry internal registry;
    CheckpointClient internal lightClient;
    CrosspointGateway internal gateway;
    LockIntents internal intents;
    PointsVoucher internal voucher;
    TestToken internal token;
    NativeChain internal chain;

    address internal merchant = address(uint160(0x00beef00000000000000000000000000000000beef));
    address internal relayer = address(0x1e1a);
    uint64 internal now_;
    uint64 internal nextIncoming;
    string internal home; // the listed token's denom
    string internal homeReturned; // as packets from the native chain carry it

    function setUp() public virtual {
        _deploy(4);
    }

    function _deploy(uint256 validators) internal {
        now_ = uint64(block.timestamp);
        chain = NativeChain(
            vm.deployCode(
                "NativeChain.sol:NativeChain", abi.encode("crosspoint-1", "attested-0", now_ - 60, validators)
            )
        );
        // By name: a test that embeds the contracts would compile them again.
        manager = AccessManager(vm.deployCode("AccessManager.sol:AccessManager", abi.encode(address(this))));
        registry = CrosspointRegistry(
            vm.deployCode("CrosspointRegistry.sol:CrosspointRegistry", abi.encode(address(manager)))
        );
        lightClient =
            CheckpointClient(vm.deployCode("CheckpointClient.sol:CheckpointClient", abi.encode(address(registry))));
        gateway =
            CrosspointGateway(vm.deployCode("CrosspointGateway.sol:CrosspointGateway", abi.encode(address(registry))));
        registry.bind(address(gateway));
        intents =
            LockIntents(vm.deployCode("LockIntents.sol:LockIntents", abi.encode(address(gateway), address(registry))));
        registry.bindIntents(address(intents));
        registry.openClient(_config(), chain.header());
        voucher =
            PointsVoucher(registry.openVoucher(CLIENT, "sfs", "SFS (bridged)", "SFS", 2, 910_000_000, _noLimits()));
        token = TestToken(vm.deployCode("Tokens.sol:TestToken"));
        registry.listToken(CLIENT, address(token), _noLimits());
        home = Text.hexAddress(address(token));
        homeReturned = string.concat("points/attested-0/", home);
        nextIncoming = 1;
    }

    function _config() internal view returns (ICrosspointRegistry.ClientConfig memory config) {
        config.client = CLIENT;
        config.counterparty = COUNTERPARTY;
        config.lightClient = address(lightClient);
        config.chainId = "crosspoint-1";
        config.rules = ICrosspointRegistry.WindowRules(MAX_TIMEOUT, MIN_HOLD, TRUSTING);
    }

    function _noLimits() internal pure returns (ICrosspointRegistry.Limits memory) {
        return ICrosspointRegistry.Limits(0, type(uint96).max, type(uint128).max, type(uint128).max);
    }

    // ---- packets ----

    function _hashlock(bytes32 preimage) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(preimage));
    }

    /// @dev A packet from the native chain to the merchant, valid now.
    function _incoming(uint96 amount) internal returns (P memory p) {
        p.sequence = nextIncoming++;
        p.timeout = uint64(block.timestamp) + 3600;
        p.claimDeadline = uint64(block.timestamp) + 7200;
        p.amount = amount;
        p.local = merchant;
        p.hashlock = _hashlock(PREIMAGE);
        p.denom = "sfs";
        p.remote = MALL;
    }

    function _record(P memory p) internal pure returns (bytes memory) {
        return _record(p, 0);
    }

    function _record(P memory p, uint8 denomIndex) internal pure returns (bytes memory) {
        return abi.encodePacked(
            abi.encodePacked(p.sequence, p.timeout, p.claimDeadline, p.amount, p.local, p.hashlock, denomIndex),
            uint8(bytes(p.remote).length),
            uint16(p.terms.length),
            uint16(bytes(p.memo).length),
            p.remote,
            p.terms,
            p.memo
        );
    }

    /// @dev The packet commitment by the plain formula.
    function _commitment(P memory p, bool incoming) internal pure returns (bytes32) {
        string memory local = Text.hexAddress(p.local);
        PacketHasher.PointsLock memory lock = PacketHasher.PointsLock({
            denom: p.denom,
            amount: p.amount,
            sender: incoming ? p.remote : local,
            receiver: incoming ? local : p.remote,
            hashlock: p.hashlock,
            claimDeadline: p.claimDeadline,
            terms: p.terms,
            memo: p.memo
        });
        return PacketHasher.plainCommitment(incoming ? bytes("checkpoint-0") : bytes("attested-0"), p.timeout, lock);
    }

    function _batch(string memory denom, bytes[] memory items) internal pure returns (bytes memory out) {
        out = abi.encodePacked(uint8(1), uint16(bytes(denom).length), denom, uint16(items.length));
        for (uint256 i = 0; i < items.length; ++i) {
            out = bytes.concat(out, items[i]);
        }
    }

    function _list(P memory p) internal pure returns (P[] memory list) {
        list = new P[](1);
        list[0] = p;
    }

    // ---- what the native chain does ----

    function _sendFromNative(P[] memory packets) internal {
        for (uint256 i = 0; i < packets.length; ++i) {
            chain.push("sent", 1, packets[i].sequence, _commitment(packets[i], true));
        }
        chain.endBlock(1);
    }

    /// @dev The arguments of a recv of these packets, proven at the chain's present height.
    function _recvArgs(P[] memory packets)
        internal
        view
        returns (bytes memory state, bytes memory outbox, bytes memory batch)
    {
        bytes[] memory items = new bytes[](packets.length);
        uint64[] memory sequences = new uint64[](packets.length);
        for (uint256 i = 0; i < packets.length; ++i) {
            items[i] = _record(packets[i]);
            sequences[i] = packets[i].sequence;
        }
        return (chain.update(), chain.outbox("sent", sequences), _batch(packets[0].denom, items));
    }

    function _recv(P[] memory packets) internal {
        (bytes memory state, bytes memory outbox, bytes memory batch) = _recvArgs(packets);
        vm.prank(relayer);
        gateway.recv(CLIENT, state, outbox, batch);
    }

    /// @dev Sent on the native chain and received here.
    function _deliver(P memory p) internal {
        _sendFromNative(_list(p));
        _recv(_list(p));
    }

    function _claimBatch(P[] memory packets, bytes32 preimage) internal pure returns (bytes memory) {
        bytes[] memory items = new bytes[](packets.length);
        for (uint256 i = 0; i < packets.length; ++i) {
            items[i] = bytes.concat(preimage, _record(packets[i]));
        }
        return _batch(packets[0].denom, items);
    }

    function _claim(P memory p, bytes32 preimage) internal {
        vm.prank(relayer);
        gateway.claim(CLIENT, _claimBatch(_list(p), preimage));
    }

    function _void(P memory p) internal {
        bytes[] memory items = new bytes[](1);
        items[0] = _record(p);
        vm.prank(relayer);
        gateway.void(CLIENT, _batch(p.denom, items));
    }

    // ---- the way back ----

    function _lock(address payer, string memory denom, uint96 amount, bytes32 hashlock)
        internal
        view
        returns (ICrosspointGateway.Lock memory lock, P memory p)
    {
        lock = ICrosspointGateway.Lock({
            client: CLIENT,
            denom: denom,
            amount: amount,
            receiver: MALL,
            hashlock: hashlock,
            timeout: uint64(block.timestamp) + 3600,
            claimDeadline: uint64(block.timestamp) + 7200,
            terms: "",
            memo: "thanks"
        });
        p = P(0, lock.timeout, lock.claimDeadline, amount, payer, hashlock, denom, MALL, "", "thanks");
    }

    function _send(address payer, string memory denom, uint96 amount) internal returns (P memory p) {
        return _send(payer, denom, amount, keccak256(abi.encode("lock", payer, denom, amount, gasleft())));
    }

    /// @dev Locks with the hashlock of `preimage`.
    function _send(address payer, string memory denom, uint96 amount, bytes32 preimage) internal returns (P memory p) {
        ICrosspointGateway.Lock memory lock;
        (lock, p) = _lock(payer, denom, amount, _hashlock(preimage));
        vm.prank(payer);
        p.sequence = gateway.send(lock);
    }

    function _successAck(bytes32 preimage) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(2), sha256(abi.encodePacked(uint8(1), preimage))));
    }

    function _errorAck() internal pure returns (bytes32) {
        return sha256(abi.encodePacked(uint8(2), sha256(abi.encodePacked(sha256("UNIVERSAL_ERROR_ACKNOWLEDGEMENT")))));
    }

    function _ackArgs(P memory p, bool success, bytes32 preimage)
        internal
        view
        returns (bytes memory state, bytes memory outbox, bytes memory batch)
    {
        uint64[] memory sequences = new uint64[](1);
        sequences[0] = p.sequence;
        bytes[] memory items = new bytes[](1);
        items[0] = success ? abi.encodePacked(uint8(1), preimage, _record(p)) : abi.encodePacked(uint8(0), _record(p));
        return (chain.update(), chain.outbox("acked", sequences), _batch(p.denom, items));
    }

    /// @dev The native chain writes the ack, and it is relayed.
    function _ack(P memory p, bool success, bytes32 preimage) internal {
        chain.push("acked", 3, p.sequence, success ? _successAck(preimage) : _errorAck());
        chain.endBlock(1);
        (bytes memory state, bytes memory outbox, bytes memory batch) = _ackArgs(p, success, preimage);
        vm.prank(relayer);
        gateway.ack(CLIENT, state, outbox, batch);
    }

    function _timeoutBatch(P memory p) internal view returns (bytes memory) {
        bytes memory proof = chain.absence(chain.path(2, p.sequence));
        bytes[] memory items = new bytes[](1);
        items[0] = abi.encodePacked(uint16(proof.length), proof, _record(p));
        return _batch(p.denom, items);
    }

    function _timeout(P memory p) internal {
        bytes memory state = chain.update();
        bytes memory batch = _timeoutBatch(p);
        vm.prank(relayer);
        gateway.timeout(CLIENT, state, batch);
    }

    // ---- what happened ----

    function _stored(uint8 kind, uint64 sequence) internal view returns (bytes32) {
        return gateway.commitments(keccak256(abi.encodePacked("checkpoint-0", kind, sequence)));
    }

    function _supply(string memory denom) internal view returns (ICrosspointRegistry.Supply memory) {
        return registry.supplyOf(CLIENT, denom);
    }

    /// @dev How many logs of an event came since `recordLogs`, and the last one's data.
    function _logs(bytes32 topic) internal returns (uint256 count, Vm.Log memory last) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] == topic) (count, last) = (count + 1, logs[i]);
        }
    }

    function _dataOf(bytes32 topic) internal returns (uint256 count, bytes memory data) {
        Vm.Log memory last;
        (count, last) = _logs(topic);
        data = last.data;
    }

    /// @dev The reason of the only item that was skipped since `recordLogs`; None if none was.
    function _skipReason() internal returns (ICrosspointGateway.SkipReason reason) {
        (uint256 count, Vm.Log memory log) = _logs(ICrosspointGateway.Skipped.selector);
        if (count == 0) return ICrosspointGateway.SkipReason.None;
        assertEq(count, 1, "items skipped");
        (, reason) = abi.decode(log.data, (uint256, ICrosspointGateway.SkipReason));
    }

    function _refusal() internal returns (ICrosspointGateway.RefusalReason reason) {
        (uint256 count, Vm.Log memory log) = _logs(ICrosspointGateway.Refused.selector);
        if (count == 0) return ICrosspointGateway.RefusalReason.None;
        reason = abi.decode(log.data, (ICrosspointGateway.RefusalReason));
    }

    function assertSkipped(ICrosspointGateway.SkipReason expected) internal {
        assertEq(uint256(_skipReason()), uint256(expected), "skip reason");
    }

    function assertRefused(ICrosspointGateway.RefusalReason expected) internal {
        assertEq(uint256(_refusal()), uint256(expected), "refusal reason");
    }
}
