// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Checkpoints, Header} from "../src/libraries/Checkpoints.sol";
import {Jmt} from "../src/libraries/Jmt.sol";
import {Outbox} from "../src/libraries/Outbox.sol";
import {Hasher, PacketHasher} from "../src/libraries/PacketHasher.sol";
import {Paths} from "../src/libraries/Paths.sol";
import {Batch, Batches, Record} from "../src/libraries/Records.sol";
import {Text} from "../src/libraries/Text.sol";
import {Test} from "./utils/Test.sol";
import {JmtTree, OutboxTree} from "./utils/Trees.sol";

/// @dev The libraries that read calldata, made callable.
contract Harness {
    function commitments(bytes calldata packets, bytes calldata dest, bool incoming)
        external
        view
        returns (bytes32[] memory out)
    {
        Batch memory batch = Batches.open(packets);
        Hasher hasher = PacketHasher.create(dest);
        out = new bytes32[](batch.items);
        for (uint256 i = 0; i < out.length; ++i) {
            Record record = batch.readRecord();
            out[i] = hasher.commitment(record, batch.denoms[record.denomIndex()], incoming);
        }
        batch.close();
    }

    function leaf(bytes32 client, uint256 kind, uint64 sequence, bytes32 value) external view returns (bytes32) {
        return PacketHasher.create("x").leaf(client, Paths.length(client), kind, sequence, value);
    }

    function outboxHead(bytes calldata blocks, bytes32[] memory leaves) external view returns (bytes32 head) {
        Batch memory reader;
        assembly ("memory-safe") {
            mstore(reader, blocks.offset)
            mstore(add(reader, 32), add(blocks.offset, blocks.length))
        }
        head = Outbox.head(reader, leaves);
        reader.close();
    }

    function isPrintable(string calldata text) external pure returns (bool) {
        return Text.isPrintable(text);
    }

    function rootOf(bytes32 keyHash, bytes32 valueHash, bytes calldata siblings) external view returns (bytes32) {
        return Jmt.rootOf(keyHash, valueHash, siblings);
    }

    function isMember(bytes32 root, bytes32 keyHash, bytes32 valueHash, bytes calldata siblings)
        external
        view
        returns (bool)
    {
        return Jmt.isMember(root, keyHash, valueHash, siblings);
    }

    function isAbsent(bytes32 root, bytes32 keyHash, bytes calldata proof) external view returns (bool) {
        return Jmt.isAbsent(root, keyHash, proof);
    }

    function verifyUpdate(bytes calldata update, bytes32 chainIdHash) external pure returns (bytes32, bytes32) {
        (Header memory header, bytes calldata certificate) = Checkpoints.readUpdate(update);
        bytes32 digest = Checkpoints.digest(header, chainIdHash);
        Checkpoints.verify(certificate, digest);
        return (header.setHash, digest);
    }
}

