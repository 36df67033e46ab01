// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IPointsVoucher} from "../interfaces/IPointsVoucher.sol";
import {Paths} from "../libraries/Paths.sol";
import {DenomRef} from "../libraries/Records.sol";
import {GatewayStorage} from "./GatewayStorage.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title The books of a batch, and payouts that can fail without failing anything else
abstract contract Escrow is GatewayStorage {
    /// @dev Gas that every payout call gets, no more and no less: an item is taken up only if it is there, so
    /// that whoever submits a batch cannot make a payout fail by giving too little.
    uint256 internal constant PAYOUT_GAS = 100_000;
    /// @dev Gas that every other step of an item and the end of the batch need at most.
    uint256 internal constant ITEM_GAS = 60_000;

    /// @dev Which slots of a lane a batch needs. What is not loaded is 0 in the tally and not written back.
    uint256 internal constant TOKEN = 1;
    uint256 internal constant BOOKS = 2; // of what was sent, and the backing
    uint256 internal constant HOLDS = 4;
    /// @dev `points/`, left-aligned.
    uint256 private constant HOP = 0x706f696e74732f << 200;

    /// @dev A lane while a batch runs. Written back once, before any token moves.
    struct Tally {
        bytes32 key;
        address token; // 0: no such lane, or not loaded
        uint256 maxAmount;
        uint256 out;
        uint256 backing;
        uint256 held;
        uint256 inFlight;
        bool voucher;
        bool limited;
    }

    /// @dev Points to be paid once all books are written.
    struct Payout {
        address token;
        address party;
        uint256 amount;
        bool voucher;
        bool credit; // not to be sent now: the party is suspended
    }

    /// @dev The lane of each denom of a batch, in its order.
    function _openTallies(bytes32 client, DenomRef[] memory denoms, bool incoming, uint256 slots)
        internal
        view
        returns (Tally[] memory tallies)
    {
        tallies = new Tally[](denoms.length);
        for (uint256 i = 0; i < denoms.length; ++i) {
            bytes32 key = _laneKey(client, incoming ? _receivedHash(client, denoms[i]) : _hash(denoms[i]));
            Lane storage lane = _lanes[key];
            Tally memory tally = tallies[i];
            tally.key = key;
            if (slots & TOKEN != 0) (tally.token, tally.maxAmount) = (lane.token, lane.maxAmount);
            if (slots & HOLDS != 0) {
                (tally.held, tally.inFlight, tally.voucher) = (lane.held, lane.inFlight, lane.mints);
            }
            if (slots & BOOKS != 0) {
                (tally.out, tally.backing) = (lane.out, lane.backing);
                (tally.voucher, tally.limited) = (lane.voucher, lane.limited);
            }
            // A denom named twice would be counted from two copies of one book.
            for (uint256 j = 0; j < i; ++j) {
                if (tallies[j].key == key) revert Malformed();
            }
        }
    }

    /// @dev Writes the books back. They fit: no step of a batch adds more to one than it takes from the others.
    function _closeTallies(Tally[] memory tallies, uint256 slots) internal {
        for (uint256 i = 0; i < tallies.length; ++i) {
            Tally memory tally = tallies[i];
            Lane storage lane = _lanes[tally.key];
            if (slots & HOLDS != 0) lane.held = uint120(tally.held);
            if (slots & BOOKS != 0) (lane.out, lane.backing) = (uint120(tally.out), uint120(tally.backing));
        }
    }

    /// @dev Pays, or credits what cannot be paid.
    function _pay(Payout[] memory payouts, uint256 count) internal {
        for (uint256 i = 0; i < count; ++i) {
            Payout memory payout = payouts[i];
            // A call passes on at most 63/64 of what is left; with less the whole batch is undone.
            if (gasleft() < PAYOUT_GAS + PAYOUT_GAS / 32) revert NotEnoughGas();
            if (payout.credit || !_transfer(payout.token, payout.party, payout.amount, payout.voucher, PAYOUT_GAS)) {
                owed[payout.token][payout.party] += payout.amount;
                owedTotal[payout.token] += payout.amount;
                emit Owed(payout.token, payout.party, payout.amount);
            }
        }
    }

    function withdraw(address token, address party) external nonReentrant {
        uint256 amount = owed[token][party];
        if (amount == 0) revert NothingOwed();
        if (_standing[party] == STANDING_SUSPENDED) revert MayNotTransact(party);
        owed[token][party] = 0;
        owedTotal[token] -= amount;
        if (!_transfer(token, party, amount, isVoucher[token], gasleft())) revert PayoutFailed();
        emit Withdrawn(token, party, amount);
    }

    /// @dev Mints or transfers with a fixed allowance of gas and reads at most one word back, so that a token
    /// can neither fail the batch nor swell its memory. True if the token says so, or says nothing and is code.
    function _transfer(address token, address party, uint256 amount, bool voucher, uint256 gas_)
        private
        returns (bool ok)
    {
        bytes memory data = voucher
            ? abi.encodeCall(IPointsVoucher.mint, (party, amount))
            : abi.encodeCall(IERC20.transfer, (party, amount));
        assembly ("memory-safe") {
            mstore(0, 0)
            ok := call(gas_, token, 0, add(data, 32), mload(data), 0, 32)
            if ok {
                switch returndatasize()
                case 0 { ok := gt(extcodesize(token), 0) }
                default { ok := and(gt(returndatasize(), 31), eq(mload(0), 1)) }
            }
        }
    }

    /// @dev Whether gas for one more item is left beside that for the payouts already promised.
    function _gasForItem(uint256 payouts) internal view returns (bool) {
        return gasleft() > ITEM_GAS + (payouts + 1) * (PAYOUT_GAS + PAYOUT_GAS / 32);
    }

    /// @dev The hash of a denom's name on this chain, from how a packet to this chain carries it (docs/protocol.md): one that
    /// starts with the counterparty's hop loses it, any other gains this client's. What would still have a hop without it is
    /// no home denom: it gains one too, and the registry opens no lane of such a name.
    function _receivedHash(bytes32 client, DenomRef denom) private view returns (bytes32 hash) {
        uint256 start = DenomRef.unwrap(denom) >> 16;
        uint256 length = DenomRef.unwrap(denom) & 0xffff;
        uint256 first;
        assembly ("memory-safe") {
            first := calldataload(start)
        }
        // Past the end of a short denom other bytes of the batch were read; a whole hop is longer.
        if (first >> 200 == HOP >> 200) {
            bytes32 source = _routes[client].counterparty;
            uint256 prefix = 8 + Paths.length(source);
            assembly ("memory-safe") {
                first := calldataload(add(start, prefix))
            }
            bool home = length > prefix && first >> 200 != HOP >> 200;
            if (home && _hash(_slice(start, prefix)) == _hopHash(source, prefix)) {
                return _hash(_slice(start + prefix, length - prefix));
            }
        }
        uint256 own = 8 + Paths.length(client);
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, HOP)
            mstore(add(buffer, 7), client)
            mstore8(add(buffer, sub(own, 1)), 0x2f)
            calldatacopy(add(buffer, own), start, length)
            hash := keccak256(buffer, add(own, length))
        }
    }

    /// @dev `keccak256("points/" ‖ client ‖ "/")`, in `length` bytes.
    function _hopHash(bytes32 client, uint256 length) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            // At most 40 bytes: they fit the scratch space.
            mstore(0, HOP)
            mstore(7, client)
            mstore8(sub(length, 1), 0x2f)
            hash := keccak256(0, length)
        }
    }

    function _slice(uint256 start, uint256 length) private pure returns (DenomRef) {
        return DenomRef.wrap(start << 16 | length);
    }

    function _hash(DenomRef denom) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            let length := and(denom, 0xffff)
            calldatacopy(buffer, shr(16, denom), length)
            hash := keccak256(buffer, length)
        }
    }
}
