//! Governance of native chains by the keys that are here: proposals, approvals, and the opening of routes.
//!
//! - [`Council`]: one chain and some of its governors. What needs more of them waits, and goes on when asked again.
//! - [`route`]: both clients of a route and their counterparties.

pub mod route;

use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::native::NativeChain;
use crosspoint_adapters::signer::Signer;
use crosspoint_ledger::address::AccountId;
use crosspoint_ledger::events::Event;
use crosspoint_ledger::query::ProposalView;
use crosspoint_ledger::tx::action::Action;
use crosspoint_ledger::tx::message::Message;
use crosspoint_protocol::ids::{ChainId, Timestamp};
use std::sync::Arc;

/// Why governance did not get on.
#[derive(Debug, thiserror::Error)]
pub enum GovernError {
    /// A chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// None of the keys is a governor's.
    #[error("none of the keys given is a governor of {chain}; its governors are {governors}")]
    NoGovernor {
        /// The chain.
        chain: ChainId,
        /// Who governs it.
        governors: String,
    },
    /// The chain has no such proposal.
    #[error("{chain} has no proposal {proposal} that waits; see `crosspoint govern list`")]
    NoProposal {
        /// The chain.
        chain: ChainId,
        /// Its number.
        proposal: u64,
    },
    /// It was approved and could not take effect.
    #[error("{chain}: proposal {proposal} was approved, but failed: {reason}")]
    Failed {
        /// The chain.
        chain: ChainId,
        /// Its number.
        proposal: u64,
        /// Why.
        reason: String,
    },
    /// Something that cannot be done by these means.
    #[error("{0}")]
    Cannot(String),
}

/// What became of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It took effect, in this event if it is of this run.
    Done(Vec<Event>),
    /// It waits for governors, or for its delay.
    Waits {
        /// The proposal.
        proposal: u64,
        /// How many approved.
        approvals: usize,
        /// How many must.
        quorum: u32,
        /// When it takes effect, once enough approved.
        ready_at: Option<Timestamp>,
    },
}

/// One native chain, and those of its governors whose keys are here.
pub struct Council {
    chain: Arc<NativeChain>,
    governors: Vec<(AccountId, Signer)>,
    quorum: u32,
}

impl Council {
    /// The governors among these keys.
    ///
    /// # Errors
    /// [`GovernError::NoGovernor`] if there is none.
    pub async fn new(chain: Arc<NativeChain>, keys: &[Signer]) -> Result<Self, GovernError> {
        let params = chain.params().await?;
        let mut governors = vec![];
        for key in keys {
            let Signer::Native(signing) = key else { continue };
            let account = AccountId::of_key(&signing.verifying_key());
            if params.governors.contains(&account) {
                governors.push((account, key.clone()));
            }
        }
        if governors.is_empty() {
            let governors = params.governors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(GovernError::NoGovernor { chain: params.chain_id, governors });
        }
        Ok(Self { chain, governors, quorum: params.quorum })
    }

    /// The chain.
    #[must_use]
    pub fn chain(&self) -> &NativeChain {
        &self.chain
    }

    /// Proposes, or takes the proposal that is there already by `is_it`, and approves by all keys here.
    pub async fn decide(&self, action: Action, is_it: impl Fn(&Action) -> bool) -> Result<Decision, GovernError> {
        let waiting = self.chain.proposals().await?.into_iter().find(|known| is_it(&known.action));
        if let Some(known) = waiting {
            return self.approve_known(known).await;
        }
        let Some((_, first)) = self.governors.first() else { return Err(GovernError::Cannot("no governor".into())) };
        let proposed = self.chain.execute(first, Message::Propose { action: Box::new(action) }).await?;
        let number = proposed.events.iter().find_map(|event| match event {
            Event::ProposalCreated { proposal, .. } => Some(*proposal),
            _ => None,
        });
        let number = number.ok_or_else(|| GovernError::Cannot("the chain made no proposal".into()))?;
        if let Some(done) = self.executed(number, &proposed.events)? {
            return Ok(done);
        }
        self.approve(number).await
    }

    /// Approves by all keys here that have not.
    ///
    /// # Errors
    /// [`GovernError::NoProposal`] if it does not wait: it took effect, expired, or never was.
    pub async fn approve(&self, proposal: u64) -> Result<Decision, GovernError> {
        let known = self.chain.proposals().await?.into_iter().find(|known| known.proposal == proposal);
        let known =
            known.ok_or_else(|| GovernError::NoProposal { chain: self.chain.settings().chain.clone(), proposal })?;
        self.approve_known(known).await
    }

    async fn approve_known(&self, known: ProposalView) -> Result<Decision, GovernError> {
        let mut approvals = known.approvals.len();
        let mut ready_at = known.ready_at;
        for (account, key) in &self.governors {
            if ready_at.is_some() || known.approvals.contains(account) {
                continue;
            }
            let approved = self.chain.execute(key, Message::Approve { proposal: known.proposal }).await?;
            approvals = approvals.saturating_add(1);
            if let Some(done) = self.executed(known.proposal, &approved.events)? {
                return Ok(done);
            }
            let after = self.chain.proposals().await?.into_iter().find(|view| view.proposal == known.proposal);
            ready_at = after.and_then(|view| view.ready_at);
        }
        Ok(Decision::Waits { proposal: known.proposal, approvals, quorum: self.quorum, ready_at })
    }

    fn executed(&self, number: u64, events: &[Event]) -> Result<Option<Decision>, GovernError> {
        for event in events {
            match event {
                Event::ProposalExecuted { proposal, ok: true, .. } if *proposal == number => {
                    return Ok(Some(Decision::Done(events.to_vec())));
                }
                Event::ProposalExecuted { proposal, error, .. } if *proposal == number => {
                    let reason = error.clone().unwrap_or_else(|| "no reason given".into());
                    let chain = self.chain.settings().chain.clone();
                    return Err(GovernError::Failed { chain, proposal: number, reason });
                }
                _ => {}
            }
        }
        Ok(None)
    }
}
