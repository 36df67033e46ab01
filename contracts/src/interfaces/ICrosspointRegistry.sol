// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Governance of the gateway: clients, denoms, limits, pause, members
interface ICrosspointRegistry {
    /// @notice Bounds on deadlines, in seconds.
    struct WindowRules {
        uint32 maxTimeout;
        uint32 minHold;
        uint32 trustingPeriod;
    }

    /// @notice A client and its counterparty. None of it ever changes.
    struct ClientConfig {
        bytes32 client; // this chain's id of the client
        bytes32 counterparty; // the other chain's id of the client that follows this chain
        address lightClient;
        string chainId; // of the other chain
        bytes prefix; // before every key in the other chain's store, at most 32 bytes; native chains have none
        WindowRules rules;
        bool membersOnly; // only accounts with standing Member may lock and claim
    }

    /// @notice Limits of one client and denom, in base units. `max` of the type: no limit.
    struct Limits {
        uint96 minAmount; // of a lock
        uint96 maxAmount; // of a lock, and of a packet received
        uint128 memberPerDay; // locks less refunds of one account and UTC day
        uint128 inFlight; // locked (or returning) by locks, and held by packets received, each
    }

    /// @notice Whether an account may lock and claim.
    enum Standing {
        None, // unknown: may, unless the client is for members only
        Member,
        Suspended, // may not; refunds to it are credited and wait
        Reserved // a token or an escrow: never a receiver
    }

    struct ClientInfo {
        bytes32 client;
        bytes32 counterparty;
        address lightClient;
        string chainId;
        bytes prefix;
        WindowRules rules;
        bool membersOnly;
        bool paused;
        uint64 nextSequence; // of the next packet sent
        uint64 lastSendBlock; // where the walk back through `Sent` starts; 0: none sent
        uint64 openedBlock; // no packet event of the client is older
        uint64 trustedHeight;
        uint64 trustedTime;
        uint32 generation;
        bool frozen;
        bytes32 setHash;
    }

    /// @notice The books of one client and denom, in base units.
    struct Supply {
        bytes32 client;
        string denom; // as this chain names it: `0x…`, or `points/CLIENT/…`
        string packetDenom; // as packets from the counterparty carry it
        address token;
        string symbol;
        bool voucher;
        uint256 cap; // vouchers: never more than this outstanding; else 0
        uint256 circulating; // vouchers: in accounts; else 0
        uint256 returning; // vouchers: burned in packets on their way home; else 0
        uint256 locked; // home points: in packets whose end is not proven; else 0
        uint256 vault; // home points: backing of vouchers on the other chain; else 0
        uint256 held; // in holds neither claimed nor void
        uint256 owed; // of the token, over all clients
    }

    event ClientOpened(bytes32 indexed client, bytes32 counterparty, address lightClient, string chainId);
    event DenomListed(bytes32 indexed client, string denom, address token, bool voucher);
    event LimitsSet(bytes32 indexed client, string denom, Limits limits);
    event PauseSet(bytes32 indexed client, bool paused);
    event StandingSet(address indexed account, Standing standing);
    event Reanchored(bytes32 indexed client);

    error AlreadyBound();
    error Invalid(string what);
    error Exists();
    error NotFound();

    /// @notice Names the gateway, once.
    function bind(address gateway) external;
    /// @notice Names the contract that checks payers' signatures, once.
    function bindIntents(address intents) external;
    function openClient(ClientConfig calldata config, bytes calldata anchor) external;
    /// @notice Deploys the voucher token of a denom of the counterparty and opens it. Recv never deploys one.
    function openVoucher(
        bytes32 client,
        string calldata packetDenom,
        string calldata name,
        string calldata symbol,
        uint8 decimals,
        uint128 cap,
        Limits calldata limits
    ) external returns (address token);
    /// @notice Opens an existing ERC-20 of this chain to a client.
    function listToken(bytes32 client, address token, Limits calldata limits) external;
    function setLimits(bytes32 client, string calldata denom, Limits calldata limits) external;
    function pause(bytes32 client) external;
    function unpause(bytes32 client) external;
    function setStanding(address[] calldata accounts, Standing standing) external;
    function reanchor(bytes32 client, bytes calldata anchor) external;

    function clientCount() external view returns (uint256);
    function clientAt(uint256 index) external view returns (ClientInfo memory);
    function clientInfo(bytes32 client) external view returns (ClientInfo memory);
    function denomCount() external view returns (uint256);
    function supplyAt(uint256 index) external view returns (Supply memory);
    function supplyOf(bytes32 client, string calldata denom) external view returns (Supply memory);
    /// @notice The token of a denom as this chain names it.
    function tokenOf(bytes32 client, string calldata denom) external view returns (address);
}
