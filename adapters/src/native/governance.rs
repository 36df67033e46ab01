//! What governance of a native chain looks at.

use super::NativeChain;
use crate::error::ChainError;
use crosspoint_ledger::query::{AccountView, ClientView, DenomView, ParamsView, ProposalView};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{Address, Height};

impl NativeChain {
    /// All clients on this chain, also those that are not open for packets yet or were closed. As the first endpoint that
    /// answers says.
    pub async fn client_views(&self) -> Result<Vec<ClientView>, ChainError> {
        self.endpoints.first_good(|endpoint| async move { endpoint.view_all("/clients", Height(0)).await }).await
    }

    /// Proposals that have not taken effect.
    pub async fn proposals(&self) -> Result<Vec<ProposalView>, ChainError> {
        self.endpoints.first_good(|endpoint| async move { endpoint.view_all("/proposals", Height(0)).await }).await
    }

    /// The chain's parameters, its governors among them.
    pub async fn params(&self) -> Result<ParamsView, ChainError> {
        self.endpoints.first_good(|endpoint| async move { endpoint.view_all("/params", Height(0)).await }).await
    }

    /// An account, and the member it belongs to.
    pub async fn account_of(&self, account: &Address) -> Result<AccountView, ChainError> {
        let name = account.as_str();
        self.endpoints.first_good(|endpoint| async move { endpoint.view_named("/account", name).await }).await
    }

    /// The cap of a denom; `None` if the chain does not know it.
    pub async fn cap(&self, denom: &Denom) -> Result<Option<Amount>, ChainError> {
        let known = self.endpoints.first_good(|endpoint| async move { endpoint.view_all("/denoms", Height(0)).await });
        let known: Vec<DenomView> = known.await?;
        Ok(known.into_iter().find(|view| view.denom == *denom).map(|view| view.cap))
    }
}
