//! The protobuf messages of a transaction, written by hand so that no compiler is needed.
//!
//! Field numbers are the format: never reuse one. What a field means is said in [`super::message`],
//! whose types these decode to.
#![allow(missing_docs)]

use prost::{Message, Oneof};

/// A signed transaction: exact body bytes, the signer's ed25519 key (32 bytes) and signature (64).
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Tx {
    #[prost(bytes = "vec", tag = "1")]
    pub body: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub public_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub signature: Vec<u8>,
}

/// What is signed.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Body {
    #[prost(string, tag = "1")]
    pub chain_id: String,
    #[prost(uint64, tag = "2")]
    pub nonce: u64,
    #[prost(message, repeated, tag = "3")]
    pub msgs: Vec<Msg>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Msg {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13")]
    pub kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Eq, Oneof)]
pub enum Kind {
    #[prost(message, tag = "1")]
    Transfer(Transfer),
    #[prost(message, tag = "2")]
    Issue(Issue),
    #[prost(message, tag = "3")]
    Burn(Burn),
    #[prost(message, tag = "4")]
    Lock(Lock),
    #[prost(message, tag = "5")]
    Claim(Claims),
    #[prost(message, tag = "6")]
    Void(Voids),
    #[prost(message, tag = "7")]
    Relay(Relay),
    #[prost(message, tag = "8")]
    Misbehaviour(Misbehaviour),
    #[prost(message, tag = "9")]
    WithdrawOwed(WithdrawOwed),
    #[prost(message, tag = "10")]
    Pause(Pause),
    #[prost(message, tag = "11")]
    Unpause(Pause),
    #[prost(message, tag = "12")]
    Propose(Propose),
    #[prost(message, tag = "13")]
    Approve(Approve),
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Transfer {
    #[prost(bytes = "vec", tag = "1")]
    pub to: Vec<u8>,
    #[prost(string, tag = "2")]
    pub denom: String,
    #[prost(bytes = "vec", tag = "3")]
    pub amount: Vec<u8>,
    #[prost(string, tag = "4")]
    pub memo: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Issue {
    #[prost(bytes = "vec", tag = "1")]
    pub to: Vec<u8>,
    #[prost(string, tag = "2")]
    pub denom: String,
    #[prost(bytes = "vec", tag = "3")]
    pub amount: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Burn {
    #[prost(string, tag = "1")]
    pub denom: String,
    #[prost(bytes = "vec", tag = "2")]
    pub amount: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Lock {
    #[prost(string, tag = "1")]
    pub client: String,
    #[prost(string, tag = "2")]
    pub denom: String,
    #[prost(bytes = "vec", tag = "3")]
    pub amount: Vec<u8>,
    #[prost(string, tag = "4")]
    pub receiver: String,
    #[prost(bytes = "vec", tag = "5")]
    pub hashlock: Vec<u8>,
    #[prost(uint64, tag = "6")]
    pub timeout: u64,
    #[prost(uint64, tag = "7")]
    pub claim_deadline: u64,
    #[prost(bytes = "vec", tag = "8")]
    pub terms: Vec<u8>,
    #[prost(string, tag = "9")]
    pub memo: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Claims {
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<Claim>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Claim {
    #[prost(string, tag = "1")]
    pub client: String,
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub secret: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Voids {
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<Void>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Void {
    #[prost(string, tag = "1")]
    pub client: String,
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Relay {
    #[prost(string, tag = "1")]
    pub client: String,
    #[prost(uint64, tag = "2")]
    pub height: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub update: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub shared_proof: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "5")]
    pub items: Vec<Item>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Item {
    /// 1 recv, 2 ack, 3 timeout.
    #[prost(uint32, tag = "1")]
    pub kind: u32,
    #[prost(message, optional, tag = "2")]
    pub packet: Option<Packet>,
    /// The acknowledgement's bytes, for kind 2 alone.
    #[prost(bytes = "vec", tag = "3")]
    pub ack: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub proof: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Packet {
    #[prost(uint64, tag = "1")]
    pub sequence: u64,
    #[prost(string, tag = "2")]
    pub source_client: String,
    #[prost(string, tag = "3")]
    pub dest_client: String,
    #[prost(uint64, tag = "4")]
    pub timeout: u64,
    #[prost(string, tag = "5")]
    pub source_port: String,
    #[prost(string, tag = "6")]
    pub dest_port: String,
    #[prost(string, tag = "7")]
    pub version: String,
    #[prost(string, tag = "8")]
    pub encoding: String,
    #[prost(bytes = "vec", tag = "9")]
    pub value: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Misbehaviour {
    #[prost(string, tag = "1")]
    pub client: String,
    #[prost(bytes = "vec", tag = "2")]
    pub evidence: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct WithdrawOwed {
    #[prost(string, tag = "1")]
    pub denom: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Pause {
    /// Empty: the whole chain.
    #[prost(string, tag = "1")]
    pub client: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Propose {
    /// The action as JSON, exactly as its type writes it.
    #[prost(string, tag = "1")]
    pub action: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Approve {
    #[prost(uint64, tag = "1")]
    pub proposal: u64,
}
