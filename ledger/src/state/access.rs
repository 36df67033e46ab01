//! Typed reading and writing of records.

use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::book::{HomeBook, VoucherBook};
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ClientId, Height, Sequence};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::records::{Client, Consensus, DenomInfo, Governance, Hold, Member, Proposal, SentPacket, Supply};
use super::{ReadState, Space, StateError, WriteState, keys};
use crate::address::AccountId;
use crate::tx::action::Limits;

/// A stored JSON record.
pub(crate) fn from_json<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, StateError> {
    serde_json::from_slice(value)
        .map_err(|error| StateError::Corrupt { key: hex::encode(key), reason: error.to_string() })
}

fn corrupt(key: &[u8], reason: &str) -> StateError {
    StateError::Corrupt { key: hex::encode(key), reason: reason.into() }
}

/// Reading typed records.
pub trait ReadRecords: ReadState {
    /// A JSON record.
    fn json<T: DeserializeOwned>(&self, space: Space, key: &[u8]) -> Result<Option<T>, StateError> {
        self.get(space, key)?.map(|value| from_json(key, &value)).transpose()
    }

    /// A counter; absent is 0.
    fn number(&self, key: &[u8]) -> Result<u64, StateError> {
        match self.get(Space::Plain, key)? {
            None => Ok(0),
            Some(value) => value.as_slice().try_into().map(u64::from_be_bytes).map_err(|_| corrupt(key, "not 8 bytes")),
        }
    }

    /// An amount; absent is 0.
    fn amount(&self, key: &[u8]) -> Result<Amount, StateError> {
        match self.get(Space::Plain, key)? {
            None => Ok(Amount::ZERO),
            Some(value) => amount_from(key, &value),
        }
    }

    /// A member, by account.
    fn member(&self, account: &AccountId) -> Result<Option<Member>, StateError> {
        self.json(Space::Plain, &keys::member(account))
    }

    /// The account of a member's name.
    fn account_of(&self, name: &str) -> Result<Option<AccountId>, StateError> {
        let key = keys::member_name(name);
        let found = self.get(Space::Plain, &key)?;
        found.map(|bytes| AccountId::from_slice(&bytes).map_err(|e| corrupt(&key, &e.to_string()))).transpose()
    }

    /// Who decides.
    fn governance(&self) -> Result<Governance, StateError> {
        self.json(Space::Provable, keys::GOVERNANCE)?.ok_or_else(|| corrupt(keys::GOVERNANCE, "missing"))
    }

    /// A client.
    fn client(&self, client: &ClientId) -> Result<Option<Client>, StateError> {
        self.json(Space::Provable, &keys::client(client))
    }

    /// A state that a client trusts.
    fn consensus(&self, client: &ClientId, generation: u64, at: Height) -> Result<Option<Consensus>, StateError> {
        self.json(Space::Provable, &keys::consensus(client, generation, at))
    }

    /// A denom.
    fn denom_info(&self, denom: &Denom) -> Result<Option<DenomInfo>, StateError> {
        self.json(Space::Provable, &keys::denom_info(denom))
    }

    /// A denom's totals.
    fn supply(&self, denom: &Denom) -> Result<Supply, StateError> {
        Ok(self.json(Space::Provable, &keys::supply(denom))?.unwrap_or_default())
    }

    /// What is out of a denom through a client.
    fn home_book(&self, client: &ClientId, denom: &Denom) -> Result<HomeBook, StateError> {
        Ok(self.json(Space::Provable, &keys::home_book(client, denom))?.unwrap_or_default())
    }

    /// Where the vouchers of a denom are.
    fn voucher_book(&self, denom: &Denom) -> Result<VoucherBook, StateError> {
        Ok(self.json(Space::Provable, &keys::voucher_book(denom))?.unwrap_or_default())
    }

    /// The limits of a denom on a client; none set is no limits.
    fn limits(&self, client: &ClientId, denom: &Denom) -> Result<Limits, StateError> {
        Ok(self.json(Space::Provable, &keys::limits(client, denom))?.unwrap_or_default())
    }

    /// A packet sent.
    fn sent(&self, client: &ClientId, sequence: Sequence) -> Result<Option<SentPacket>, StateError> {
        self.json(Space::Plain, &keys::sent(client, sequence))
    }

    /// A packet received.
    fn hold(&self, client: &ClientId, sequence: Sequence) -> Result<Option<Hold>, StateError> {
        self.json(Space::Plain, &keys::hold(client, sequence))
    }

    /// A proposal.
    fn proposal(&self, number: u64) -> Result<Option<Proposal>, StateError> {
        self.json(Space::Plain, &keys::proposal(number))
    }
}

impl<S: ReadState + ?Sized> ReadRecords for S {}

/// The amount in a record.
pub(crate) fn amount_from(key: &[u8], value: &[u8]) -> Result<Amount, StateError> {
    let bytes = value.try_into().map_err(|_| corrupt(key, "not 16 bytes"))?;
    Ok(Amount::new(u128::from_be_bytes(bytes)))
}

/// Writing typed records.
pub trait WriteRecords: WriteState {
    /// A JSON record.
    fn put_json<T: Serialize>(&mut self, space: Space, key: Vec<u8>, record: &T) -> Result<(), StateError> {
        let value = serde_json::to_vec(record).map_err(|error| corrupt(&key, &error.to_string()))?;
        self.put(space, key, value);
        Ok(())
    }

    /// A counter.
    fn put_number(&mut self, key: Vec<u8>, n: u64) {
        self.put(Space::Plain, key, n.to_be_bytes().to_vec());
    }

    /// An amount; 0 removes the record.
    fn put_amount(&mut self, key: Vec<u8>, amount: Amount) {
        if amount.is_zero() {
            self.delete(Space::Plain, key);
        } else {
            self.put(Space::Plain, key, amount.get().to_be_bytes().to_vec());
        }
    }

    /// A member.
    fn put_member(&mut self, account: &AccountId, member: &Member) -> Result<(), StateError> {
        self.put(Space::Plain, keys::member_name(&member.name), account.as_bytes().to_vec());
        self.put_json(Space::Plain, keys::member(account), member)
    }

    /// A client.
    fn put_client(&mut self, id: &ClientId, client: &Client) -> Result<(), StateError> {
        self.put(Space::Plain, keys::client_index(id), vec![]);
        self.put_json(Space::Provable, keys::client(id), client)
    }

    /// A denom.
    fn put_denom(&mut self, denom: &Denom, info: &DenomInfo) -> Result<(), StateError> {
        self.put(Space::Plain, keys::denom_index(denom), vec![]);
        self.put_json(Space::Provable, keys::denom_info(denom), info)
    }

    /// What is out of a denom through a client.
    fn put_home_book(&mut self, client: &ClientId, denom: &Denom, book: &HomeBook) -> Result<(), StateError> {
        self.put(Space::Plain, keys::home_index(denom, client), vec![]);
        self.put_json(Space::Provable, keys::home_book(client, denom), book)
    }
}

impl<S: WriteState> WriteRecords for S {}
