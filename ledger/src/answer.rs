//! Answers to queries; their forms are in [`crate::query`].

use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ClientId, Height, Timestamp};
use crosspoint_protocol::outbox::EMPTY_HEAD;
use crosspoint_protocol::window::WindowRules;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

use crate::address::AccountId;
use crate::app::Reader;
use crate::code;
use crate::query::{
    AccountView, AuditView, ClientView, DenomSupplyView, DenomView, HashlockQuery, HoldView, MemberView,
    OutboxBlockView, OutboxEntryView, OutboxQuery, OutboxView, PacketQuery, PacketView, ParamsView, ProposalView,
    QueryResult, SupplyView, TipView,
};
use crate::state::access::{ReadRecords, amount_from, from_json};
use crate::state::records::{DenomInfo, Hold, Member, OutboxBlock, Proposal, Supply};
use crate::state::store::View;
use crate::state::{ReadState, Space, StateError, keys};

/// Most blocks of an outbox in one answer.
const MAX_OUTBOX_BLOCKS: usize = 1_000;
/// Most bytes of a query's data.
const MAX_DATA: usize = 4_096;

/// Why a query is not answered.
#[derive(Debug, thiserror::Error)]
enum QueryError {
    #[error("there is no query `{0}`; see the documentation of the ledger's queries")]
    Path(String),
    #[error("the query's data is not what `{path}` takes: {reason}")]
    Data { path: String, reason: String },
    #[error("{0} not found")]
    NotFound(String),
    #[error("the state at height {height} is not kept; heights {oldest} to {newest} are")]
    Height { height: Height, oldest: Height, newest: Height },
    #[error("`{0}` answers at the newest height only")]
    NewestOnly(String),
    #[error(transparent)]
    State(#[from] StateError),
}

impl QueryError {
    const fn code(&self) -> u32 {
        match self {
            Self::Path(_) | Self::Data { .. } => code::MALFORMED,
            Self::NotFound(_) => code::NOT_FOUND,
            Self::Height { .. } | Self::NewestOnly(_) => code::PRUNED,
            Self::State(_) => code::INTERNAL,
        }
    }
}

/// One query and the state it is answered from.
struct Query<'a> {
    reader: &'a Reader,
    view: View<'a>,
    newest: TipView,
    path: &'a str,
    data: &'a [u8],
    height: Height,
}

/// Answers a query.
pub(crate) fn answer(reader: &Reader, path: &str, data: &[u8], height: Height, prove: bool) -> QueryResult {
    let failed = |error: QueryError, height| QueryResult {
        code: error.code(),
        log: error.to_string(),
        key: vec![],
        value: vec![],
        height,
        proof: None,
    };
    let view = reader.store.view();
    let newest = match view.tip() {
        Ok(Some(tip)) => TipView { height: Height(tip.height), time: Timestamp(tip.time) },
        Ok(None) => return failed(StateError::Database("there is no genesis state".into()).into(), height),
        Err(error) => return failed(error.into(), height),
    };
    let height = if height == Height(0) { newest.height } else { height };
    let query = Query { reader, view, newest, path, data, height };
    match query.run(prove) {
        Ok((value, proof)) => {
            let key = if path == "/store" { data.to_vec() } else { vec![] };
            QueryResult { code: code::OK, log: String::new(), key, value, height, proof }
        }
        // A node whose block is ahead of its state will have it in a moment: who asked sees so in the height.
        Err(error @ QueryError::Height { newest, .. }) => failed(error, newest),
        Err(error) => failed(error, height),
    }
}

type Answer = (Vec<u8>, Option<Vec<u8>>);

fn json<T: Serialize>(view: &T) -> Result<Answer, QueryError> {
    let bytes = serde_json::to_vec(view).map_err(|error| StateError::Database(error.to_string()))?;
    Ok((bytes, None))
}

