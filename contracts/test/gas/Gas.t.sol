// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICrosspointGateway} from "../../src/interfaces/ICrosspointGateway.sol";
import {Text} from "../../src/libraries/Text.sol";
import {GatewayTest} from "../utils/GatewayTest.sol";
import {JmtTree} from "../utils/Trees.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @dev Gas of whole transactions, base and calldata included, kept in snapshots/Gas.json. Run by `npm run gas` with
/// --isolate: each call measured is a transaction of its own, on cold storage.
contract GasTest is GatewayTest {
    /// @dev Depth of a proof in a store of about 130,000 keys.
    uint256 private constant DEPTH = 17;
    string private constant GROUP = "Gas";

    function _receiver(uint256 i) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("receiver", i % 16)))));
    }

    function _packets(uint256 n) private returns (P[] memory packets) {
        packets = new P[](n);
        for (uint256 i = 0; i < n; ++i) {
            packets[i] = _incoming(uint96(1250 + i));
            packets[i].local = _receiver(i);
        }
        _sendFromNative(packets);
    }

    /// @dev An update and an outbox proof as deep as in a large store, though the store here is small.
    function _deep(string memory list, P[] memory packets) private view returns (bytes memory, bytes memory) {
        uint64[] memory sequences = new uint64[](packets.length);
        for (uint256 i = 0; i < packets.length; ++i) {
            sequences[i] = packets[i].sequence;
        }
        bytes memory siblings;
        for (uint256 i = 0; i < DEPTH; ++i) {
            siblings = bytes.concat(siblings, keccak256(abi.encode("sibling", i)));
        }
        bytes32 key = sha256(abi.encodePacked("outbox/attested-0/", list));
        bytes32 root = JmtTree.rootOf(JmtTree.Leaf(key, sha256(abi.encodePacked(chain.headOf(list)))), siblings);
        bytes memory shallow = chain.outbox(list, sequences);
        uint256 skip = 2 + 32 * (uint256(uint8(shallow[0])) << 8 | uint8(shallow[1]));
        bytes memory rest = new bytes(shallow.length - skip);
        for (uint256 i = 0; i < rest.length; ++i) {
            rest[i] = shallow[skip + i];
        }
        uint256 signers = chain.allKeys().length * 2 / 3 + 1;
        return
            (chain.signed(chain.height(), chain.time(), root, signers), abi.encodePacked(uint16(DEPTH), siblings, rest));
    }

    function _records(P[] memory packets) private pure returns (bytes memory) {
        bytes[] memory items = new bytes[](packets.length);
        for (uint256 i = 0; i < packets.length; ++i) {
            items[i] = _record(packets[i]);
        }
        return _batch(packets[0].denom, items);
    }

    /// @dev The counters are in use, each place where the client keeps states has held one, and 16 members hold vouchers,
    /// before what is measured. (Each of a client's first 64 updates costs 17,100 more, for a new slot.)
    function _warmUp() private {
        for (uint256 i = 0; i < lightClient.KEPT(); ++i) {
            chain.endBlock(1);
            lightClient.update(CLIENT, chain.update());
        }
        vm.warp(chain.time() + 60);
        _deliver(_incoming(1));
        for (uint256 i = 0; i < 16; ++i) {
            P memory p = _incoming(1_000_000);
            p.local = _receiver(i);
            _deliver(p);
            _claim(p, PREIMAGE);
        }
        vm.warp(block.timestamp + 60);
    }

    function _recvDeep(P[] memory packets, string memory name) private {
        (bytes memory state, bytes memory outbox) = _deep("sent", packets);
        bytes memory batch = _records(packets);
        gateway.recv(CLIENT, state, outbox, batch);
        if (bytes(name).length != 0) vm.snapshotGasLastCall(GROUP, name);
        assertTrue(_stored(2, packets[packets.length - 1].sequence) != 0, "received");
    }

    /// @dev `what: n packets, v validators`
    function _name(string memory what, uint256 n, uint256 validators) private pure returns (string memory) {
        string memory by = string.concat(", ", vm.toString(validators), " validators");
        return string.concat(what, ": ", vm.toString(n), n == 1 ? " packet" : " packets", validators == 0 ? "" : by);
    }

    function _measureRecv(uint256 n, uint256 validators) private {
        if (validators != 4) _deploy(validators);
        _warmUp();
        _recvDeep(_packets(n), _name("recv", n, validators));
    }

    function test_recv_1_of_4_validators() public {
        _measureRecv(1, 4);
    }

    function test_recv_10_of_4_validators() public {
        _measureRecv(10, 4);
    }

    function test_recv_25_of_4_validators() public {
        _measureRecv(25, 4);
    }

    function test_recv_50_of_4_validators() public {
        _measureRecv(50, 4);
    }

    function test_recv_1_of_100_validators() public {
        _measureRecv(1, 100);
    }

    function test_recv_10_of_100_validators() public {
        _measureRecv(10, 100);
    }

    function test_recv_25_of_100_validators() public {
        _measureRecv(25, 100);
    }

    function test_recv_50_of_100_validators() public {
        _measureRecv(50, 100);
    }

    function _measureEnd(uint256 n, bool claims) private {
        _warmUp();
        P[] memory packets = _packets(n);
        _recvDeep(packets, "");
        if (claims) {
            gateway.claim(CLIENT, _claimBatch(packets, PREIMAGE));
        } else {
            vm.warp(packets[0].claimDeadline);
            gateway.void(CLIENT, _records(packets));
        }
        vm.snapshotGasLastCall(GROUP, _name(claims ? "claim" : "void", n, 0));
        assertTrue(_stored(3, packets[n - 1].sequence) != 0, "ended");
    }

    function test_claim_1() public {
        _measureEnd(1, true);
    }

    function test_claim_10() public {
        _measureEnd(10, true);
    }

    function test_claim_25() public {
        _measureEnd(25, true);
    }

    function test_claim_50() public {
        _measureEnd(50, true);
    }

    function test_void_1() public {
        _measureEnd(1, false);
    }

    function test_void_10() public {
        _measureEnd(10, false);
    }

    function test_void_25() public {
        _measureEnd(25, false);
    }

    function test_void_50() public {
        _measureEnd(50, false);
    }

    /// @dev `n` returns of vouchers by 16 members.
    function _returns(uint256 n) private returns (P[] memory packets) {
        _warmUp();
        packets = new P[](n);
        for (uint256 i = 0; i < n; ++i) {
            packets[i] = _send(_receiver(i), VOUCHER, uint96(100 + i), bytes32(i + 1));
        }
        vm.warp(block.timestamp + 60);
    }

    function _measureAck(uint256 n, bool success, uint256 validators) private {
        if (validators != 4) _deploy(validators);
        P[] memory packets = _returns(n);
        bytes[] memory items = new bytes[](n);
        for (uint256 i = 0; i < n; ++i) {
            bytes32 preimage = bytes32(i + 1);
            chain.push("acked", 3, packets[i].sequence, success ? _successAck(preimage) : _errorAck());
            items[i] = success
                ? abi.encodePacked(uint8(1), preimage, _record(packets[i]))
                : abi.encodePacked(uint8(0), _record(packets[i]));
        }
        chain.endBlock(1);
        (bytes memory state, bytes memory outbox) = _deep("acked", packets);
        bytes memory batch = _batch(VOUCHER, items);
        gateway.ack(CLIENT, state, outbox, batch);
        vm.snapshotGasLastCall(GROUP, _name(success ? "ack" : "ack with refund", n, validators));
        assertEq(_stored(1, packets[n - 1].sequence), bytes32(0), "ended");
    }

    function test_ack_1_of_4_validators() public {
        _measureAck(1, true, 4);
    }

    function test_ack_10_of_4_validators() public {
        _measureAck(10, true, 4);
    }

    function test_ack_25_of_4_validators() public {
        _measureAck(25, true, 4);
    }

    function test_ack_50_of_4_validators() public {
        _measureAck(50, true, 4);
    }

    function test_ack_1_of_100_validators() public {
        _measureAck(1, true, 100);
    }

    function test_ack_10_of_100_validators() public {
        _measureAck(10, true, 100);
    }

    function test_ack_25_of_100_validators() public {
        _measureAck(25, true, 100);
    }

    function test_ack_50_of_100_validators() public {
        _measureAck(50, true, 100);
    }

    function test_refund_1_of_4_validators() public {
        _measureAck(1, false, 4);
    }

    function test_refund_10_of_4_validators() public {
        _measureAck(10, false, 4);
    }

    function test_refund_25_of_4_validators() public {
        _measureAck(25, false, 4);
    }

    function test_refund_50_of_4_validators() public {
        _measureAck(50, false, 4);
    }

    function test_refund_1_of_100_validators() public {
        _measureAck(1, false, 100);
    }

    function test_refund_10_of_100_validators() public {
        _measureAck(10, false, 100);
    }

    function test_refund_25_of_100_validators() public {
        _measureAck(25, false, 100);
    }

    function test_refund_50_of_100_validators() public {
        _measureAck(50, false, 100);
    }

    /// @dev The proofs of 50 packets stand under one root, so the store is built: 300 keys, about 9 siblings. Each doubling
    /// of the store adds 32 bytes of calldata (512 gas) and one hash (about 300 gas) to each packet.
    function _measureTimeout(uint256 n, uint256 validators) private {
        if (validators != 4) _deploy(validators);
        P[] memory packets = _returns(n);
        for (uint256 i = 0; i < 256; ++i) {
            chain.put(abi.encode("key", i), "value");
        }
        chain.endBlock(packets[n - 1].timeout - chain.time());
        vm.warp(packets[n - 1].timeout);
        bytes[] memory items = new bytes[](n);
        for (uint256 i = 0; i < n; ++i) {
            bytes memory proof = chain.absence(chain.path(2, packets[i].sequence));
            items[i] = abi.encodePacked(uint16(proof.length), proof, _record(packets[i]));
        }
        bytes memory state = chain.update();
        bytes memory batch = _batch(VOUCHER, items);
        gateway.timeout(CLIENT, state, batch);
        vm.snapshotGasLastCall(GROUP, _name("timeout", n, validators));
        assertEq(_stored(1, packets[n - 1].sequence), bytes32(0), "ended");
    }

    function test_timeout_1_of_4_validators() public {
        _measureTimeout(1, 4);
    }

    function test_timeout_10_of_4_validators() public {
        _measureTimeout(10, 4);
    }

    function test_timeout_25_of_4_validators() public {
        _measureTimeout(25, 4);
    }

    function test_timeout_50_of_4_validators() public {
        _measureTimeout(50, 4);
    }

    function test_timeout_1_of_100_validators() public {
        _measureTimeout(1, 100);
    }

    function test_timeout_10_of_100_validators() public {
        _measureTimeout(10, 100);
    }

    function test_timeout_25_of_100_validators() public {
        _measureTimeout(25, 100);
    }

    function test_timeout_50_of_100_validators() public {
        _measureTimeout(50, 100);
    }

    function test_send_vouchers() public {
        _returns(1);
        (ICrosspointGateway.Lock memory lock,) = _lock(_receiver(0), VOUCHER, 100, _hashlock("another"));
        vm.prank(_receiver(0));
        gateway.send(lock);
        vm.snapshotGasLastCall(GROUP, "send: vouchers");
    }

    function test_send_home_points() public {
        address plain = vm.deployCode("Tokens.sol:PlainToken", abi.encode(merchant));
        registry.listToken(CLIENT, plain, _noLimits());
        vm.prank(merchant);
        IERC20(plain).approve(address(gateway), 1000);
        string memory denom = Text.hexAddress(plain);
        _send(merchant, denom, 100);
        (ICrosspointGateway.Lock memory lock,) = _lock(merchant, denom, 100, _hashlock("another"));
        vm.prank(merchant);
        gateway.send(lock);
        vm.snapshotGasLastCall(GROUP, "send: home points");
    }
}
