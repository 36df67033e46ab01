// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {GatewayStorage} from "./gateway/GatewayStorage.sol";
import {Locks} from "./gateway/Locks.sol";

/// @title The Crosspoint gateway of an EVM chain: the hot path, immutable
/// @notice gateway/Sending: send · gateway/Receiving: recv · gateway/Holds: claim, void · gateway/Locks: ack, timeout ·
/// gateway/Escrow: books, payouts, withdraw · gateway/GatewayStorage: what is stored and who may set it.
contract CrosspointGateway is Locks {
    constructor(address registry_) GatewayStorage(registry_) {}
}
