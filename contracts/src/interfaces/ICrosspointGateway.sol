// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The Crosspoint gateway: packets, holds and escrow of points on an EVM chain
/// @notice README.md beside `src` has the byte formats of every `bytes` argument.
interface ICrosspointGateway {
    /// @notice What a payer locks. The packet's sender is the payer in lower-case hex.
    struct Lock {
        bytes32 client;
        string denom;
        uint96 amount;
        string receiver;
        bytes32 hashlock;
        uint64 timeout;
        uint64 claimDeadline;
        bytes terms;
        string memo;
    }

    /// @notice Why an item of a batch left no state.
    enum SkipReason {
        None,
        Duplicate, // it has taken effect before
        Expired, // recv at or after the timeout
        LimitExceeded,
        CapExceeded,
        VaultShort, // settle acks are still on their way
        LowGas,
        WrongPacket, // the record is not the packet under this path
        WrongPreimage,
        DeadlinePassed, // claim at or after the claim deadline
        DeadlineNotReached, // void before it
        Suspended, // the receiver may not transact
        NotProven,
        TooEarly, // absence at a time before the timeout
        ClientFrozen // the update in this very call was misbehaviour
    }

    /// @notice Why a packet was answered with an error ack at receipt.
    enum RefusalReason {
        None,
        UnknownDenom,
        ZeroAmount,
        Receiver, // zero, an escrow or a token
        Window,
        Terms // conditions this version does not know
    }

    /// @notice How a lock ended.
    enum LockEnd {
        None,
        Settled,
        Refunded,
        TimedOut
    }

    /// @notice A packet was sent. `record` is its compact record; `previousBlock` the block of the client's `Sent` before, 0 if none.
    event Sent(bytes32 indexed client, uint64 indexed sequence, uint64 previousBlock, string denom, bytes record);
    /// @notice Holds were opened: `sequences` is u64be after u64be. Once per transaction.
    event Received(bytes32 indexed client, bytes sequences);
    /// @notice A packet was received and answered with the error ack. There is no hold.
    event Refused(bytes32 indexed client, uint64 indexed sequence, RefusalReason reason);
    /// @notice A hold was claimed; success ack.
    event Claimed(bytes32 indexed client, uint64 indexed sequence, bytes32 preimage);
    /// @notice A hold was given up; error ack.
    event Voided(bytes32 indexed client, uint64 indexed sequence);
    /// @notice A lock ended by proof.
    event Ended(bytes32 indexed client, uint64 indexed sequence, LockEnd end);
    /// @notice Item `index` of this call left no state.
    event Skipped(bytes32 indexed client, uint64 indexed sequence, uint256 index, SkipReason reason);
    /// @notice A payout failed or the party is suspended: the amount waits for `withdraw`.
    event Owed(address indexed token, address indexed party, uint256 amount);
    event Withdrawn(address indexed token, address indexed party, uint256 amount);

    error Paused(bytes32 client);
    error UnknownClient(bytes32 client);
    error UnknownDenom(bytes32 client, string denom);
    error InvalidLock(string what);
    error WindowViolated(uint8 bound); // 1 timeout passed, 2 timeout too far, 3 hold too short, 4 deadline too far
    error LimitExceeded(uint8 limit); // 1 minimum, 2 maximum, 3 member and day, 4 in flight
    error HashlockUsed(bytes32 hashlock);
    error MayNotTransact(address account);
    error TransferNotExact(uint256 received);
    error PayoutFailed();
    error NothingOwed();
    error NotEnoughGas();
    error ProofInvalid();
    error Malformed();
    error Unauthorized();

    /// @notice Locks points of the caller and sends the packet.
    function send(Lock calldata lock) external returns (uint64 sequence);
    /// @notice The same for a payer whose signature the intents contract has checked. It alone may call.
    function sendFrom(address payer, Lock calldata lock) external returns (uint64 sequence);

    /// @notice Opens holds for packets proven by the counterparty's `sent` outbox.
    function recv(bytes32 client, bytes calldata state, bytes calldata outbox, bytes calldata packets) external;
    /// @notice Ends locks by acks proven by the counterparty's `acked` outbox.
    function ack(bytes32 client, bytes calldata state, bytes calldata outbox, bytes calldata acks) external;
    /// @notice Ends locks whose packets were proven absent at a time at or after their timeout.
    function timeout(bytes32 client, bytes calldata state, bytes calldata packets) external;
    /// @notice Pays holds to their receivers by preimage.
    function claim(bytes32 client, bytes calldata claims) external;
    /// @notice Gives up holds whose claim deadline has passed.
    function void(bytes32 client, bytes calldata packets) external;
    /// @notice Pays what is owed to a party. Anyone may call; the points go to the party.
    function withdraw(address token, address party) external;

    /// @notice The value stored under `keccak256(path)`: packet commitment, receipt or ack commitment. Storage slot 0.
    function commitments(bytes32 pathHash) external view returns (bytes32);
    function owed(address token, address party) external view returns (uint256);
    function owedTotal(address token) external view returns (uint256);
    /// @notice Whether a token is a voucher that this gateway mints.
    function isVoucher(address token) external view returns (bool);
    function intents() external view returns (address);
    function hashlockUsed(address sender, bytes32 hashlock) external view returns (bool);
}
