//! Compares what a route's client believes with what other nodes of the source have: what it trusts, after each change,
//! and what is about to be brought to it, before.
//!
//! Two headers that are both signed freeze the client, by evidence that is submitted here. One against another
//! that cannot be proven is word against word: the route stops and a human is called.

use crate::journal::JournalError;
use crate::metrics::Testimony;
use crate::route::Route;
use crate::shared::{RelayError, Shared, lock};
use crosspoint_adapters::chain::{Chain, ClientStatus};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::proven::Proven;
use crosspoint_adapters::witness::{Against, Mark, Witness};
use crosspoint_protocol::ids::Height;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What the witnesses say of one header.
pub(crate) enum Verdict {
    /// All have the same.
    Agreed,
    /// None has another, but not all have answered.
    Open,
    /// One has another; in words.
    Disputed(String),
}

/// How many earlier states of the client are kept to prove from.
const MAX_ROOTS: usize = 4;

/// The witnesses of one route's source.
pub(crate) struct Witnesses {
    shared: Arc<Shared>,
    route: Route,
    prover: Arc<dyn Chain>,
    target: Arc<dyn Chain>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Earlier states of the client that every witness agreed with, newest first. `None`: not read from the journal yet.
    roots: Option<Vec<ClientStatus>>,
    /// The state that every witness agreed with last.
    agreed: Option<ClientStatus>,
    /// What is in dispute, in words.
    dispute: Option<String>,
    /// What is trusted is not asked about again before.
    rests_until: Option<Instant>,
}

impl Witnesses {
    pub(crate) fn new(shared: Arc<Shared>, route: Route, prover: Arc<dyn Chain>, target: Arc<dyn Chain>) -> Self {
        Self { shared, route, prover, target, state: Mutex::default() }
    }

    /// What is in dispute about the state that the client trusts or the last update for it, if anything. Asks the
    /// witnesses about each new state; while one has not answered or contradicts, again and again.
    pub(crate) async fn dispute(&self, client: &ClientStatus) -> Result<Option<String>, RelayError> {
        if self.prover.witnesses().is_empty() {
            return Ok(None);
        }
        {
            let state = lock(&self.state);
            let known = state.agreed.as_ref().is_some_and(|agreed| same_state(agreed, client));
            let rests = state.rests_until.is_some_and(|until| Instant::now() < until);
            if rests || (known && state.dispute.is_none()) {
                return Ok(state.dispute.clone());
            }
        }
        self.rest();
        let verdict = self.compare_trusted(client).await?;
        let still = lock(&self.state).dispute.is_some();
        match verdict {
            Verdict::Disputed(why) => Ok(Some(why)),
            Verdict::Open => Ok(lock(&self.state).dispute.clone()),
            // What was in dispute may be an update that never came to the client.
            Verdict::Agreed if still && !self.is_settled(client).await? => Ok(lock(&self.state).dispute.clone()),
            Verdict::Agreed => {
                self.settle(None);
                self.agree(client).await?;
                Ok(None)
            }
        }
    }

    /// What the witnesses say of the newest header that the client trusts.
    async fn compare_trusted(&self, client: &ClientStatus) -> Result<Verdict, RelayError> {
        let height = client.marked_height();
        let mut all = true;
        for witness in self.prover.witnesses() {
            let Some(mark) = self.ask(witness.as_ref(), client, height).await else {
                all = false;
                continue;
            };
            if self.trusts(client, &mark).await? {
                self.count(witness.as_ref(), Testimony::Agrees);
                continue;
            }
            // What was asked about may have been passed by since.
            let now = self.shared.call(&self.route.dest_chain, "client", self.target.client(&client.client)).await?;
            if !same_state(&now, client) {
                return Ok(Verdict::Open);
            }
            return self.contradicted(witness.as_ref(), client, &mark, Against::Trusted).await;
        }
        Ok(if all { Verdict::Agreed } else { Verdict::Open })
    }

