//! The genesis file: a commented TOML from which every node starts with the same state.
//!
//! [`Genesis::parse`] reports every problem at once. [`crate::demo::genesis`] and `config/genesis.demo.toml` are the same
//! chain; its keys are public and worth nothing.

use crosspoint_light_proofs::checkpoint::KeyBinding;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ChainId, Timestamp};
use crosspoint_protocol::sha256;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use crate::address::AccountId;
use crate::tx::action::Role;

/// Most validators.
pub const MAX_VALIDATORS: usize = 100;
/// Most members at genesis.
const MAX_MEMBERS: usize = 100_000;

/// A genesis that cannot be used, with everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the genesis is not usable:\n{}", .problems.iter().map(|p| format!("  - {p}")).collect::<Vec<_>>().join("\n"))]
pub struct GenesisError {
    /// One line per problem, with its place in the file.
    pub problems: Vec<String>,
}

/// The state a chain starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The chain's id.
    pub chain_id: ChainId,
    /// When it starts, RFC 3339.
    pub time: String,
    /// What it runs by.
    #[serde(default)]
    pub params: Params,
    /// Who decides.
    pub governance: Governance,
    /// Who makes blocks.
    pub validators: Vec<Validator>,
    /// Who may transact.
    pub members: Vec<Member>,
    /// Home denoms and who starts with how much.
    pub denoms: Vec<GenesisDenom>,
}

/// What the chain runs by. All times in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// The longest time from lock to timeout.
    pub max_timeout: u64,
    /// The shortest time from timeout to claim deadline.
    pub min_hold: u64,
    /// How many past heights stay queryable with proof.
    pub history: u64,
    /// How long a proposal may wait for its quorum.
    pub proposal_lifetime: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self { max_timeout: 24 * 3600, min_hold: 600, history: 10_000, proposal_lifetime: 14 * 24 * 3600 }
    }
}

/// Who decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Governance {
    /// Names of members that may propose and approve.
    pub governors: Vec<String>,
    /// Approvals needed.
    pub quorum: u32,
    /// Seconds between the quorum and the effect.
    #[serde(default)]
    pub delay: u64,
    /// Names of members that may pause and unpause.
    pub operators: Vec<String>,
}

/// A validator: its consensus key bound to its bridge key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// A name for people.
    pub name: String,
    /// Its voting power.
    pub power: u64,
    /// The two keys and each one's signature over the other.
    #[serde(flatten)]
    pub binding: KeyBinding,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its unique name: `[a-z0-9._-]{1,64}`.
    pub name: String,
    /// Its account.
    pub account: AccountId,
    /// What it is.
    pub role: Role,
}

/// A home denom at genesis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisDenom {
    /// The base denom.
    pub denom: Denom,
    /// A short name for people: 1 to 16 of `A-Z a-z 0-9`.
    pub symbol: String,
    /// Digits after the point when shown to people.
    #[serde(default)]
    pub decimals: u8,
    /// The name of the only member that may issue.
    pub issuer: String,
    /// Most points there may ever be, in base units.
    pub cap: Amount,
    /// Whether nothing may be issued after genesis (恒量发行, 永不增发).
    #[serde(default)]
    pub closed: bool,
    /// What is issued at genesis: member name to amount.
    #[serde(default)]
    pub balances: BTreeMap<String, Amount>,
}

/// Whether a text can be a member's name.
#[must_use]
pub fn is_member_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with("point1")
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'))
}

/// Whether a text can be a denom's symbol.
#[must_use]
pub fn is_symbol(symbol: &str) -> bool {
    (1..=16).contains(&symbol.len()) && symbol.bytes().all(|b| b.is_ascii_alphanumeric())
}

impl Genesis {
    /// Reads a genesis file and checks it whole.
    pub fn parse(toml: &str) -> Result<Self, GenesisError> {
        let genesis: Self = toml::from_str(toml).map_err(|error| GenesisError { problems: vec![error.to_string()] })?;
        genesis.validate()?;
        Ok(genesis)
    }

    /// Checks everything that the field types do not.
    pub fn validate(&self) -> Result<(), GenesisError> {
        let mut problems = vec![];
        if self.start_time().is_none() {
            problems.push(format!("time: `{}` is not an RFC 3339 time after 1970", self.time));
        }
        if self.params.history == 0 || self.params.max_timeout == 0 || self.params.min_hold == 0 {
            problems.push("params: history, max_timeout and min_hold must be at least 1".into());
        }
        self.check_validators(&mut problems);
        self.check_members(&mut problems);
        self.check_governance(&mut problems);
        self.check_denoms(&mut problems);
        if problems.is_empty() { Ok(()) } else { Err(GenesisError { problems }) }
    }

