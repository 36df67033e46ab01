//! The books of every denom on an EVM chain, for the audit.

use super::block::BlockId;
use super::contracts::ICrosspointRegistry::{self, Supply};
use super::contracts::IToken;
use super::gateway::EvmChain;
use super::record::parse_client;
use crate::chain::{Chain, DenomSupply};
use crate::error::ChainError;
use alloy::primitives::{Address as EvmAddress, U256};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::book::{HomeBook, VoucherBook};
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::Height;
use std::collections::BTreeMap;

/// Most characters of a token's symbol that are shown.
const MAX_SYMBOL: usize = 16;

impl EvmChain {
    pub(super) async fn read_supply(&self, at: Height) -> Result<Vec<DenomSupply>, ChainError> {
        let block = BlockId::Number(at);
        let pruned = |error| match error {
            // None of these calls can revert: the node has no state there.
            ChainError::Rejected { .. } => ChainError::Pruned { chain: self.id().clone(), height: at },
            other => other,
        };
        let registry = self.registry;
        let count = self.read(registry, &ICrosspointRegistry::denomCountCall {}, block).await.map_err(pruned)?;
        let mut denoms: BTreeMap<Denom, DenomSupply> = BTreeMap::new();
        for index in 0..self.bounded(count, "denoms")? {
            let call = ICrosspointRegistry::supplyAtCall { index: U256::from(index) };
            let row = self.read(registry, &call, block).await.map_err(pruned)?;
            let escrowed = if row.voucher { None } else { Some(self.escrowed(row.token, block).await?) };
            self.add_row(&mut denoms, &row, escrowed)?;
        }
        Ok(denoms.into_values().collect())
    }

    /// What the gateway has of a token, by the token's own count. One that gives no number has none: the audit says so.
    async fn escrowed(&self, token: EvmAddress, block: BlockId) -> Result<Amount, ChainError> {
        let call = IToken::balanceOfCall { account: self.settings.gateway };
        match self.read(token, &call, block).await {
            Ok(balance) => Ok(Amount::new(u128::try_from(balance).unwrap_or(u128::MAX))),
            Err(ChainError::Rejected { .. }) => Ok(Amount::ZERO),
            Err(error) => Err(error),
        }
    }

    /// One client's books of one denom. An ERC-20 at home here may be open to several clients.
    fn add_row(
        &self,
        denoms: &mut BTreeMap<Denom, DenomSupply>,
        row: &Supply,
        escrowed: Option<Amount>,
    ) -> Result<(), ChainError> {
        let odd = |what: &str| self.malformed("eth_call", format!("the supply's {what} is not valid"));
        let amount = |value: U256| u128::try_from(value).map(Amount::new).map_err(|_| odd("amount"));
        let denom: Denom = row.denom.parse().map_err(|_| odd("denom"))?;
        let client = parse_client(&row.client.0).map_err(|_| odd("client"))?;
        let symbol = row.symbol.chars().filter(|c| c.is_ascii_graphic()).take(MAX_SYMBOL).collect();
        let held = amount(row.held)?;
        let entry = denoms.entry(denom.clone()).or_insert_with(|| DenomSupply {
            denom,
            symbol,
            cap: None,
            issued: None,
            circulating: Amount::ZERO,
            owed: Amount::ZERO,
            return_holds: Amount::ZERO,
            bound: Amount::ZERO,
            home: BTreeMap::new(),
            escrowed,
            voucher: None,
        });
        entry.owed = amount(row.owed)?;
        if row.voucher {
            entry.circulating = amount(row.circulating)?;
            // What is owed is not minted until it is withdrawn, but the book counts it as paid.
            let circulating = entry.circulating.checked_add(entry.owed).ok_or_else(|| odd("circulating"))?;
            entry.voucher = Some(VoucherBook { circulating, returning: amount(row.returning)?, held });
        } else {
            entry.return_holds = entry.return_holds.checked_add(held).ok_or_else(|| odd("held"))?;
            entry.home.insert(client, HomeBook { locked: amount(row.locked)?, vault: amount(row.vault)? });
        }
        Ok(())
    }
}
