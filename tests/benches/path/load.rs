//! Sends transfers, lets the relayer do the rest, and waits until all are settled. The receivers' claims are made
//! by the relayer's watch-tower, which knows the secrets beforehand, as for registered invoices.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alloy::network::{EthereumWallet, TransactionBuilder};
use alloy::primitives::aliases::U96;
use alloy::primitives::{U64, U128};
use alloy::providers::{Provider, ProviderBuilder};
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;
use anyhow::{Context, Result, ensure};
use crosspoint_adapters::chain::{Chain, LockRequest};
use crosspoint_adapters::evm::contracts::ICrosspointGateway::{Lock, sendCall};
use crosspoint_adapters::evm::record::client_word;
use crosspoint_gateway::localnet::{evm_address, evm_key, member, member_address};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{Sequence, Timestamp};
use crosspoint_protocol::lock::Terms;
use crosspoint_protocol::secret::{Hashlock, Preimage};
use crosspoint_relayer::journal::Invoice;
use crosspoint_relayer::life::Stage;
use crosspoint_relayer::route::Route;
use serde_json::json;

use crate::Bench;
use crate::blocks::{self, Heights, Weight};
use crate::meter::Reading;

/// The EVM account that receives points and sends them back.
const MERCHANT: usize = 1;
/// Base units of one transfer to EVM; half of them go back.
const AMOUNT: u128 = 10;
/// The longest wait for all to settle.
const PATIENCE: Duration = Duration::from_secs(600);

/// Which way transfers go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    ToEvm,
    ToNative,
}

impl Direction {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ToEvm => "native → EVM",
            Self::ToNative => "EVM → native",
        }
    }
}

/// One run.
pub(crate) struct Load {
    pub(crate) direction: Direction,
    pub(crate) packets: usize,
    /// How many are in flight.
    pub(crate) at_once: usize,
}