impl Query<'_> {
    fn run(&self, prove: bool) -> Result<Answer, QueryError> {
        if self.data.len() > MAX_DATA {
            return Err(self.bad_data(&format!("longer than {MAX_DATA} bytes")));
        }
        match self.path {
            "/store" => return self.store(prove),
            "/supply" => return json(&self.supply()?),
            _ if self.height != self.newest.height => return Err(QueryError::NewestOnly(self.path.into())),
            _ => {}
        }
        match self.path {
            "/account" => json(&self.account()?),
            "/members" => json(&self.members()?),
            "/denoms" => json(&self.denoms()?),
            "/clients" => json(&self.clients()?),
            "/client" => {
                let id: ClientId = self.text()?.parse().map_err(|error| self.bad_data(&error))?;
                json(&self.client(&id)?)
            }
            "/packet" => json(&self.packet()?),
            "/hold" => json(&self.hold()?),
            "/hashlock" => json(&self.hashlock_used()?),
            "/outbox" => json(&self.outbox()?),
            "/audit" => json(&self.audit()?),
            "/params" => json(&self.params()?),
            "/proposals" => json(&self.proposals()?),
            other => Err(QueryError::Path(other.chars().take(64).collect())),
        }
    }

    fn bad_data(&self, reason: &dyn std::fmt::Display) -> QueryError {
        QueryError::Data { path: self.path.into(), reason: reason.to_string() }
    }

    fn text(&self) -> Result<&str, QueryError> {
        std::str::from_utf8(self.data).map_err(|error| self.bad_data(&error))
    }

    fn parsed<T: DeserializeOwned>(&self) -> Result<T, QueryError> {
        serde_json::from_slice(self.data).map_err(|error| self.bad_data(&error))
    }

    /// Fails unless the height's state is still kept.
    fn check_height(&self) -> Result<(), QueryError> {
        let newest = self.newest.height;
        // Block h prunes what version h - history replaced: that version itself is still whole.
        let base = self.reader.store.base()?;
        let oldest = Height(newest.0.saturating_sub(self.reader.genesis.params.history).max(base));
        if self.height < oldest || self.height > newest {
            return Err(QueryError::Height { height: self.height, oldest, newest });
        }
        Ok(())
    }

    fn store(&self, prove: bool) -> Result<Answer, QueryError> {
        self.check_height()?;
        if self.data.is_empty() {
            return Err(self.bad_data(&"empty"));
        }
        if prove {
            let (value, proof) = self.reader.store.prove(self.height.0, self.data)?;
            return Ok((value.unwrap_or_default(), Some(proof)));
        }
        Ok((self.reader.store.value_at(self.height.0, self.data)?.unwrap_or_default(), None))
    }

    fn at_height<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, QueryError> {
        let value = self.reader.store.value_at(self.height.0, key)?;
        Ok(value.map(|value| from_json(key, &value)).transpose()?)
    }

    /// The rest of each key of a table, as text.
    fn names<T: std::str::FromStr>(&self, table: &[u8]) -> Result<Vec<T>, QueryError> {
        let rest = |key: Vec<u8>| {
            let name = key.get(table.len()..).and_then(|rest| std::str::from_utf8(rest).ok()?.parse().ok());
            name.ok_or_else(|| StateError::Corrupt { key: hex::encode(&key), reason: "not a name".into() }.into())
        };
        self.view.scan(Space::Plain, table)?.into_iter().map(|(key, _)| rest(key)).collect()
    }

    fn supply(&self) -> Result<SupplyView, QueryError> {
        self.check_height()?;
        let mut denoms = vec![];
        for denom in self.names::<Denom>(&keys::denoms())? {
            // It may be younger than the height asked for.
            let Some(info) = self.at_height::<DenomInfo>(&keys::denom_info(&denom))? else { continue };
            let supply: Supply = self.at_height(&keys::supply(&denom))?.unwrap_or_default();
            let mut home = BTreeMap::new();
            for client in self.names::<ClientId>(&keys::home_clients(&denom))? {
                if let Some(book) = self.at_height(&keys::home_book(&client, &denom))? {
                    home.insert(client, book);
                }
            }
            let is_home = denom.is_home();
            let voucher =
                if is_home { None } else { Some(self.at_height(&keys::voucher_book(&denom))?.unwrap_or_default()) };
            let mut view = DenomSupplyView {
                symbol: info.symbol,
                cap: is_home.then_some(info.cap),
                issued: is_home.then_some(supply.issued),
                circulating: supply.circulating,
                owed: supply.owed,
                return_holds: supply.return_holds,
                bound: supply.bound,
                home,
                voucher,
                imbalance: 0,
                denom,
            };
            view.imbalance = imbalance(&view);
            denoms.push(view);
        }
        Ok(SupplyView { height: self.height, denoms })
    }

    fn account_id(&self) -> Result<AccountId, QueryError> {
        let text = self.text()?;
        if let Ok(account) = text.parse() {
            return Ok(account);
        }
        let name: String = text.chars().take(64).collect();
        self.view.account_of(text)?.ok_or_else(|| QueryError::NotFound(format!("member or address `{name}`")))
    }

    fn account(&self) -> Result<AccountView, QueryError> {
        let account = self.account_id()?;
        let amounts = |table: Vec<u8>| -> Result<BTreeMap<Denom, Amount>, QueryError> {
            let mut amounts = BTreeMap::new();
            for (key, value) in self.view.scan(Space::Plain, &table)? {
                amounts.insert(denom_after(&key, table.len())?, amount_from(&key, &value)?);
            }
            Ok(amounts)
        };
        Ok(AccountView {
            account,
            member: self.view.member(&account)?.map(|member| member_view(account, member)),
            nonce: self.view.number(&keys::nonce(&account))?,
            balances: amounts(keys::balances_of(&account))?,
            owed: amounts(keys::owed_of(&account))?,
        })
    }

    fn members(&self) -> Result<Vec<MemberView>, QueryError> {
        let table = keys::members();
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            let account = AccountId::from_slice(key.get(table.len()..).unwrap_or_default());
            let account =
                account.map_err(|error| StateError::Corrupt { key: hex::encode(&key), reason: error.to_string() })?;
            Ok(member_view(account, from_json(&key, &value)?))
        };
        self.view.scan(Space::Plain, &table)?.into_iter().map(read).collect()
    }

    fn denoms(&self) -> Result<Vec<DenomView>, QueryError> {
        let mut views = vec![];
        for denom in self.names::<Denom>(&keys::denoms())? {
            let Some(info) = self.view.denom_info(&denom)? else { continue };
            let DenomInfo { symbol, decimals, issuer, cap, closed } = info;
            views.push(DenomView { denom, symbol, decimals, issuer, cap, closed });
        }
        Ok(views)
    }

    fn clients(&self) -> Result<Vec<ClientView>, QueryError> {
        self.names::<ClientId>(&keys::clients())?.iter().map(|id| self.client(id)).collect()
    }

    fn client(&self, id: &ClientId) -> Result<ClientView, QueryError> {
        let client = self.view.client(id)?.ok_or_else(|| QueryError::NotFound(format!("client {id}")))?;
        let (height, time) = client.state.trusted();
        let newest = self.view.consensus(id, client.state.generation(), height)?;
        Ok(ClientView {
            client: id.clone(),
            client_type: client.state.type_name().into(),
            counterparty_chain: client.state.chain().map_err(|error| StateError::Database(error.to_string()))?,
            counterparty_client: client.counterparty,
            trusted: TipView { height, time },
            trusted_hash: client.state.trusted_hash().to_vec(),
            signers: client.state.signers(newest.as_ref()),
            trusting_period: client.state.trusting_period(),
            frozen: client.state.frozen(),
            closed: client.closed,
            paused: client.paused,
            generation: client.state.generation(),
            next_sequence: crosspoint_protocol::ids::Sequence(self.view.number(&keys::last_sequence(id))?).next(),
        })
    }

    fn packet(&self) -> Result<PacketView, QueryError> {
        let PacketQuery { client, sequence } = self.parsed()?;
        let sent = self.view.sent(&client, sequence)?;
        let sent = sent.ok_or_else(|| QueryError::NotFound(format!("packet {client}/{sequence} sent from here")))?;
        Ok(PacketView { packet: sent.packet, state: sent.state, sent: sent.sent, forwards: sent.forwards })
    }

    fn hold(&self) -> Result<HoldView, QueryError> {
        let PacketQuery { client, sequence } = self.parsed()?;
        let hold = self.view.hold(&client, sequence)?;
        let hold = hold.ok_or_else(|| QueryError::NotFound(format!("packet {client}/{sequence} received here")))?;
        let Hold { packet, state, ack, received, onward, .. } = hold;
        Ok(HoldView { packet, state, ack, received, onward })
    }

    fn hashlock_used(&self) -> Result<bool, QueryError> {
        let HashlockQuery { sender, hashlock } = self.parsed()?;
        Ok(self.view.get(Space::Plain, &keys::hashlock(&sender, &hashlock))?.is_some())
    }

    fn outbox(&self) -> Result<OutboxView, QueryError> {
        let OutboxQuery { client, list, from, to } = self.parsed()?;
        let table = keys::outbox_blocks(&client, list);
        let start = keys::outbox_block(&client, list, from);
        let previous_head = match self.view.last_before(Space::Plain, &table, &start)? {
            Some((key, value)) => from_json::<OutboxBlock>(&key, &value)?.head,
            None => EMPTY_HEAD.to_vec(),
        };
        let mut view = OutboxView { previous_head, blocks: vec![], more: false };
        for (key, value) in self.view.range(Space::Plain, &table, &start, MAX_OUTBOX_BLOCKS.saturating_add(1))? {
            let height = key.get(table.len()..).and_then(|rest| rest.try_into().ok()).map(u64::from_be_bytes);
            let height = Height(height.unwrap_or_default());
            if height > to {
                break;
            }
            if view.blocks.len() == MAX_OUTBOX_BLOCKS {
                view.more = true;
                break;
            }
            let block: OutboxBlock = from_json(&key, &value)?;
            let entries = block.entries.into_iter();
            view.blocks.push(OutboxBlockView {
                height,
                head: block.head,
                entries: entries.map(|(sequence, c)| OutboxEntryView { sequence, commitment: c.0 }).collect(),
            });
        }
        Ok(view)
    }

    fn audit(&self) -> Result<AuditView, QueryError> {
        let mut balances = BTreeMap::new();
        let mut owed = BTreeMap::new();
        for denom in self.names::<Denom>(&keys::denoms())? {
            let supply = self.view.supply(&denom)?;
            balances.insert(denom.clone(), (supply.circulating, Amount::ZERO));
            owed.insert(denom, (supply.owed, Amount::ZERO));
        }
        for (table, sums) in [(keys::balances(), &mut balances), (keys::all_owed(), &mut owed)] {
            let prefix = table.len().saturating_add(20);
            for (key, value) in self.view.scan(Space::Plain, &table)? {
                let (_, sum) = sums.entry(denom_after(&key, prefix)?).or_default();
                let amount = amount_from(&key, &value)?;
                *sum = sum.checked_add(amount).ok_or_else(|| StateError::Books("balances overflow".into()))?;
            }
        }
        let set_hash_matches = self.view.set_hash_matches()?;
        Ok(AuditView { height: self.newest.height, balances, owed, set_hash_matches })
    }

    fn params(&self) -> Result<ParamsView, QueryError> {
        let genesis = &self.reader.genesis;
        let governance = self.view.governance()?;
        Ok(ParamsView {
            chain_id: genesis.chain_id.clone(),
            window: WindowRules {
                max_timeout: genesis.params.max_timeout,
                min_hold: genesis.params.min_hold,
                trusting_period: 0,
            },
            history: genesis.params.history,
            operators: governance.operators,
            governors: governance.governors,
            quorum: governance.quorum,
            delay: governance.delay,
            paused: governance.paused,
        })
    }

    fn proposals(&self) -> Result<Vec<ProposalView>, QueryError> {
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            let Proposal { action, approvals, ready_at, .. } = from_json(&key, &value)?;
            let number = key.get(1..).and_then(|n| n.try_into().ok()).map(u64::from_be_bytes).unwrap_or_default();
            Ok(ProposalView { proposal: number, action, approvals, ready_at })
        };
        self.view.scan(Space::Plain, &keys::proposals())?.into_iter().map(read).collect()
    }
}

