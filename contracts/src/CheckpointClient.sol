// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICheckpointClient} from "./interfaces/ICheckpointClient.sol";
import {Checkpoints, Header} from "./libraries/Checkpoints.sol";
import {Jmt} from "./libraries/Jmt.sol";

/// @title Light clients of native chains: checkpoints signed by more than 2/3 of bridge power, JMT proofs
/// @notice A trusted state is kept as the digest of its checkpoint alone; whoever uses it brings the header
/// back as calldata. Only the current set signs, the height strictly rises, every rotation must be relayed.
/// Assumption: less than a third of bridge power, rotated-out keys included, is compromised within a trusting period.
contract CheckpointClient is ICheckpointClient {
    struct Client {
        uint64 height; // of the newest trusted state; 0: no such client
        uint64 time; // in its header, seconds
        uint32 trustingPeriod;
        uint32 generation;
        bool frozen;
        bytes32 setHash; // signs the next update
        bytes32 chainIdHash;
        mapping(uint256 generationAndHeight => bytes32) digests; // for good: anchors, rotations, 8 in each trusting period
        mapping(uint256 generationAndPlace => bytes32) recent; // of the newest states, each in place height mod `KEPT`
    }

    /// @notice A state is kept until one 64 or a multiple of 64 blocks higher is stored in its place: to write a used slot
    /// costs a quarter of a new one. A state that is gone proves nothing; a newer one proves the same.
    uint64 public constant KEPT = 64;
    /// @notice How far ahead of this chain's clock a header's time may be, in seconds.
    uint64 public constant MAX_CLOCK_DRIFT = 600;

    /// @notice The registry: it alone creates and re-anchors clients.
    address public immutable registry;

    mapping(bytes32 client => Client) private _clients;

    modifier onlyRegistry() {
        if (msg.sender != registry) revert Unauthorized();
        _;
    }

    constructor(address registry_) {
        registry = registry_;
    }

    function create(bytes32 client, string calldata chainId, uint32 trustingPeriod, bytes calldata anchor)
        external
        onlyRegistry
    {
        Client storage c = _clients[client];
        if (c.height != 0) revert ClientExists(client);
        if (trustingPeriod == 0) revert Malformed();
        c.trustingPeriod = trustingPeriod;
        c.chainIdHash = keccak256(bytes(chainId));
        _anchor(client, c, anchor);
    }

    function reanchor(bytes32 client, bytes calldata anchor) external onlyRegistry {
        Client storage c = _known(client);
        if (!c.frozen && !_expired(c.trustingPeriod, c.time)) revert NotFrozenNorExpired(client);
        _anchor(client, c, anchor);
    }

    function update(bytes32 client, bytes calldata state) external {
        if (state.length != 0 && state[0] == 0) revert Malformed();
        _resolve(client, state);
    }

    function misbehaviour(bytes32 client, bytes calldata trusted, bytes calldata a, bytes calldata b) external {
        Client storage c = _known(client);
        if (c.frozen) revert ClientFrozen(client);
        Header memory root = _storedHeader(client, c, trusted);
        (Header memory first, bytes32 firstDigest) = a.length == 0 ? _newest(c) : _evidence(client, c, root, a);
        (Header memory second, bytes32 secondDigest) = _evidence(client, c, root, b);

        bool fork = first.height == second.height && firstDigest != secondDigest;
        bool backwards = (first.height > second.height && first.time < second.time)
            || (first.height < second.height && first.time > second.time);
        if (!fork && !backwards) revert NoConflict();
        _freeze(client, c, first.height, firstDigest, secondDigest);
    }

    function proveMembership(
        bytes32 client,
        bytes calldata state,
        bytes calldata key,
        bytes32 value,
        bytes calldata proof
    ) external returns (uint64 time, bool proven) {
        bytes32 appHash;
        (appHash, time) = _resolve(client, state);
        if (time == 0) return (0, false);
        proven = Jmt.isMember(appHash, sha256(key), sha256(abi.encodePacked(value)), proof);
    }

    function proveAbsence(bytes32 client, bytes calldata state, bytes[] calldata keys, bytes[] calldata proofs)
        external
        returns (uint64 time, bool[] memory absent)
    {
        if (keys.length != proofs.length) revert Malformed();
        absent = new bool[](keys.length);
        bytes32 appHash;
        (appHash, time) = _resolve(client, state);
        if (time == 0) return (0, absent);
        for (uint256 i = 0; i < keys.length; ++i) {
            absent[i] = Jmt.isAbsent(appHash, sha256(keys[i]), proofs[i]);
        }
    }

    function status(bytes32 client) external view returns (Status memory) {
        Client storage c = _clients[client];
        return Status(c.height, c.time, c.trustingPeriod, c.generation, c.frozen, c.setHash);
    }

    function requireActive(bytes32 client) external view {
        Client storage c = _known(client);
        if (c.frozen) revert ClientFrozen(client);
        if (_expired(c.trustingPeriod, c.time)) revert ClientExpired(client);
    }

    function isTrusted(bytes32 client, uint64 height, bytes32 digest) external view returns (bool) {
        return digest != 0 && _isTrusted(_clients[client], height, digest);
    }

    /// @dev The state that `state` names, verified and stored if it is an update. Time 0: `state` froze the client.
    function _resolve(bytes32 client, bytes calldata state) private returns (bytes32 appHash, uint64 time) {
        Client storage c = _known(client);
        if (c.frozen) revert ClientFrozen(client);
        if (state.length == 0) revert Malformed();

        if (state[0] != 0) return _update(client, c, state);
        Header memory header = _storedHeader(client, c, state[1:]);
        return (header.appHash, header.time);
    }

    /// @dev Verifies and stores an update. Time 0: it was misbehaviour, the client is frozen.
    function _update(bytes32 client, Client storage c, bytes calldata state)
        private
        returns (bytes32 appHash, uint64 time)
    {
        (Header memory read, bytes calldata certificate) = Checkpoints.readUpdate(state);
        // One read of the slot that these four share.
        (uint64 latestHeight, uint64 latestTime) = (c.height, c.time);
        (uint32 period, uint32 generation) = (c.trustingPeriod, c.generation);
        if (_expired(period, read.time)) revert ClientExpired(client);
        bytes32 digest = Checkpoints.digest(read, c.chainIdHash);
        if (read.height <= latestHeight && _isTrusted(c, read.height, digest)) {
            return (read.appHash, read.time);
        }

        bytes32 setHash = c.setHash;
        if (_expired(period, latestTime)) revert ClientExpired(client);
        if (read.height < latestHeight) revert HeightNotAbove(read.height, latestHeight);
        if (read.setHash != setHash) revert WrongSet(read.setHash, setHash);
        Checkpoints.verify(certificate, digest);

        // The current set contradicts the newest state, or turned back the clock. A contradiction of an older
        // state is for `misbehaviour`.
        if (read.height == latestHeight || read.time < latestTime) {
            _freeze(client, c, read.height, c.recent[_place(generation, latestHeight)], digest);
            return (0, 0);
        }
        if (read.time > block.timestamp + MAX_CLOCK_DRIFT) revert FromTheFuture(read.time);

        c.height = read.height;
        c.time = read.time;
        c.recent[_place(generation, read.height)] = digest;
        emit Updated(client, read.height, read.time, digest);
        // Kept, so that evidence always finds a root: a set that was trusted, and a state not above the fork nor expired.
        uint256 span = period / 8 + 1;
        bool rotates = read.nextSetHash != setHash;
        if (rotates || read.time / span != latestTime / span) {
            c.digests[_slot(generation, read.height)] = digest;
        }
        if (rotates) {
            c.setHash = read.nextSetHash;
            emit SetRotated(client, read.height, read.nextSetHash);
        }
        return (read.appHash, read.time);
    }

    /// @dev One side of a contradiction: a stored header, or a certificate by a set that is or was trusted, not for a
    /// height below the root. So what was signed before a re-anchoring cannot freeze the client again and again.
    function _evidence(bytes32 client, Client storage c, Header memory root, bytes calldata state)
        private
        view
        returns (Header memory header, bytes32 digest)
    {
        if (state.length == 0) revert Malformed();
        if (state[0] == 0) {
            header = _storedHeader(client, c, state[1:]);
            return (header, Checkpoints.digest(header, c.chainIdHash));
        }
        bytes calldata certificate;
        (header, certificate) = Checkpoints.readUpdate(state);
        if (header.height < root.height) revert BelowRoot(header.height, root.height);
        bytes32 set = header.setHash;
        if (set != c.setHash && set != root.setHash && set != root.nextSetHash) revert WrongSet(set, c.setHash);
        digest = Checkpoints.digest(header, c.chainIdHash);
        Checkpoints.verify(certificate, digest);
    }

    /// @dev The newest trusted state, of which height, time and digest are known without its header. Whoever shows that it
    /// is forged may not have what was forged.
    function _newest(Client storage c) private view returns (Header memory header, bytes32 digest) {
        (header.height, header.time) = (c.height, c.time);
        digest = c.recent[_place(c.generation, c.height)];
    }

    /// @dev A header given as calldata that is trusted in the present generation and within the trusting period.
    function _storedHeader(bytes32 client, Client storage c, bytes calldata data)
        private
        view
        returns (Header memory header)
    {
        header = Checkpoints.readHeader(data);
        bytes32 digest = Checkpoints.digest(header, c.chainIdHash);
        if (!_isTrusted(c, header.height, digest)) revert UnknownState(client, header.height);
        if (_expired(c.trustingPeriod, header.time)) revert ClientExpired(client);
    }

    function _anchor(bytes32 client, Client storage c, bytes calldata anchor) private {
        Header memory header = Checkpoints.readHeader(anchor);
        if (header.height == 0 || header.time == 0 || header.nextSetHash == 0) revert Malformed();
        if (header.time > block.timestamp + MAX_CLOCK_DRIFT) revert FromTheFuture(header.time);
        if (_expired(c.trustingPeriod, header.time)) revert ClientExpired(client);
        c.height = header.height;
        c.time = header.time;
        c.setHash = header.nextSetHash;
        c.frozen = false;
        c.generation += 1;
        bytes32 digest = Checkpoints.digest(header, c.chainIdHash);
        c.digests[_slot(c.generation, header.height)] = digest;
        c.recent[_place(c.generation, header.height)] = digest;
        emit Anchored(client, c.generation, header.height, header.nextSetHash);
    }

    function _freeze(bytes32 client, Client storage c, uint64 height, bytes32 known, bytes32 conflicting) private {
        c.frozen = true;
        emit Frozen(client, height, known, conflicting);
    }

    function _known(bytes32 client) private view returns (Client storage c) {
        c = _clients[client];
        if (c.height == 0) revert UnknownClient(client);
    }

    function _expired(uint32 trustingPeriod, uint64 time) private view returns (bool) {
        return block.timestamp >= uint256(time) + trustingPeriod;
    }

    function _isTrusted(Client storage c, uint64 height, bytes32 digest) private view returns (bool) {
        return c.recent[_place(c.generation, height)] == digest || c.digests[_slot(c.generation, height)] == digest;
    }

    function _place(uint32 generation, uint64 height) private pure returns (uint256) {
        return uint256(generation) << 64 | height % KEPT;
    }

    function _slot(uint32 generation, uint64 height) private pure returns (uint256) {
        return uint256(generation) << 64 | height;
    }
}
