// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vm} from "./Test.sol";
import {JmtTree, OutboxTree} from "./Trees.sol";

/// @dev The native chain as the gateway sees it: a provable store, two outboxes per client, validators that sign.
contract NativeChain {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    struct Block {
        bytes32 previousHead;
        bytes32 root;
        bytes32[] leaves;
        uint64[] sequences;
    }

    struct List {
        bytes32 head;
        bytes32[] pendingLeaves;
        uint64[] pendingSequences;
        Block[] blocks;
    }

    string public chainId;
    string public client;
    uint64 public height = 1;
    uint64 public time;
    uint256[] public keys;
    uint96[] public powers;
    uint256[] public nextKeys;
    mapping(string list => List) private _lists;
    bytes32[] private _storeKeys;
    mapping(bytes32 keyHash => bytes32) private _storeValues;

    constructor(string memory chainId_, string memory client_, uint64 time_, uint256 validators) {
        chainId = chainId_;
        client = client_;
        time = time_;
        for (uint256 i = 0; i < validators; ++i) {
            keys.push(uint256(keccak256(abi.encode("validator", i))));
            powers.push(100);
        }
        _sort();
        // Something is always in the store.
        put("chain/id", bytes(chainId_));
        put("chain/genesis", "genesis");
    }

    // ---- state ----

    function put(bytes memory key, bytes memory value) public {
        bytes32 keyHash = sha256(key);
        if (_storeValues[keyHash] == 0) _storeKeys.push(keyHash);
        _storeValues[keyHash] = sha256(value);
    }

    function path(uint8 kind, uint64 sequence) public view returns (bytes memory) {
        return abi.encodePacked(client, kind, sequence);
    }

    /// @dev A packet was sent (kind 1) or an ack written (kind 3) in the present block.
    function push(string memory list, uint8 kind, uint64 sequence, bytes32 value) external {
        List storage l = _lists[list];
        l.pendingLeaves.push(sha256(abi.encodePacked(uint8(0), path(kind, sequence), value)));
        l.pendingSequences.push(sequence);
    }

    function receipt(uint64 sequence, bytes32 commitment) external {
        put(path(2, sequence), abi.encodePacked(commitment));
    }

    function endBlock(uint64 seconds_) public {
        _endList("sent");
        _endList("acked");
        height += 1;
        time += seconds_;
    }

    function _endList(string memory list) private {
        List storage l = _lists[list];
        if (l.pendingLeaves.length == 0) return;
        Block storage b = l.blocks.push();
        b.previousHead = l.head;
        b.leaves = l.pendingLeaves;
        b.sequences = l.pendingSequences;
        b.root = OutboxTree.root(b.leaves);
        l.head = sha256(abi.encodePacked(l.head, b.root));
        put(abi.encodePacked("outbox/", client, "/", list), abi.encodePacked(l.head));
        delete l.pendingLeaves;
        delete l.pendingSequences;
    }

    function headOf(string memory list) external view returns (bytes32) {
        return _lists[list].head;
    }

    // ---- proofs ----

    function leaves() public view returns (JmtTree.Leaf[] memory out) {
        out = new JmtTree.Leaf[](_storeKeys.length);
        for (uint256 i = 0; i < out.length; ++i) {
            out[i] = JmtTree.Leaf(_storeKeys[i], _storeValues[_storeKeys[i]]);
        }
    }

    function appHash() public view returns (bytes32) {
        return JmtTree.root(leaves());
    }

    function membership(bytes memory key) public view returns (bytes memory siblings) {
        JmtTree.Leaf memory witness;
        (witness, siblings) = JmtTree.prove(leaves(), sha256(key));
        require(witness.keyHash == sha256(key), "key is not in the store");
    }

    function absence(bytes memory key) public view returns (bytes memory) {
        (JmtTree.Leaf memory witness, bytes memory siblings) = JmtTree.prove(leaves(), sha256(key));
        return abi.encodePacked(witness.keyHash, witness.valueHash, siblings);
    }

    /// @dev The outbox proof of these sequences, which stand in the list in this order.
    function outbox(string memory list, uint64[] memory sequences) external view returns (bytes memory) {
        List storage l = _lists[list];
        bytes memory siblings = membership(abi.encodePacked("outbox/", client, "/", list));
        uint256 found = 0;
        uint16 count = 0;
        bytes32 previous;
        bytes memory blocks;
        for (uint256 i = 0; i < l.blocks.length; ++i) {
            Block storage b = l.blocks[i];
            uint256[] memory indices = new uint256[](sequences.length - found);
            uint256 n = 0;
            for (uint256 j = 0; j < b.sequences.length; ++j) {
                if (found < sequences.length && b.sequences[j] == sequences[found]) {
                    indices[n++] = j;
                    ++found;
                }
            }
            assembly ("memory-safe") {
                mstore(indices, n)
            }
            if (n == 0 && count == 0) continue;
            if (count == 0) previous = b.previousHead;
            blocks = bytes.concat(blocks, _block(b, indices));
            ++count;
        }
        require(found == sequences.length, "not all are in the list, or not in this order");
        return abi.encodePacked(uint16(siblings.length / 32), siblings, previous, count, blocks);
    }

    function _block(Block storage b, uint256[] memory indices) private view returns (bytes memory out) {
        if (indices.length == 0) return abi.encodePacked(uint16(0), b.root);
        out = abi.encodePacked(uint16(indices.length), uint32(b.leaves.length));
        for (uint256 i = 0; i < indices.length; ++i) {
            out = abi.encodePacked(out, uint32(indices[i]));
        }
        bytes memory nodes = OutboxTree.prove(b.leaves, indices);
        return abi.encodePacked(out, uint16(nodes.length / 32), nodes);
    }

    // ---- checkpoints ----

    function setOf(uint256[] memory keys_) public view returns (bytes memory set) {
        for (uint256 i = 0; i < keys_.length; ++i) {
            set = abi.encodePacked(set, vm.addr(keys_[i]), powers[i]);
        }
    }

    function allKeys() public view returns (uint256[] memory) {
        return keys;
    }

    /// @dev The header of the present height: it carries the state after the block before.
    function header() external view returns (bytes memory) {
        bytes32 set = keccak256(setOf(keys));
        bytes32 next = nextKeys.length == 0 ? set : keccak256(setOf(nextKeys));
        return abi.encodePacked(height, time, appHash(), set, next);
    }

    /// @dev An update to the present height by the first validators that make more than 2/3.
    function update() external view returns (bytes memory) {
        return update(keys.length * 2 / 3 + 1);
    }

    function update(uint256 signers) public view returns (bytes memory) {
        return signed(height, time, appHash(), signers);
    }

    /// @dev The same with contents of one's choice.
    function signed(uint64 height_, uint64 time_, bytes32 appHash_, uint256 signers)
        public
        view
        returns (bytes memory)
    {
        bytes memory set = setOf(keys);
        bytes32 setHash = keccak256(set);
        bytes32 next = nextKeys.length == 0 ? setHash : keccak256(setOf(nextKeys));
        bytes memory head = next == setHash
            ? abi.encodePacked(uint8(1), height_, time_, appHash_)
            : abi.encodePacked(uint8(2), height_, time_, appHash_, next);
        bytes32 digest = digestOf(height_, time_, appHash_, setHash, next);
        return abi.encodePacked(head, uint8(keys.length), set, certificate(digest, signers));
    }

    /// @dev Bitmap and signatures of the first `signers` validators.
    function certificate(bytes32 digest, uint256 signers) public view returns (bytes memory) {
        bytes memory bitmap = new bytes((keys.length + 7) / 8);
        bytes memory signatures;
        for (uint256 i = 0; i < signers; ++i) {
            bitmap[i / 8] = bytes1(uint8(bitmap[i / 8]) | uint8(1 << (i % 8)));
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[i], digest);
            signatures = abi.encodePacked(signatures, r, bytes32(uint256(s) | uint256(v - 27) << 255));
        }
        return abi.encodePacked(bitmap, signatures);
    }

    function digestOf(uint64 height_, uint64 time_, bytes32 appHash_, bytes32 setHash, bytes32 next)
        public
        view
        returns (bytes32)
    {
        return keccak256(
            abi.encode(
                keccak256("crosspoint/checkpoint/v1"),
                keccak256(bytes(chainId)),
                height_,
                time_,
                appHash_,
                setHash,
                next
            )
        );
    }

    /// @dev From the next block on other keys sign; the present header says so.
    function rotate(uint256 salt) external {
        delete nextKeys;
        for (uint256 i = 0; i < keys.length; ++i) {
            nextKeys.push(uint256(keccak256(abi.encode("rotated", salt, i))));
        }
        _sortList(nextKeys);
    }

    function finishRotation() external {
        keys = nextKeys;
        delete nextKeys;
    }

    function _sort() private {
        _sortList(keys);
    }

    function _sortList(uint256[] storage list) private {
        for (uint256 i = 1; i < list.length; ++i) {
            for (uint256 j = i; j > 0 && vm.addr(list[j]) < vm.addr(list[j - 1]); --j) {
                (list[j], list[j - 1]) = (list[j - 1], list[j]);
            }
        }
    }
}