fn member_view(account: AccountId, member: Member) -> MemberView {
    MemberView { name: member.name, account, role: member.role, suspended: member.suspended }
}

fn denom_after(key: &[u8], prefix: usize) -> Result<Denom, StateError> {
    let denom = key.get(prefix..).and_then(|rest| std::str::from_utf8(rest).ok()?.parse().ok());
    denom.ok_or_else(|| StateError::Corrupt { key: hex::encode(key), reason: "does not end in a denom".into() })
}

/// What should be there less what is there: I1 for home denoms, I2 for vouchers.
fn imbalance(view: &DenomSupplyView) -> i128 {
    let out = view.home.values().try_fold(Amount::ZERO, |sum, book| sum.checked_add(book.total()?));
    let found = [view.owed, view.return_holds]
        .into_iter()
        .try_fold(view.circulating, Amount::checked_add)
        .zip(out)
        .and_then(|(sum, out)| sum.checked_add(out)?.checked_sub(view.bound));
    let expected = view.issued.or(view.voucher.as_ref().map(|book| book.circulating));
    let signed = |amount: Option<Amount>| amount.and_then(|amount| i128::try_from(amount.get()).ok());
    match (signed(expected), signed(found)) {
        (Some(expected), Some(found)) => expected.saturating_sub(found),
        _ => i128::MAX,
    }
}
