//! Light clients and state proofs: verification only. No clock, no I/O, no randomness; `now` is an
//! argument. So the same code runs inside a replicated ledger, in a fuzzer, and offline over an
//! exported evidence file.
//!
//! A *client* believes headers of one chain; a *state proof* shows what a believed header commits to.
//!
//! | module | trusts | proves | cannot see |
//! |---|---|---|---|
//! | [`tendermint`] | that less than a third of a set it trusted within the trusting period is dishonest | headers of a CometBFT chain, across changes of the validator set | a fork that nobody shows it as evidence |
//! | [`checkpoint`] | that less than a third of bridge power, rotated-out keys included, is compromised within the trusting period | headers of a native chain, cheaply on EVM | whether a checkpoint's header is the one that consensus made: bridge keys vouch for it |
//! | [`attested`] | that fewer than the threshold of attestors lie | finalized headers of an EVM chain without checkable consensus | the EVM chain's own consensus: a quorum of attestors is the whole assumption |
//! | [`qbft`] | that less than a third of a validator set it trusted within the trusting period is dishonest, and seals no other chain with the same keys | headers of a QBFT or IBFT chain, across changes of the set | validators kept in a contract; which chain a seal is for |
//! | [`ethereum_pos`] | that two thirds of a sync committee, drawn from all validators, are honest | finalized headers of Ethereum, across forks and committees | what committees do that stake cannot be slashed for |
//! | [`multistore`] | the app hash in a header of a Cosmos chain | that a key in one of its stores holds a value, or nothing | any other height |
//! | [`jmt`] | the app hash in a header of the native chain | that a key holds a value, or nothing | any other height |
//! | [`mpt`] | the state root in a header of an EVM chain | an account, a storage slot, an empty slot | any other block |
//!
//! A header is believed, then what it commits to is proven:
//!
//! ```
//! use crosspoint_light_proofs::checkpoint::{
//!     BridgeSet, BridgeValidator, Checkpoint, ClientState, Latest, SignedCheckpoint, verify_update,
//! };
//! use crosspoint_light_proofs::jmt::{Siblings, leaf_hash};
//! use crosspoint_light_proofs::signature::SigningKey;
//! use crosspoint_protocol::ids::{Height, Timestamp};
//! use crosspoint_protocol::sha256;
//!
//! // A chain whose state holds a single key, so that its leaf is the root; three validators vouch for its headers.
//! let app_hash = leaf_hash(&sha256(&[b"key"]), &sha256(&[b"value"]));
//! let keys = [1, 2, 3].map(|secret| SigningKey::from_bytes([secret; 32]).unwrap());
//! let validators = keys.iter().map(|key| BridgeValidator { address: key.address(), power: 10 }).collect();
//! let set = BridgeSet::from_unsorted(validators)?;
//!
//! // The client trusts height 10 and that set; somebody brings height 12, signed.
//! let client = ClientState {
//!     chain_id: "chain-1".parse()?,
//!     set_hash: set.hash(),
//!     latest: Latest { height: Height(10), time: Timestamp(1_000), app_hash: [0; 32], signed_by: set.hash() },
//!     trusting_period: 600,
//!     frozen: false,
//!     generation: 0,
//! };
//! let checkpoint = Checkpoint {
//!     chain_id: client.chain_id.clone(),
//!     height: Height(12),
//!     time: Timestamp(1_010),
//!     app_hash,
//!     set_hash: set.hash(),
//!     next_set_hash: set.hash(),
//! };
//! let minority = SignedCheckpoint::sign(checkpoint.clone(), set.clone(), None, &keys[..2]);
//! let error = verify_update(&client, &minority, Timestamp(1_020)).unwrap_err();
//! assert_eq!(error.to_string(), "power 20 of 30 signed; more than two thirds are needed");
//! let update = SignedCheckpoint::sign(checkpoint, set, None, &keys);
//! let client = verify_update(&client, &update, Timestamp(1_020))?;
//!
//! // A proof is judged by the root that is now believed. Beside the one leaf there are no siblings.
//! let proof = Siblings::default();
//! proof.verify_membership(&client.latest.app_hash, b"key", b"value")?;
//! assert!(proof.verify_membership(&client.latest.app_hash, b"key", b"another").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What they have in common:
//!
//! - A client that is frozen or expired proves nothing. Heights rise, times never decrease.
//! - Quorums are compared by cross-multiplication, signers ascend strictly, signatures have one form ([`signature`]).
//! - Whatever comes from outside is bounded before it is read: lengths, counts, depths. Nothing panics.
//! - `check_misbehaviour` and `check_conflict` answer `Ok(())` when the evidence proves that the chain
//!   contradicts itself; the caller then freezes the client. Only quorums can freeze.
//! - A header whose time is too far ahead of `now` is no update: each client bounds the drift, the widest (an hour) being
//!   that of [`attested`], whose signers are the clock of their chain. Evidence may be from ahead.

pub mod attested;
pub mod checkpoint;
pub mod ethereum_pos;
pub mod evidence;
pub mod evm;
pub mod jmt;
pub mod mpt;
pub mod multistore;
pub mod qbft;
pub mod serde_hex;
pub mod signature;
pub mod tendermint;