    /// Whether an update proven anew is one that all agree on, or there is nothing to bring.
    async fn is_settled(&self, client: &ClientStatus) -> Result<bool, RelayError> {
        match self.shared.call(&self.route.source_chain, "prove_update", self.prover.prove_update(client)).await {
            Ok(proven) => Ok(matches!(self.check(client, &proven).await?, Verdict::Agreed)),
            Err(ChainError::NotYet(_)) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// What the witnesses say of what is about to be brought to the client. One that does not have the block yet is asked
    /// again once the client trusts it.
    pub(crate) async fn check(&self, client: &ClientStatus, proven: &Proven) -> Result<Verdict, RelayError> {
        let mut all = true;
        for witness in self.prover.witnesses() {
            let Some(brought) = witness.brought(client, &proven.evidence) else { continue };
            match self.ask(witness.as_ref(), client, brought.height).await {
                None => all = false,
                Some(mark) if mark == brought => self.count(witness.as_ref(), Testimony::Agrees),
                Some(mark) => {
                    let against = Against::Update(&proven.evidence);
                    return self.contradicted(witness.as_ref(), client, &mark, against).await;
                }
            }
        }
        Ok(if all { Verdict::Agreed } else { Verdict::Open })
    }

    async fn ask(&self, witness: &dyn Witness, client: &ClientStatus, height: Height) -> Option<Mark> {
        match self.shared.call(&self.route.source_chain, "witness", witness.header_at(client, height)).await {
            Ok(Some(mark)) => return Some(mark),
            Ok(None) => {
                tracing::debug!(route = %self.route, witness = witness.name(), %height, "a witness has no such block")
            }
            Err(error) => {
                tracing::warn!(route = %self.route, witness = witness.name(), %error, "a witness does not answer")
            }
        }
        self.count(witness, Testimony::Silent);
        None
    }

    async fn trusts(&self, client: &ClientStatus, mark: &Mark) -> Result<bool, ChainError> {
        self.shared.call(&self.route.dest_chain, "trusts", self.target.trusts(client, mark)).await
    }

    /// Submits the evidence, if there is any. The route stops either way.
    async fn contradicted(
        &self,
        witness: &dyn Witness,
        client: &ClientStatus,
        mark: &Mark,
        against: Against<'_>,
    ) -> Result<Verdict, RelayError> {
        self.count(witness, Testimony::Contradicts);
        let roots = self.roots(client)?;
        let proof = witness.accuse(client, &roots, against);
        let (source, dest) = (&self.route.source_chain, &self.route.dest_chain);
        let shown = match self.shared.call(source, "accuse", proof).await {
            Ok(Some(evidence)) => {
                let submit = self.target.submit_misbehaviour(&client.client, &evidence);
                let sent = self.shared.send(dest, "misbehaviour", submit).await;
                self.shared.metrics.misbehaviour(dest, &client.client, sent.is_ok());
                match sent {
                    Ok(tx) => format!("both are signed; evidence was submitted to {dest} ({})", tx.0),
                    Err(error) => format!("both are signed, but {dest} did not take the evidence: {error}"),
                }
            }
            Ok(None) => "which it cannot prove".to_owned(),
            Err(error) => format!("whether it can prove that is not known: {error}"),
        };
        let what = match against {
            Against::Trusted => "the client trusts another one",
            Against::Update(_) => "the chain's own nodes show another one",
        };
        let (name, height) = (witness.name(), mark.height);
        let why =
            format!("witness {name} of {source} has block {height} as 0x{}; {what}; {shown}", hex::encode(&mark.hash));
        tracing::error!(route = %self.route, client = %client.client, why, "a chain's headers are in dispute; the route stops");
        self.settle(Some(why.clone()));
        self.rest();
        Ok(Verdict::Disputed(why))
    }

    fn settle(&self, dispute: Option<String>) {
        self.shared.metrics.disputed(&self.route, dispute.is_some());
        lock(&self.state).dispute = dispute;
    }

    fn rest(&self) {
        let wait = Duration::from_millis(self.shared.config.client_poll_ms);
        lock(&self.state).rests_until = Instant::now().checked_add(wait);
    }

    fn count(&self, witness: &dyn Witness, testimony: Testimony) {
        self.shared.metrics.witness(&self.route.source_chain, witness.name(), testimony);
    }

    /// Keeps a state that all agree on, to prove from later.
    async fn agree(&self, client: &ClientStatus) -> Result<(), RelayError> {
        let mut roots = self.roots(client)?;
        roots.insert(0, client.clone());
        roots.truncate(MAX_ROOTS);
        let (route, kept) = (self.route.clone(), roots.clone());
        let write = self.shared.journal.step::<(), JournalError>(move |step| step.put_witnessed(&route, &kept));
        write.await?;
        let mut state = lock(&self.state);
        (state.roots, state.agreed) = (Some(roots), Some(client.clone()));
        Ok(())
    }

    /// Earlier states of the client's present generation.
    fn roots(&self, client: &ClientStatus) -> Result<Vec<ClientStatus>, JournalError> {
        let known = lock(&self.state).roots.clone();
        let mut roots = match known {
            Some(roots) => roots,
            None => self.shared.journal.witnessed(&self.route)?,
        };
        roots.retain(|root| root.generation == client.generation && root.trusted.height < client.trusted.height);
        Ok(roots)
    }
}

/// Whether it is one state of the client.
fn same_state(one: &ClientStatus, other: &ClientStatus) -> bool {
    let of = |client: &ClientStatus| (client.generation, client.trusted, client.trusted_hash.clone());
    of(one) == of(other)
}
