//! Executing a block on a state, and writing genesis: pure but for the threads that check signatures.

use crosspoint_protocol::ids::{ChainId, ClientId};
use crosspoint_protocol::outbox;
use crosspoint_protocol::path::Path;
use std::collections::BTreeMap;
use std::num::NonZero;

use crate::app::{BlockContext, TxResult, refused};
use crate::code;
use crate::events::Event;
use crate::genesis::Genesis;
use crate::handlers::error::HandlerError;
use crate::handlers::{BlockEnv, account, governance, handle};
use crate::query::{HexView, OutboxList};
use crate::state::access::{ReadRecords, WriteRecords};
use crate::state::overlay::{Changes, Overlay};
use crate::state::records::{ChainTip, DenomInfo, Governance, Member, OutboxBlock, Supply};
use crate::state::{OutboxEntry, ReadState, Space, StateError, WriteState, keys};
use crate::tx::{Tx, TxError};

/// What executing a block gives.
#[derive(Debug)]
pub(crate) struct Executed {
    pub(crate) changes: Changes,
    pub(crate) results: Vec<TxResult>,
    pub(crate) events: Vec<Event>,
}

/// Why a decoded and signed transaction is not executed. Its nonce stays unused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("the transaction is for chain `{found}`, this is `{expected}`")]
    Chain { found: String, expected: ChainId },
    #[error("nonce {found} is used already; the next is {next}")]
    NonceUsed { found: u64, next: u64 },
    #[error("nonce {found} is too far ahead; the next is {next}")]
    NonceAhead { found: u64, next: u64 },
    #[error(transparent)]
    Handler(#[from] HandlerError),
}

impl Unfit {
    pub(crate) const fn code(&self) -> u32 {
        match self {
            Self::Chain { .. } => code::CHAIN_ID,
            Self::NonceUsed { .. } => code::NONCE_USED,
            Self::NonceAhead { .. } => code::NONCE_AHEAD,
            Self::Handler(error) => error.code(),
        }
    }
}

impl From<StateError> for Unfit {
    fn from(error: StateError) -> Self {
        Self::Handler(error.into())
    }
}

/// Whether a transaction fits the state: chain, nonce at most `ahead` after the next, sender an active member.
pub(crate) fn check(state: &impl ReadState, chain_id: &ChainId, tx: &Tx, ahead: u64) -> Result<(), Unfit> {
    if tx.chain_id != chain_id.as_str() {
        return Err(Unfit::Chain { found: tx.chain_id.chars().take(64).collect(), expected: chain_id.clone() });
    }
    let last = state.number(&keys::nonce(&tx.sender)).map_err(HandlerError::from)?;
    let next = last.saturating_add(1);
    if tx.nonce <= last {
        return Err(Unfit::NonceUsed { found: tx.nonce, next });
    }
    if tx.nonce > next.saturating_add(ahead) {
        return Err(Unfit::NonceAhead { found: tx.nonce, next });
    }
    Ok(account::check_active(state, &tx.sender)?)
}

/// Executes a block. Only a failure of the node is an error.
pub(crate) fn block(
    base: &dyn ReadState,
    genesis: &Genesis,
    block: &BlockContext,
    txs: &[Vec<u8>],
) -> Result<Executed, StateError> {
    let decoded = decode_all(txs);
    let env = BlockEnv { height: block.height, now: block.time, params: &genesis.params };
    let mut state = Overlay::new(base);
    governance::run_due(&mut state, &env)?;
    let events = state.take_events();
    let mut results = Vec::with_capacity(txs.len());
    for tx in decoded {
        results.push(match tx {
            Err(error) => refused(&error),
            Ok(tx) => transaction(&mut state, &env, &genesis.chain_id, tx)?,
        });
    }
    let outbox = state.take_outbox();
    write_outboxes(&mut state, &env, outbox)?;
    let tip = ChainTip { height: block.height, time: block.time };
    state.put_json(Space::Provable, keys::CHAIN_TIP.to_vec(), &tip)?;
    Ok(Executed { changes: state.into_changes(), results, events })
}

