// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What the registry sets in the gateway, and reads back
interface IGatewayAdmin {
    /// @notice A client and its counterparty. Three slots; the second changes with every send.
    struct Route {
        address lightClient;
        uint8 prefixLength;
        bool membersOnly;
        bool paused;
        uint64 lastSequence; // of the packets sent
        uint64 lastSendBlock;
        uint32 maxTimeout; // seconds
        uint32 minHold; // seconds
        uint32 maxDeadline; // seconds: a third of the trusting period
        bytes32 counterparty;
        bytes32 prefix;
    }

    /// @notice The books and limits of one client and denom. Four slots.
    struct Lane {
        address token;
        uint96 maxAmount;
        uint128 held; // in open holds
        uint128 out; // home points: locked; vouchers: returning
        uint128 backing; // home points: the vault; vouchers: the cap
        uint96 minAmount;
        bool voucher;
        uint128 memberPerDay;
        uint128 inFlight;
    }

    function openRoute(bytes32 client, Route calldata route) external;
    function openLane(bytes32 laneKey, bytes32 incomingKey, Lane calldata lane) external;
    function setIntents(address intents) external;
    function setLimits(bytes32 laneKey, uint96 minAmount, uint96 maxAmount, uint128 memberPerDay, uint128 inFlight)
        external;
    function setPaused(bytes32 client, bool paused) external;
    function setStanding(address account, uint8 standing) external;

    function routeOf(bytes32 client) external view returns (Route memory);
    function laneOf(bytes32 laneKey) external view returns (Lane memory);
    function standingOf(address account) external view returns (uint8);
}
