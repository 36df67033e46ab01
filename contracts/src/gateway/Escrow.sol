// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IPointsVoucher} from "../interfaces/IPointsVoucher.sol";
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

    /// @dev A lane while a batch runs. Written back once, before any token moves.
    struct Tally {
        bytes32 key; // 0: no such lane
        address token;
        bool voucher;
        uint256 maxAmount;
        uint256 inFlight;
        uint256 held;
        uint256 out;
        uint256 backing;
        uint256 outstanding; // vouchers at the start: supply and owed; 0 unless asked for
        uint256 memberPerDay;
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
    function _openTallies(bytes32 client, DenomRef[] memory denoms, bool incoming)
        internal
        view
        returns (Tally[] memory tallies)
    {
        tallies = new Tally[](denoms.length);
        for (uint256 i = 0; i < denoms.length; ++i) {
            bytes32 key = _laneKey(client, _hash(denoms[i]));
            if (incoming) key = _incoming[key];
            Lane storage lane = _lanes[key];
            address token = lane.token;
            if (token == address(0)) continue;
            Tally memory tally = tallies[i];
            tally.key = key;
            tally.token = token;
            tally.maxAmount = lane.maxAmount;
            tally.held = lane.held;
            tally.out = lane.out;
            tally.backing = lane.backing;
            tally.voucher = lane.voucher;
            tally.memberPerDay = lane.memberPerDay;
            tally.inFlight = lane.inFlight;
            // A denom named twice would be counted from two copies of one book.
            for (uint256 j = 0; j < i; ++j) {
                if (tallies[j].key == key) revert Malformed();
            }
        }
    }

    /// @dev Writes the books back.
    function _closeTallies(Tally[] memory tallies) internal {
        for (uint256 i = 0; i < tallies.length; ++i) {
            Tally memory tally = tallies[i];
            if (tally.key == 0) continue;
            Lane storage lane = _lanes[tally.key];
            lane.held = uint128(tally.held);
            lane.out = uint128(tally.out);
            if (!tally.voucher) lane.backing = uint128(tally.backing);
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

    function _hash(DenomRef denom) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            let length := and(denom, 0xffff)
            calldatacopy(buffer, shr(16, denom), length)
            hash := keccak256(buffer, length)
        }
    }
}