/// Decodes and checks signatures on all cores: neither depends on the state.
pub(crate) fn decode_all<T: AsRef<[u8]> + Sync>(txs: &[T]) -> Vec<Result<Tx, TxError>> {
    let decode = |bytes: &T| {
        let tx = Tx::decode(bytes.as_ref())?;
        tx.verify()?;
        Ok(tx)
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = txs.len().div_ceil(threads).max(16);
    if txs.len() <= share {
        return txs.iter().map(decode).collect();
    }
    let mut results: Vec<Result<Tx, TxError>> = txs.iter().map(|_| Err(TxError::Signature)).collect();
    std::thread::scope(|scope| {
        for (txs, results) in txs.chunks(share).zip(results.chunks_mut(share)) {
            scope.spawn(move || results.iter_mut().zip(txs).for_each(|(result, bytes)| *result = decode(bytes)));
        }
    });
    results
}

/// Runs one transaction. Its nonce is used up once signature, chain and nonce are right, whether its messages succeed or
/// not, so that nobody can send it again.
fn transaction(
    state: &mut Overlay<'_>,
    env: &BlockEnv<'_>,
    chain_id: &ChainId,
    tx: Tx,
) -> Result<TxResult, StateError> {
    let (sender, nonce) = (tx.sender, tx.nonce);
    let result = |code, log, events| TxResult { code, log, events, sender: Some(sender), nonce };
    match check(state, chain_id, &tx, 0) {
        Ok(()) => {}
        Err(Unfit::Handler(HandlerError::State(error))) => return Err(error),
        Err(unfit) => return Ok(result(unfit.code(), unfit.to_string(), vec![])),
    }
    state.put_number(keys::nonce(&sender), nonce);
    let done = state.attempt(|inner| {
        for (index, message) in (0u32..).zip(tx.messages) {
            let name = message.name();
            handle(inner, env, &sender, index, message).map_err(|error| Box::new((index, name, error)))?;
        }
        Ok(())
    });
    match done.map_err(|failed: Box<_>| *failed) {
        Ok(()) => Ok(result(code::OK, String::new(), state.take_events())),
        Err((_, _, HandlerError::State(error))) => Err(error),
        Err((index, name, error)) => Ok(result(error.code(), format!("message {index} ({name}): {error}"), vec![])),
    }
}

/// Closes the block's outbox lists: their roots go into the heads.
fn write_outboxes(state: &mut Overlay<'_>, env: &BlockEnv<'_>, entries: Vec<OutboxEntry>) -> Result<(), StateError> {
    let mut lists: BTreeMap<(ClientId, OutboxList), Vec<OutboxEntry>> = BTreeMap::new();
    for entry in entries {
        lists.entry((entry.client.clone(), entry.list)).or_default().push(entry);
    }
    for ((client, list), entries) in lists {
        let leaves: Vec<_> = entries
            .iter()
            .map(|entry| {
                let path = match list {
                    OutboxList::Sent => Path::commitment(client.clone(), entry.sequence),
                    OutboxList::Acked => Path::ack(client.clone(), entry.sequence),
                };
                outbox::leaf(&path, &entry.commitment)
            })
            .collect();
        let Some(root) = outbox::root(&leaves) else { continue };
        let key = keys::outbox_head(&client, list);
        let previous = match state.get(Space::Provable, &key)? {
            None => outbox::EMPTY_HEAD,
            Some(head) => head.as_slice().try_into().map_err(|_| StateError::Corrupt {
                key: hex::encode(&key),
                reason: "an outbox head is 32 bytes".into(),
            })?,
        };
        let head = outbox::next_head(&previous, &root);
        state.put(Space::Provable, key, head.to_vec());
        let entries = entries.into_iter().map(|e| (e.sequence, HexView(e.commitment.to_vec()))).collect();
        let record = OutboxBlock { previous: previous.to_vec(), head: head.to_vec(), entries };
        state.put_json(Space::Plain, keys::outbox_block(&client, list, env.height), &record)?;
    }
    Ok(())
}

/// The state at genesis.
pub(crate) fn genesis(base: &dyn ReadState, genesis: &Genesis) -> Result<Changes, StateError> {
    let mut state = Overlay::new(base);
    let account = |name: &str| {
        let found = genesis.member(name).map(|member| member.account);
        found.ok_or_else(|| StateError::Books(format!("genesis names `{name}`, who is no member")))
    };
    let accounts = |names: &[String]| names.iter().map(|name| account(name)).collect::<Result<Vec<_>, _>>();
    for member in &genesis.members {
        let record = Member { name: member.name.clone(), role: member.role, suspended: false };
        state.put_member(&member.account, &record)?;
    }
    let record = Governance {
        governors: accounts(&genesis.governance.governors)?,
        quorum: genesis.governance.quorum,
        delay: genesis.governance.delay,
        operators: accounts(&genesis.governance.operators)?,
        paused: false,
    };
    state.put_json(Space::Provable, keys::GOVERNANCE.to_vec(), &record)?;
    for denom in &genesis.denoms {
        let info = DenomInfo {
            symbol: denom.symbol.clone(),
            decimals: denom.decimals,
            issuer: Some(account(&denom.issuer)?),
            cap: denom.cap,
            closed: denom.closed,
        };
        state.put_denom(&denom.denom, &info)?;
        for (name, amount) in &denom.balances {
            state.put_amount(keys::balance(&account(name)?, &denom.denom), *amount);
        }
        let issued = denom.issued().ok_or_else(|| StateError::Books("genesis balances overflow".into()))?;
        let supply = Supply { issued, circulating: issued, ..Supply::default() };
        state.put_json(Space::Provable, keys::supply(&denom.denom), &supply)?;
    }
    let tip = ChainTip { height: Default::default(), time: genesis.start_time().unwrap_or_default() };
    state.put_json(Space::Provable, keys::CHAIN_TIP.to_vec(), &tip)?;
    Ok(state.into_changes())
}
