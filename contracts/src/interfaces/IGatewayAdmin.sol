// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What the registry sets in the gateway, and reads back
interface IGatewayAdmin {
    /// @notice A client and its counterparty. Slots: what never changes; what every send changes; counterparty; prefix.
    struct Route {
        address lightClient;
        uint8 prefixLength;
        bool membersOnly;
        bool paused;
        uint24 maxTimeout; // seconds
        uint24 minHold; // seconds
        uint24 maxDeadline; // seconds: a third of the trusting period
        uint64 lastSequence; // of the packets sent
        uint64 lastSendBlock;
        bytes32 counterparty;
        bytes32 prefix;
    }

    /// @notice The books and limits of one client and denom. Four slots, so laid out that an ack touches the second alone, a
    /// claim the first and the third. `out + held + backing` never exceeds 120 bits: send sees to it, and nothing else adds to it.
    struct Lane {
        address token;
        uint96 maxAmount;
        uint120 out; // home points: locked; vouchers: returning
        uint120 backing; // home points: the vault; vouchers: how many more there may be
        bool voucher;
        bool limited; // by `minAmount` or `memberPerDay`
        uint120 held; // in open holds
        uint120 inFlight;
        bool mints; // is `voucher`, where a claim sees it
        uint128 memberPerDay;
        uint96 minAmount;
    }

    function openRoute(bytes32 client, Route calldata route) external;
    function openLane(bytes32 laneKey, Lane calldata lane) external;
    function setIntents(address intents) external;
    function setLimits(bytes32 laneKey, uint96 minAmount, uint96 maxAmount, uint128 memberPerDay, uint120 inFlight)
        external;
    function setPaused(bytes32 client, bool paused) external;
    function setStanding(address account, uint8 standing) external;

    function routeOf(bytes32 client) external view returns (Route memory);
    function laneOf(bytes32 laneKey) external view returns (Lane memory);
    function standingOf(address account) external view returns (uint8);
}
