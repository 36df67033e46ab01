// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PointsVoucher} from "./PointsVoucher.sol";
import {ICrosspointGateway} from "./interfaces/ICrosspointGateway.sol";
import {ICrosspointRegistry} from "./interfaces/ICrosspointRegistry.sol";
import {IGatewayAdmin} from "./interfaces/IGatewayAdmin.sol";
import {ILightClient} from "./interfaces/ILightClient.sol";
import {Paths} from "./libraries/Paths.sol";
import {Text} from "./libraries/Text.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";

/// @title Governance of the gateway: what may be set, by whom, and lists of all there is
/// @notice Who may call is for the access manager to say; before roles are given out, its admin.
contract CrosspointRegistry is ICrosspointRegistry, AccessManaged {
    struct Client {
        string chainId;
        uint64 openedBlock;
    }

    struct Denom {
        bytes32 client;
        string denom;
        string packetDenom;
    }

    uint256 private constant MAX_DENOM = 256;

    /// @notice The gateway, once bound.
    address public gateway;
    bytes32[] private _clientIds;
    mapping(bytes32 client => Client) private _clients;
    Denom[] private _denoms;

    constructor(address accessManager) AccessManaged(accessManager) {}

    function bind(address gateway_) external restricted {
        if (gateway != address(0)) revert AlreadyBound();
        if (gateway_.code.length == 0) revert Invalid("gateway");
        gateway = gateway_;
        _reserve(gateway_);
        _reserve(address(this));
    }

    function bindIntents(address intents) external restricted {
        if (intents.code.length == 0) revert Invalid("intents");
        IGatewayAdmin(gateway).setIntents(intents);
        _reserve(intents);
    }

    function openClient(ClientConfig calldata config, bytes calldata anchor) external restricted {
        if (_clients[config.client].openedBlock != 0) revert Exists();
        if (!_isClientId(config.client)) revert Invalid("client");
        if (!_isClientId(config.counterparty)) revert Invalid("counterparty");
        uint256 chainIdLength = bytes(config.chainId).length;
        if (chainIdLength < 3 || chainIdLength > 48) revert Invalid("chainId");
        if (config.prefix.length > 32) revert Invalid("prefix");
        if (config.lightClient.code.length == 0) revert Invalid("lightClient");
        WindowRules calldata rules = config.rules;
        uint32 maxDeadline = rules.trustingPeriod / 3;
        if (rules.maxTimeout == 0 || maxDeadline < rules.minHold) revert Invalid("rules");
        if (rules.maxTimeout > type(uint24).max || maxDeadline > type(uint24).max) revert Invalid("rules");

        IGatewayAdmin.Route memory route;
        route.lightClient = config.lightClient;
        route.prefixLength = uint8(config.prefix.length);
        route.membersOnly = config.membersOnly;
        route.maxTimeout = uint24(rules.maxTimeout);
        route.minHold = uint24(rules.minHold);
        route.maxDeadline = uint24(maxDeadline);
        route.counterparty = config.counterparty;
        route.prefix = bytes32(config.prefix);

        _clientIds.push(config.client);
        _clients[config.client] = Client(config.chainId, uint64(block.number));
        IGatewayAdmin(gateway).openRoute(config.client, route);
        ILightClient(config.lightClient).create(config.client, config.chainId, rules.trustingPeriod, anchor);
        _reserve(config.lightClient);
        emit ClientOpened(config.client, config.counterparty, config.lightClient, config.chainId);
    }

    function openVoucher(
        bytes32 client,
        string calldata packetDenom,
        string calldata name,
        string calldata symbol,
        uint8 decimals,
        uint128 cap,
        Limits calldata limits
    ) external restricted returns (address token) {
        IGatewayAdmin.Route memory route = _route(client);
        string memory denom = string.concat("points/", string(Paths.text(client)), "/", packetDenom);
        if (bytes(packetDenom).length < 3 || bytes(denom).length > MAX_DENOM || !Text.isPrintable(packetDenom)) {
            revert Invalid("packetDenom");
        }
        // A denom that came from here returns; it is no voucher.
        bytes memory home = abi.encodePacked("points/", Paths.text(route.counterparty), "/");
        if (_startsWith(bytes(packetDenom), home)) revert Invalid("packetDenom");
        if (cap == 0 || cap > type(uint120).max) revert Invalid("cap");
        token = address(new PointsVoucher(gateway, name, symbol, decimals));
        _openLane(client, denom, packetDenom, _lane(token, true, cap, limits));
    }

    function listToken(bytes32 client, address token, Limits calldata limits) external restricted {
        IGatewayAdmin.Route memory route = _route(client);
        if (token.code.length == 0 || ICrosspointGateway(gateway).isVoucher(token)) revert Invalid("token");
        string memory denom = Text.hexAddress(token);
        string memory packetDenom = string.concat("points/", string(Paths.text(route.counterparty)), "/", denom);
        _openLane(client, denom, packetDenom, _lane(token, false, 0, limits));
    }

    function setLimits(bytes32 client, string calldata denom, Limits calldata limits) external restricted {
        bytes32 key = _laneKey(client, denom);
        if (IGatewayAdmin(gateway).laneOf(key).token == address(0)) revert NotFound();
        IGatewayAdmin(gateway)
            .setLimits(key, limits.minAmount, limits.maxAmount, limits.memberPerDay, _inFlight(limits));
        emit LimitsSet(client, denom, limits);
    }

    function pause(bytes32 client) external restricted {
        _setPaused(client, true);
    }

    function unpause(bytes32 client) external restricted {
        _setPaused(client, false);
    }

    function setStanding(address[] calldata accounts, Standing standing) external restricted {
        if (standing == Standing.Reserved) revert Invalid("standing");
        for (uint256 i = 0; i < accounts.length; ++i) {
            // What is a token or an escrow stays one.
            if (IGatewayAdmin(gateway).standingOf(accounts[i]) == uint8(Standing.Reserved)) revert Invalid("account");
            IGatewayAdmin(gateway).setStanding(accounts[i], uint8(standing));
            emit StandingSet(accounts[i], standing);
        }
    }

    function reanchor(bytes32 client, bytes calldata anchor) external restricted {
        ILightClient(_route(client).lightClient).reanchor(client, anchor);
        emit Reanchored(client);
    }

    function clientCount() external view returns (uint256) {
        return _clientIds.length;
    }

    function clientAt(uint256 index) external view returns (ClientInfo memory) {
        return clientInfo(_clientIds[index]);
    }

    function clientInfo(bytes32 client) public view returns (ClientInfo memory info) {
        IGatewayAdmin.Route memory route = _route(client);
        ILightClient.Status memory status = ILightClient(route.lightClient).status(client);
        info.client = client;
        info.counterparty = route.counterparty;
        info.lightClient = route.lightClient;
        info.chainId = _clients[client].chainId;
        bytes memory prefix = new bytes(route.prefixLength);
        for (uint256 i = 0; i < prefix.length; ++i) {
            prefix[i] = route.prefix[i];
        }
        info.prefix = prefix;
        info.rules = WindowRules(route.maxTimeout, route.minHold, status.trustingPeriod);
        info.membersOnly = route.membersOnly;
        info.paused = route.paused;
        info.nextSequence = route.lastSequence + 1;
        info.lastSendBlock = route.lastSendBlock;
        info.openedBlock = _clients[client].openedBlock;
        info.trustedHeight = status.height;
        info.trustedTime = status.time;
        info.generation = status.generation;
        info.frozen = status.frozen;
        info.setHash = status.setHash;
    }

    function denomCount() external view returns (uint256) {
        return _denoms.length;
    }

    function supplyAt(uint256 index) external view returns (Supply memory) {
        Denom storage entry = _denoms[index];
        return _supply(entry.client, entry.denom, entry.packetDenom);
    }

    function supplyOf(bytes32 client, string calldata denom) external view returns (Supply memory) {
        bytes32 key = _laneKey(client, denom);
        for (uint256 i = 0; i < _denoms.length; ++i) {
            Denom storage entry = _denoms[i];
            if (_laneKey(entry.client, entry.denom) == key) return _supply(client, denom, entry.packetDenom);
        }
        revert NotFound();
    }

    function tokenOf(bytes32 client, string calldata denom) external view returns (address) {
        return IGatewayAdmin(gateway).laneOf(_laneKey(client, denom)).token;
    }

    function _supply(bytes32 client, string memory denom, string memory packetDenom)
        private
        view
        returns (Supply memory supply)
    {
        IGatewayAdmin.Lane memory lane = IGatewayAdmin(gateway).laneOf(_laneKey(client, denom));
        supply.client = client;
        supply.denom = denom;
        supply.packetDenom = packetDenom;
        supply.token = lane.token;
        supply.voucher = lane.voucher;
        supply.held = lane.held;
        supply.owed = ICrosspointGateway(gateway).owedTotal(lane.token);
        if (lane.voucher) {
            supply.circulating = IERC20Metadata(lane.token).totalSupply();
            supply.returning = lane.out;
            supply.cap = supply.circulating + supply.owed + lane.out + lane.held + lane.backing;
        } else {
            supply.locked = lane.out;
            supply.vault = lane.backing;
        }
        supply.symbol = _symbol(lane.token);
    }

    /// @dev A token's symbol, at most 32 printable characters; empty if it has none. Some tokens give a bytes32, a listed
    /// one may give anything: it must not be able to make these lists, and so the audit, unreadable.
    function _symbol(address token) private view returns (string memory) {
        bytes memory request = abi.encodeCall(IERC20Metadata.symbol, ());
        uint256 size = 0;
        uint256 length = 32;
        bytes32 word;
        assembly ("memory-safe") {
            let answer := mload(0x40)
            if staticcall(100000, token, add(request, 32), mload(request), answer, 96) {
                size := returndatasize()
            }
            word := mload(answer)
            if gt(size, 95) {
                if lt(mload(add(answer, 32)), 32) { length := mload(add(answer, 32)) }
                word := mload(add(answer, 64))
            }
        }
        if (size != 32 && size < 96) return "";
        bytes memory symbol = new bytes(length);
        uint256 kept = 0;
        for (uint256 i = 0; i < length; ++i) {
            if (word[i] > 0x1f && word[i] < 0x7f) symbol[kept++] = word[i];
        }
        assembly ("memory-safe") {
            mstore(symbol, kept)
        }
        return string(symbol);
    }

    function _openLane(bytes32 client, string memory denom, string memory packetDenom, IGatewayAdmin.Lane memory lane)
        private
    {
        bytes32 key = _laneKey(client, denom);
        if (IGatewayAdmin(gateway).laneOf(key).token != address(0)) revert Exists();
        _denoms.push(Denom(client, denom, packetDenom));
        IGatewayAdmin(gateway).openLane(key, lane);
        _reserve(lane.token);
        emit DenomListed(client, denom, lane.token, lane.voucher);
    }

    function _lane(address token, bool voucher, uint128 cap, Limits calldata limits)
        private
        pure
        returns (IGatewayAdmin.Lane memory lane)
    {
        lane.token = token;
        (lane.voucher, lane.mints) = (voucher, voucher);
        lane.backing = uint120(cap);
        (lane.minAmount, lane.maxAmount) = (limits.minAmount, limits.maxAmount);
        (lane.memberPerDay, lane.inFlight) = (limits.memberPerDay, _inFlight(limits));
        lane.limited = limits.minAmount != 0 || limits.memberPerDay != type(uint128).max;
    }

    /// @dev The books of a lane hold 120 bits in any case: a limit above is none.
    function _inFlight(Limits calldata limits) private pure returns (uint120) {
        return limits.inFlight > type(uint120).max ? type(uint120).max : uint120(limits.inFlight);
    }

    function _route(bytes32 client) private view returns (IGatewayAdmin.Route memory route) {
        route = IGatewayAdmin(gateway).routeOf(client);
        if (route.lightClient == address(0)) revert NotFound();
    }

    function _setPaused(bytes32 client, bool paused) private {
        _route(client);
        IGatewayAdmin(gateway).setPaused(client, paused);
        emit PauseSet(client, paused);
    }

    function _reserve(address account) private {
        IGatewayAdmin(gateway).setStanding(account, uint8(Standing.Reserved));
    }

    function _laneKey(bytes32 client, string memory denom) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(client, keccak256(bytes(denom))));
    }

    /// @dev 4 to 32 of a-z, 0-9 and -, then zero bytes.
    function _isClientId(bytes32 client) private pure returns (bool) {
        uint256 length = Paths.length(client);
        if (length < 4) return false;
        for (uint256 i = 0; i < 32; ++i) {
            bytes1 c = client[i];
            if (i >= length ? c != 0 : !((c >= "a" && c <= "z") || (c >= "0" && c <= "9") || c == "-")) return false;
        }
        return true;
    }

    function _startsWith(bytes memory text, bytes memory prefix) private pure returns (bool) {
        if (text.length < prefix.length) return false;
        for (uint256 i = 0; i < prefix.length; ++i) {
            if (text[i] != prefix[i]) return false;
        }
        return true;
    }
}
