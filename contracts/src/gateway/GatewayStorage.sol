// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICrosspointGateway} from "../interfaces/ICrosspointGateway.sol";
import {IGatewayAdmin} from "../interfaces/IGatewayAdmin.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

/// @title All that the gateway stores, and who may set it
abstract contract GatewayStorage is ICrosspointGateway, IGatewayAdmin, ReentrancyGuard {
    /// @notice Slot 0, and never another: proofs of this contract's storage rely on it.
    mapping(bytes32 pathHash => bytes32) public commitments;

    mapping(bytes32 client => Route) internal _routes;
    /// @dev Keyed by `keccak256(client ‖ keccak256(denom as this chain names it))`.
    mapping(bytes32 laneKey => Lane) internal _lanes;
    /// @dev ICrosspointRegistry.Standing: 0 none, 1 member, 2 suspended, 3 reserved.
    mapping(address account => uint8) internal _standing;
    /// @dev Keyed by `keccak256(sender ‖ hashlock)`.
    mapping(bytes32 senderAndHashlock => bool) internal _hashlocks;
    /// @dev Keyed by `keccak256(lane key ‖ sender)`: UTC day << 128 | locked on that day less refunds.
    mapping(bytes32 laneAndSender => uint256) internal _spent;

    /// @notice Whether a token is a voucher that this gateway mints.
    mapping(address token => bool) public isVoucher;
    mapping(address token => mapping(address party => uint256)) public owed;
    mapping(address token => uint256) public owedTotal;

    uint8 internal constant STANDING_NONE = 0;
    uint8 internal constant STANDING_MEMBER = 1;
    uint8 internal constant STANDING_SUSPENDED = 2;
    uint8 internal constant STANDING_RESERVED = 3;

    /// @notice Checks payers' signatures, so that others may submit their locks. Named once; none before.
    address public intents;

    /// @notice Governance: it alone opens routes and lanes and sets limits, pause and standing.
    address public immutable registry;

    modifier onlyRegistry() {
        if (msg.sender != registry) revert Unauthorized();
        _;
    }

    constructor(address registry_) {
        registry = registry_;
    }

    function setIntents(address intents_) external onlyRegistry {
        if (intents != address(0)) revert Malformed();
        intents = intents_;
    }

    /// @notice Opens a client. Its counterparty never changes.
    function openRoute(bytes32 client, Route calldata route) external onlyRegistry {
        if (_routes[client].lightClient != address(0)) revert Malformed();
        _routes[client] = route;
    }

    /// @notice Opens a denom to a client. Its token never changes.
    function openLane(bytes32 laneKey, Lane calldata lane) external onlyRegistry {
        if (_lanes[laneKey].token != address(0)) revert Malformed();
        _lanes[laneKey] = lane;
        if (lane.voucher) isVoucher[lane.token] = true;
    }

    function setLimits(bytes32 laneKey, uint96 minAmount, uint96 maxAmount, uint128 memberPerDay, uint120 inFlight)
        external
        onlyRegistry
    {
        Lane storage lane = _lanes[laneKey];
        (lane.minAmount, lane.maxAmount) = (minAmount, maxAmount);
        (lane.memberPerDay, lane.inFlight) = (memberPerDay, inFlight);
        lane.limited = minAmount != 0 || memberPerDay != type(uint128).max;
    }

    /// @notice Blocks send and recv of a client, and nothing else.
    function setPaused(bytes32 client, bool paused) external onlyRegistry {
        _routes[client].paused = paused;
    }

    function setStanding(address account, uint8 standing) external onlyRegistry {
        _standing[account] = standing;
    }

    function routeOf(bytes32 client) external view returns (Route memory) {
        return _routes[client];
    }

    function laneOf(bytes32 laneKey) external view returns (Lane memory) {
        return _lanes[laneKey];
    }

    function standingOf(address account) external view returns (uint8) {
        return _standing[account];
    }

    function hashlockUsed(address sender, bytes32 hashlock) external view returns (bool) {
        return _hashlocks[keccak256(abi.encodePacked(sender, hashlock))];
    }

    /// @dev Whether an account may lock or claim on a route.
    function _mayTransact(address account, bool membersOnly) internal view returns (bool) {
        uint8 standing = _standing[account];
        return standing == STANDING_MEMBER || (standing == STANDING_NONE && !membersOnly);
    }

    function _laneKey(bytes32 client, bytes32 denomHash) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(client, denomHash));
    }

    function _isOpen(Route storage route, bytes32 client) internal view {
        if (route.lightClient == address(0)) revert UnknownClient(client);
    }
}