/// @dev The hot hashers against their plain twins, and against known answers of the Rust side
/// (light-proofs/examples/solidity_vectors.rs).
contract LibrariesTest is Test {
    struct Fields {
        uint64 sequence;
        uint64 timeout;
        uint64 claimDeadline;
        uint96 amount;
        address local;
        bytes32 hashlock;
    }

    Harness private harness;
    string private known;

    function setUp() public {
        harness = new Harness();
        known = vm.readFile("test/vectors/known_answers.json");
    }

    // ---- packets ----

    function _record(Fields memory f, bytes memory remote, bytes memory terms, bytes memory memo)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(
            abi.encodePacked(f.sequence, f.timeout, f.claimDeadline, f.amount, f.local, f.hashlock, uint8(0)),
            uint8(remote.length),
            uint16(terms.length),
            uint16(memo.length),
            remote,
            terms,
            memo
        );
    }

    function _plain(Fields memory f, bytes[4] memory texts, bool incoming, bytes memory dest)
        private
        pure
        returns (bytes32)
    {
        string memory local = Text.hexAddress(f.local);
        string memory remote = string(texts[1]);
        return PacketHasher.plainCommitment(
            dest,
            f.timeout,
            PacketHasher.PointsLock({
                denom: string(texts[0]),
                amount: f.amount,
                sender: incoming ? remote : local,
                receiver: incoming ? local : remote,
                hashlock: f.hashlock,
                claimDeadline: f.claimDeadline,
                terms: texts[2],
                memo: string(texts[3])
            })
        );
    }

    function _cut(bytes memory data, uint256 max) private pure returns (bytes memory) {
        if (data.length > max) {
            assembly ("memory-safe") {
                mstore(data, max)
            }
        }
        return data;
    }

    /// @dev Texts of an item: denom, remote party, terms, memo.
    function testFuzz_the_record_hasher_agrees_with_its_plain_twin(
        Fields[2] memory f,
        bytes[4] memory first,
        bytes[4] memory second,
        bool incoming,
        bytes memory dest
    ) public view {
        dest = _cut(dest, 32);
        second[0] = first[0] = _cut(first[0], 256);
        (first[1], second[1]) = (_cut(first[1], 128), _cut(second[1], 128));
        (first[3], second[3]) = (_cut(first[3], 512), _cut(second[3], 512));
        // Half of the time the hash of the timeout is used again.
        if (uint256(f[0].hashlock) & 1 == 0) f[1].timeout = f[0].timeout;
        bytes memory batch = abi.encodePacked(
            uint8(1),
            uint16(first[0].length),
            first[0],
            uint16(3),
            _record(f[0], first[1], first[2], first[3]),
            _record(f[1], second[1], second[2], second[3]),
            _record(f[0], first[1], first[2], first[3])
        );
        bytes32[] memory found = harness.commitments(batch, dest, incoming);
        assertEq(found[0], _plain(f[0], first, incoming, dest), "first");
        assertEq(found[1], _plain(f[1], second, incoming, dest), "second");
        assertEq(found[2], found[0], "nothing of the second is left over");
    }

    function testFuzz_hostile_batches_are_read_within_bounds(bytes calldata data) public view {
        try harness.commitments(data, "dest", true) returns (bytes32[] memory out) {
            assertTrue(out.length * 94 <= data.length, "no record out of thin air");
        } catch {}
    }

    function test_packets_of_the_rust_side_have_the_same_commitments() public view {
        for (uint256 i = 0; i < 14; ++i) {
            string memory place = string.concat(".packets[", vm.toString(i), "]");
            Fields memory f = Fields({
                sequence: uint64(vm.parseJsonUint(known, string.concat(place, ".sequence"))),
                timeout: uint64(vm.parseJsonUint(known, string.concat(place, ".timeout"))),
                claimDeadline: uint64(vm.parseJsonUint(known, string.concat(place, ".claimDeadline"))),
                amount: uint96(vm.parseJsonUint(known, string.concat(place, ".amount"))),
                local: address(bytes20(vm.parseJsonBytes(known, string.concat(place, ".local")))),
                hashlock: vm.parseJsonBytes32(known, string.concat(place, ".hashlock"))
            });
            bytes memory denom = bytes(vm.parseJsonString(known, string.concat(place, ".denom")));
            bool incoming = vm.parseJsonUint(known, string.concat(place, ".incoming")) == 1;
            bytes memory record = _record(
                f,
                bytes(vm.parseJsonString(known, string.concat(place, ".remote"))),
                "",
                vm.parseJsonBytes(known, string.concat(place, ".memo"))
            );
            bytes memory batch = abi.encodePacked(uint8(1), uint16(denom.length), denom, uint16(1), record);
            bytes32 expected = vm.parseJsonBytes32(known, string.concat(place, ".commitment"));
            (bytes32 source, bytes32 dest) = incoming
                ? (bytes32("attested-0"), bytes32("checkpoint-0"))
                : (bytes32("checkpoint-0"), bytes32("attested-0"));
            assertEq(harness.commitments(batch, Paths.text(dest), incoming)[0], expected, place);
            bytes32 leaf = vm.parseJsonBytes32(known, string.concat(place, ".leaf"));
            assertEq(harness.leaf(source, 1, f.sequence, expected), leaf, place);
            bytes memory path = vm.parseJsonBytes(known, string.concat(place, ".receiptPath"));
            assertEq(Paths.path(dest, 2, f.sequence), path, place);
        }
    }

    function test_acks_and_names_of_the_rust_side_have_the_same_hashes() public view {
        (bytes32 ack, bytes32 hashlock) = PacketHasher.success(vm.parseJsonBytes32(known, ".acks.preimage"));
        assertEq(ack, vm.parseJsonBytes32(known, ".acks.success"), "success");
        assertEq(hashlock, vm.parseJsonBytes32(known, ".acks.hashlock"), "hashlock");
        assertEq(PacketHasher.ERROR_ACK, vm.parseJsonBytes32(known, ".acks.error"), "error");
        assertEq(PacketHasher.PORT_HASH, sha256("points"), "port");
        assertEq(PacketHasher.VERSION_HASH, sha256("points-htlc-1"), "version");
        assertEq(PacketHasher.ENCODING_HASH, sha256("application/x-solidity-abi"), "encoding");
    }

    function testFuzz_leaves_and_keys_agree_with_their_plain_twins(
        uint8 length,
        uint8 kind,
        uint64 sequence,
        bytes32 value
    ) public view {
        bytes memory client = new bytes(1 + length % 32);
        for (uint256 i = 0; i < client.length; ++i) {
            client[i] = "a";
        }
        bytes memory path = abi.encodePacked(client, kind, sequence);
        bytes32 word = bytes32(client);
        assertEq(harness.leaf(word, kind, sequence, value), sha256(abi.encodePacked(uint8(0), path, value)), "leaf");
        assertEq(Paths.key(word, client.length, kind, sequence), keccak256(path), "key");
        assertEq(Paths.path(word, kind, sequence), path, "path");
    }

    function testFuzz_addresses_are_written_in_lower_case_hex(address account) public pure {
        bytes memory text = bytes(Text.hexAddress(account));
        uint256 value = 0;
        for (uint256 i = 2; i < 42; ++i) {
            uint8 c = uint8(text[i]);
            value = value << 4 | (c < 58 ? c - 48 : c - 87);
        }
        assertEq(text.length, 42, "length");
        assertEq(address(uint160(value)), account, "address");
    }

    function testFuzz_printable_agrees_with_its_plain_twin(bytes memory text, uint8 place, uint8 value) public view {
        for (uint256 i = 0; i < text.length; ++i) {
            text[i] = bytes1(uint8(bound(uint8(text[i]), 0x20, 0x7e)));
        }
        assertTrue(harness.isPrintable(string(text)), "printable");
        if (text.length == 0) return;
        text[place % text.length] = bytes1(value);
        assertTrue(harness.isPrintable(string(text)) == (value >= 0x20 && value <= 0x7e), "one byte of any value");
    }

    function test_client_ids_of_every_length_are_read_whole() public pure {
        bytes memory id;
        for (uint256 n = 1; n <= 32; ++n) {
            id = bytes.concat(id, "z");
            assertEq(Paths.length(bytes32(id)), n, "length");
            assertEq(Paths.text(bytes32(id)), id, "text");
        }
    }

    // ---- outboxes ----

    function testFuzz_an_outbox_proof_folds_to_the_head(uint256 seed, uint8 size, uint256 mask) public view {
        bytes32[] memory leaves = new bytes32[](bound(size, 1, 60));
        uint256[] memory indices = new uint256[](leaves.length);
        bytes32[] memory asked = new bytes32[](leaves.length);
        bytes memory places;
        uint256 n = 0;
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = keccak256(abi.encode(seed, i));
            // At least the last one.
            if (mask >> i & 1 == 0 && i + 1 < leaves.length) continue;
            (indices[n], asked[n]) = (i, leaves[i]);
            places = abi.encodePacked(places, uint32(i));
            ++n;
        }
        assembly ("memory-safe") {
            mstore(indices, n)
            mstore(asked, n)
        }
        bytes memory nodes = OutboxTree.prove(leaves, indices);
        bytes memory front = abi.encodePacked(
            bytes32(seed), uint16(2), uint16(0), keccak256("passed over"), uint16(n), uint32(leaves.length), places
        );
        bytes32 head = sha256(abi.encodePacked(bytes32(seed), keccak256("passed over")));
        head = sha256(abi.encodePacked(head, OutboxTree.root(leaves)));
        bytes memory blocks = abi.encodePacked(front, uint16(nodes.length / 32), nodes);
        bytes32[] memory forged = abi.decode(abi.encode(asked), (bytes32[]));
        forged[seed % n] ^= bytes32(uint256(1));
        assertEq(harness.outboxHead(blocks, asked), head, "head");
        assertTrue(harness.outboxHead(blocks, forged) != head, "a forged leaf gives another head");
        _expectRefused(abi.encodePacked(front, uint16(nodes.length / 32 + 1), nodes, bytes32("more")), asked);
        if (nodes.length >= 32) {
            bytes memory fewer = _cut(bytes.concat(nodes), nodes.length - 32);
            _expectRefused(abi.encodePacked(front, uint16(fewer.length / 32), fewer), asked);
        }
    }

    function _expectRefused(bytes memory blocks, bytes32[] memory leaves) private view {
        try harness.outboxHead(blocks, leaves) {
            revert NotTrue("nodes that do not fit must be refused");
        } catch {}
    }

    function test_outboxes_of_the_rust_side_have_the_same_heads() public view {
        for (uint256 i = 0; i < 9; ++i) {
            string memory place = string.concat(".trees[", vm.toString(i), "]");
            bytes memory flat = vm.parseJsonBytes(known, string.concat(place, ".leaves"));
            bytes32[] memory leaves = new bytes32[](flat.length / 32);
            for (uint256 j = 0; j < leaves.length; ++j) {
                assembly ("memory-safe") {
                    mstore(add(add(leaves, 32), shl(5, j)), mload(add(add(flat, 32), shl(5, j))))
                }
            }
            bytes memory nodes = vm.parseJsonBytes(known, string.concat(place, ".nodes"));
            bytes memory blocks = abi.encodePacked(
                bytes32(uint256(type(uint256).max) / 255 * 7),
                uint16(1),
                uint16(leaves.length),
                uint32(vm.parseJsonUint(known, string.concat(place, ".count"))),
                vm.parseJsonBytes(known, string.concat(place, ".indices")),
                uint16(nodes.length / 32),
                nodes
            );
            bytes32 head = vm.parseJsonBytes32(known, string.concat(place, ".head"));
            assertEq(harness.outboxHead(blocks, leaves), head, place);
        }
    }

    // ---- the provable store ----

    function _tree(uint256 seed, uint256 count) private pure returns (JmtTree.Leaf[] memory leaves) {
        leaves = new JmtTree.Leaf[](count);
        for (uint256 i = 0; i < count; ++i) {
            leaves[i] = JmtTree.Leaf(keccak256(abi.encode(seed, i)), keccak256(abi.encode("value", i)));
        }
    }

    function testFuzz_what_is_in_the_tree_is_a_member_and_not_absent(uint256 seed, uint8 size) public view {
        JmtTree.Leaf[] memory leaves = _tree(seed, bound(size, 1, 24));
        bytes32 root = JmtTree.root(leaves);
        JmtTree.Leaf memory leaf = leaves[seed % leaves.length];
        (, bytes memory siblings) = JmtTree.prove(leaves, leaf.keyHash);
        assertTrue(harness.isMember(root, leaf.keyHash, leaf.valueHash, siblings), "member");
        assertTrue(!harness.isMember(root, leaf.keyHash, keccak256("other"), siblings), "another value");
        for (uint256 i = 0; i < leaves.length; ++i) {
            (, bytes memory others) = JmtTree.prove(leaves, leaves[i].keyHash);
            bytes memory proof = abi.encodePacked(leaves[i].keyHash, leaves[i].valueHash, others);
            assertTrue(!harness.isAbsent(root, leaf.keyHash, proof), "no leaf shows a member absent");
        }
    }

    function testFuzz_what_is_not_in_the_tree_is_absent(uint256 seed, uint8 size, bytes32 key) public view {
        JmtTree.Leaf[] memory leaves = _tree(seed, bound(size, 1, 40));
        bytes32 root = JmtTree.root(leaves);
        (JmtTree.Leaf memory witness, bytes memory siblings) = JmtTree.prove(leaves, key);
        bytes memory proof = abi.encodePacked(witness.keyHash, witness.valueHash, siblings);
        assertTrue(harness.isAbsent(root, key, proof), "absent");
        assertTrue(!harness.isAbsent(keccak256("root"), key, proof), "another root");
    }

    function testFuzz_the_root_agrees_with_its_plain_twin(bytes32 key, bytes32 value, bytes32[] memory siblings)
        public
        view
    {
        bytes memory flat = _cut(abi.encodePacked(siblings), 256 * 32);
        assertEq(harness.rootOf(key, value, flat), JmtTree.rootOf(JmtTree.Leaf(key, value), flat), "root");
    }

    function test_proofs_of_a_wrong_length_prove_nothing() public view {
        bytes memory siblings = new bytes(256 * 32);
        bytes32 key = keccak256("key");
        bytes32 root = JmtTree.rootOf(JmtTree.Leaf(key, "v"), siblings);
        assertTrue(harness.isMember(root, key, "v", siblings), "256 siblings");
        assertTrue(!harness.isMember(root, key, "v", bytes.concat(siblings, bytes32(0))), "257 siblings");
        assertTrue(!harness.isMember(root, key, "v", bytes.concat(siblings, hex"00")), "a cut sibling");
        assertTrue(!harness.isAbsent(root, key, hex"00"), "a cut proof");
    }

    // ---- checkpoints ----

    function test_checkpoints_of_the_rust_side_are_accepted() public view {
        for (uint256 i = 0; i < 3; ++i) {
            string memory place = string.concat(".checkpoints[", vm.toString(i), "]");
            (bytes32 setHash, bytes32 digest) = harness.verifyUpdate(
                vm.parseJsonBytes(known, string.concat(place, ".update")), keccak256("crosspoint-1")
            );
            assertEq(setHash, vm.parseJsonBytes32(known, string.concat(place, ".setHash")), place);
            assertEq(digest, vm.parseJsonBytes32(known, string.concat(place, ".digest")), place);
        }
    }
}
