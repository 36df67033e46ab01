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
//! | [`jmt`] | the app hash in a header of the native chain | that a key holds a value, or nothing | any other height |
//! | [`mpt`] | the state root in a header of an EVM chain | an account, a storage slot, an empty slot | any other block |
//!
//! What they have in common:
//!
//! - A client that is frozen or expired proves nothing. Heights rise, times never decrease.
//! - Quorums are compared by cross-multiplication, signers ascend strictly, signatures have one form ([`signature`]).
//! - Whatever comes from outside is bounded before it is read: lengths, counts, depths. Nothing panics.
//! - `check_misbehaviour` and `check_conflict` answer `Ok(())` when the evidence proves that the chain
//!   contradicts itself; the caller then freezes the client. Only quorums can freeze.
//! - The time of a header may be ahead of `now` for [`checkpoint`] and [`attested`] clients: their signers
//!   are the clock of their chain. [`tendermint`] clients bound the drift.

pub mod attested;
pub mod checkpoint;
pub mod ethereum_pos;
pub mod evm;
pub mod jmt;
pub mod mpt;
pub mod multistore;
pub mod qbft;
pub mod serde_hex;
pub mod signature;
pub mod tendermint;