    /// When the chain starts.
    #[must_use]
    pub fn start_time(&self) -> Option<Timestamp> {
        let time = tendermint::Time::parse_from_rfc3339(&self.time).ok()?;
        u64::try_from(time.unix_timestamp()).ok().map(Timestamp)
    }

    /// What names this genesis: the hash of its JSON.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[&serde_json::to_vec(self).unwrap_or_default()]) // plain data always serialises
    }

    /// The member of this name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    fn check_validators(&self, problems: &mut Vec<String>) {
        if self.validators.is_empty() || self.validators.len() > MAX_VALIDATORS {
            problems.push(format!("validators: there must be 1 to {MAX_VALIDATORS}, not {}", self.validators.len()));
        }
        let mut total: u64 = 0;
        let mut keys = BTreeSet::new();
        let mut bridges = BTreeSet::new();
        for (index, validator) in self.validators.iter().enumerate() {
            let at = format!("validators[{index}] ({})", validator.name);
            if validator.power == 0 {
                problems.push(format!("{at}: power is 0"));
            }
            total = total.saturating_add(validator.power);
            if !keys.insert(validator.binding.consensus_key) {
                problems.push(format!("{at}: another validator has the same consensus_key"));
            }
            if !bridges.insert(validator.binding.bridge_address) {
                problems.push(format!("{at}: another validator has the same bridge_address"));
            }
            if let Err(error) = validator.binding.verify(&self.chain_id) {
                problems.push(format!("{at}: {error}"));
            }
        }
        // CometBFT bounds the total to an eighth of i64.
        if total > (i64::MAX as u64) >> 3 {
            problems.push(format!("validators: the total power {total} is above 2^60 - 1"));
        }
    }

    fn check_members(&self, problems: &mut Vec<String>) {
        if self.members.len() > MAX_MEMBERS {
            problems.push(format!("members: {} are more than {MAX_MEMBERS}", self.members.len()));
        }
        let mut names = BTreeSet::new();
        let mut accounts = BTreeSet::new();
        for (index, member) in self.members.iter().enumerate() {
            let at = format!("members[{index}] ({})", member.name);
            if !is_member_name(&member.name) {
                problems.push(format!("{at}: a name is 1 to 64 of a-z, 0-9, `.`, `_`, `-`"));
            }
            if !names.insert(&member.name) {
                problems.push(format!("{at}: another member has the same name"));
            }
            if member.account.is_reserved() {
                problems.push(format!("{at}: the account belongs to the ledger itself"));
            }
            if !accounts.insert(member.account) {
                problems.push(format!("{at}: another member has the same account"));
            }
        }
    }

    fn check_governance(&self, problems: &mut Vec<String>) {
        let governance = &self.governance;
        for (list, names) in [("governors", &governance.governors), ("operators", &governance.operators)] {
            let mut seen = BTreeSet::new();
            for name in names {
                if self.member(name).is_none() {
                    problems.push(format!("governance.{list}: `{name}` is no member"));
                }
                if !seen.insert(name) {
                    problems.push(format!("governance.{list}: `{name}` is named twice"));
                }
            }
        }
        if governance.quorum == 0 || governance.quorum as usize > governance.governors.len() {
            problems.push(format!(
                "governance.quorum: {} is not within 1 to the number of governors, {}",
                governance.quorum,
                governance.governors.len()
            ));
        }
    }

    fn check_denoms(&self, problems: &mut Vec<String>) {
        let mut seen = BTreeSet::new();
        for (index, denom) in self.denoms.iter().enumerate() {
            let at = format!("denoms[{index}] ({})", denom.denom);
            if !denom.denom.is_home() || denom.denom.base_is_token_address() {
                problems.push(format!("{at}: a home denom has no hops and is no token address"));
            }
            if !seen.insert(&denom.denom) {
                problems.push(format!("{at}: another denom has the same name"));
            }
            if !is_symbol(&denom.symbol) {
                problems.push(format!("{at}: symbol: 1 to 16 of A-Z, a-z, 0-9"));
            }
            if self.member(&denom.issuer).is_none() {
                problems.push(format!("{at}: issuer: `{}` is no member", denom.issuer));
            }
            for name in denom.balances.keys() {
                if self.member(name).is_none() {
                    problems.push(format!("{at}: balances: `{name}` is no member"));
                }
            }
            match denom.issued() {
                Some(issued) if issued <= denom.cap => {}
                Some(issued) => problems.push(format!("{at}: {issued} issued is above the cap of {}", denom.cap)),
                None => problems.push(format!("{at}: the balances add up to more than 2^128 - 1")),
            }
        }
    }
}

impl GenesisDenom {
    /// The sum of the balances; `None` past 2^128 - 1.
    #[must_use]
    pub fn issued(&self) -> Option<Amount> {
        self.balances.values().try_fold(Amount::ZERO, |sum, amount| sum.checked_add(*amount))
    }
}