/// What a run measured.
pub(crate) struct Run {
    pub(crate) direction: Direction,
    pub(crate) packets: usize,
    pub(crate) at_once: usize,
    /// Seconds from the first lock sent to the last transfer settled.
    pub(crate) seconds: f64,
    /// Of each transfer, from its lock being sent, in milliseconds, sorted.
    pub(crate) to_held: Vec<u64>,
    pub(crate) to_settled: Vec<u64>,
    pub(crate) used: Reading,
    pub(crate) evm: BTreeMap<&'static str, Weight>,
    pub(crate) native: Weight,
    pub(crate) native_blocks: u64,
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn sfs() -> Denom {
    Denom::base("sfs").unwrap()
}

impl Load {
    pub(crate) async fn run(&self, bench: &Bench) -> Result<Run> {
        let route = self.route(bench).await?;
        let before = settled(bench, &route)?;
        let secrets: Vec<Preimage> = (0..self.packets).map(|_| Preimage::new(rand::random())).collect();
        for secret in &secrets {
            bench.relayer.register_preimage(secret, self.invoice(bench)?).await?;
        }
        let (start, from, started) = (Reading::take(bench)?, Heights::now(bench).await?, Instant::now());
        let mut sent = HashMap::new();
        for (group, chunk) in secrets.chunks(self.at_once).enumerate() {
            sent.extend(match self.direction {
                Direction::ToEvm => self.lock_native(bench, chunk).await?,
                Direction::ToNative => self.lock_evm(bench, chunk).await?,
            });
            let wanted = before + (group * self.at_once + chunk.len()) as u64;
            while settled(bench, &route)? < wanted {
                ensure!(started.elapsed() < PATIENCE, "not all settled: {:?}", bench.relayer.status()?.routes);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        let used = Reading::take(bench)?.since(&start);
        let to = Heights::now(bench).await?;
        let (to_held, to_settled) = self.latencies(bench, &route, before, &sent)?;
        let (native, native_blocks) = blocks::native(bench, from, to).await?;
        let evm = blocks::evm(bench, from, to).await?;
        let (direction, packets, at_once) = (self.direction, self.packets, self.at_once);
        Ok(Run { direction, packets, at_once, seconds, to_held, to_settled, used, evm, native, native_blocks })
    }

    /// The route, once the relayer has found it.
    async fn route(&self, bench: &Bench) -> Result<Route> {
        let source = match self.direction {
            Direction::ToEvm => bench.net.native.id(),
            Direction::ToNative => bench.net.evm.id(),
        };
        for _ in 0..200 {
            let routes = bench.relayer.status()?.routes;
            if let Some(route) = routes.into_iter().map(|status| status.route).find(|r| r.source_chain == *source) {
                return Ok(route);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("the relayer found no route from {source}")
    }

    fn amount(&self) -> u128 {
        match self.direction {
            Direction::ToEvm => AMOUNT,
            Direction::ToNative => AMOUNT / 2,
        }
    }

    fn invoice(&self, bench: &Bench) -> Result<Invoice> {
        let (chain, denom, receiver) = match self.direction {
            Direction::ToEvm => (bench.net.evm.id().clone(), bench.net.voucher_on_evm(&sfs())?, evm_address(MERCHANT)?),
            Direction::ToNative => (bench.net.native.id().clone(), sfs(), member_address("coffee")?),
        };
        Ok(Invoice { chain, denom, amount: Amount::new(self.amount()), receiver })
    }

    async fn windows(&self, dest: &dyn Chain) -> Result<(Timestamp, Timestamp)> {
        let now = dest.head().await?.latest.time.0;
        Ok((Timestamp(now + 1_800), Timestamp(now + 3_600)))
    }

    /// All at once, through the adapter. Says when each was sent.
    async fn lock_native(&self, bench: &Bench, secrets: &[Preimage]) -> Result<Vec<(Hashlock, u64)>> {
        let (timeout, claim_deadline) = self.windows(bench.net.evm.as_ref()).await?;
        let payer = member("mall");
        let receiver = evm_address(MERCHANT)?;
        let locks = secrets.iter().map(|secret| {
            let request = LockRequest {
                client: bench.net.native_client.clone(),
                denom: sfs(),
                amount: Amount::new(self.amount()),
                receiver: receiver.clone(),
                hashlock: secret.hashlock(),
                timeout,
                claim_deadline,
                terms: Terms::Plain,
                memo: String::new(),
            };
            let (payer, at) = (&payer, now_ms());
            async move { bench.net.native.lock(payer, &request).await.map(|_| (request.hashlock, at)) }
        });
        Ok(futures::future::try_join_all(locks).await?)
    }

    /// All at once, straight to the node: waiting for each as the adapter does would load the node with questions.
    async fn lock_evm(&self, bench: &Bench, secrets: &[Preimage]) -> Result<Vec<(Hashlock, u64)>> {
        let (timeout, claim_deadline) = self.windows(bench.net.native.as_ref()).await?;
        let rpc = bench.net.evm.rpc();
        let key = evm_key(MERCHANT)?;
        let first: U64 = rpc.call("eth_getTransactionCount", json!([key.address(), "pending"])).await?;
        let price: U128 = rpc.call("eth_gasPrice", json!([])).await?;
        let provider =
            ProviderBuilder::new().wallet(EthereumWallet::from(key)).connect_http(bench.net.anvil.url().clone());
        let mut sent = vec![];
        for (nonce, secret) in (first.to::<u64>()..).zip(secrets) {
            let lock = Lock {
                client: client_word(&bench.net.evm_client).into(),
                denom: bench.net.voucher_on_evm(&sfs())?.to_string(),
                amount: U96::from(self.amount()),
                receiver: member_address("coffee")?.to_string(),
                hashlock: secret.hashlock().0.into(),
                timeout: timeout.0,
                claimDeadline: claim_deadline.0,
                terms: Terms::Plain.encode().into(),
                memo: String::new(),
            };
            let tx = TransactionRequest::default()
                .with_to(bench.net.evm.settings().gateway)
                .with_input(sendCall { lock }.abi_encode())
                .with_nonce(nonce)
                .with_gas_limit(300_000)
                .with_chain_id(bench.net.manifest.chain_number)
                .with_max_fee_per_gas(price.to::<u128>() * 4)
                .with_max_priority_fee_per_gas(1);
            sent.push((secret.hashlock(), now_ms()));
            let _ = provider.send_transaction(tx).await.context("a lock on EVM")?;
        }
        Ok(sent)
    }

    /// Milliseconds from each lock's sending to its hold and to its end being final, as the journal noted them.
    fn latencies(
        &self,
        bench: &Bench,
        route: &Route,
        before: u64,
        sent: &HashMap<Hashlock, u64>,
    ) -> Result<(Vec<u64>, Vec<u64>)> {
        let journal = bench.relayer.journal();
        let (mut held, mut settled) = (vec![], vec![]);
        for sequence in before + 1..=before + self.packets as u64 {
            let transfer = journal.transfer(&route.packet(Sequence(sequence)))?;
            let hashlock = transfer.life.terms.as_ref().context("its terms")?.hashlock;
            let at = *sent.get(&hashlock).context("a transfer of this run")?;
            // With the secret known a hold is claimable the moment it is seen.
            let when = |stages: &[Stage]| transfer.history.iter().find(|entry| stages.contains(&entry.stage));
            let is_held = when(&[Stage::Held, Stage::ClaimReady]).context("it was held")?;
            let is_settled = when(&[Stage::Settled]).context("it was settled")?;
            held.push(is_held.at_ms.saturating_sub(at));
            settled.push(is_settled.at_ms.saturating_sub(at));
        }
        held.sort_unstable();
        settled.sort_unstable();
        Ok((held, settled))
    }
}

fn settled(bench: &Bench, route: &Route) -> Result<u64> {
    let counts = bench.relayer.journal().stage_counts(route)?;
    Ok(counts.iter().find(|count| count.stage == Stage::Settled).map_or(0, |count| count.count))
}
