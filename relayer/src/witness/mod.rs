//! Compares what a route's client believes with what other nodes of the source have: what it trusts, after each change;
//! what is about to be brought to it, before; and what others brought and followed at once ([`followed`]).
//!
//! Two headers that are both signed freeze the client, by evidence that is submitted here. One against another
//! that cannot be proven is word against word: the route stops and a human is called. The route stops first, so that
//! nothing moves while evidence is on its way.

mod followed;

use crate::journal::JournalError;
use crate::metrics::Testimony;
use crate::route::Route;
use crate::shared::{Halt, RelayError, Shared, lock};
use crosspoint_adapters::chain::{Chain, ClientStatus};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::proven::Proven;
use crosspoint_adapters::witness::{Against, Mark, Seen, Witness};
use crosspoint_protocol::ids::{Height, Timestamp};
pub(crate) use followed::Looked;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How many earlier states of the client are kept to prove from.
const MAX_ROOTS: usize = 4;
/// The longest wait for one witness: batches wait for it.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);
/// For how long a witness that did not answer is not asked.
const PAUSE: Duration = Duration::from_secs(30);
/// How many headers that a witness has too are remembered, not to be asked about again.
const MAX_COMPARED: usize = 256;

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
    /// Earlier states of the client that a witness agreed with and none contradicted, newest first. `None`: not read from
    /// the journal yet.
    roots: Option<Vec<ClientStatus>>,
    /// The state that every witness agreed with last.
    agreed: Option<ClientStatus>,
    /// The state that was asked about last, not to be asked about again before.
    asked: Option<(ClientStatus, Instant)>,
    dispute: Option<Dispute>,
    /// Headers that a witness has too, newest last.
    compared: VecDeque<Mark>,
    /// How far the updates of the client were looked through; `None`: not read from the journal yet.
    looked: Option<Looked>,
    /// For what evidence was submitted: once is enough.
    shown: Option<(u64, Mark)>,
    /// Witnesses that did not answer, and until when they are not asked.
    paused: BTreeMap<usize, Instant>,
}

/// One witness has another header.
#[derive(Debug, Clone)]
struct Dispute {
    witness: usize,
    about: About,
    /// The state in dispute, and the destination's newest block when it was found.
    state: ClientStatus,
    found_at: Height,
    why: String,
}

/// Which header is in dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// The newest that the client trusts.
    Trusted,
    /// One that was not brought to it.
    Update,
    /// One that it trusts and that another has followed.
    Followed,
}

/// What the witnesses say of one header.
pub(crate) enum Verdict {
    /// None has another header; these have the same.
    Open(Vec<usize>),
    /// One has another; in words.
    Disputed(String),
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
        self.recall(client)?;
        if let Some(why) = self.look_back(client).await? {
            return Ok(Some(why));
        }
        if let Some(known) = self.known(client) {
            return Ok(known);
        }
        let verdict = self.compare_trusted(client).await;
        let wait = Duration::from_millis(self.shared.config.client_poll_ms);
        let until = Instant::now().checked_add(wait).unwrap_or_else(Instant::now);
        lock(&self.state).asked = Some((client.clone(), until));
        let agreeing = match verdict? {
            Verdict::Disputed(why) => return Ok(Some(why)),
            Verdict::Open(agreeing) => agreeing,
        };
        let dispute = lock(&self.state).dispute.clone();
        if let Some(dispute) = dispute {
            if !self.is_settled(client, &dispute, &agreeing).await? {
                return Ok(Some(dispute.why));
            }
            tracing::info!(route = %self.route, "the dispute about the chain's headers is settled");
            self.settle(None);
        }
        self.agree(client, agreeing.len()).await?;
        Ok(None)
    }

    /// What can be said of this state without asking.
    fn known(&self, client: &ClientStatus) -> Option<Option<String>> {
        let state = lock(&self.state);
        let dispute = state.dispute.as_ref().map(|dispute| dispute.why.clone());
        let agreed = state.agreed.as_ref().is_some_and(|agreed| same_state(agreed, client));
        if agreed && dispute.is_none() {
            self.shared.metrics.witnessed(&self.route);
            return Some(None);
        }
        let now = Instant::now();
        let rests = state.asked.as_ref().is_some_and(|(asked, until)| same_state(asked, client) && now < *until);
        rests.then_some(dispute)
    }

    /// Reads what is kept in the journal, and forgets a dispute about an earlier generation of the client.
    fn recall(&self, client: &ClientStatus) -> Result<(), JournalError> {
        let unread = lock(&self.state).roots.is_none();
        if unread {
            let roots = self.shared.journal.witnessed(&self.route)?;
            lock(&self.state).roots = Some(roots);
        }
        let of_old =
            lock(&self.state).dispute.as_ref().is_some_and(|dispute| dispute.state.generation != client.generation);
        if of_old {
            self.settle(None);
        }
        Ok(())
    }

    /// What the witnesses say of the newest header that the client trusts.
    async fn compare_trusted(&self, client: &ClientStatus) -> Result<Verdict, RelayError> {
        let height = client.marked_height();
        let mut agreeing = vec![];
        for (at, seen) in self.ask_all(client, height, client.trusted.time).await {
            let Seen::Header(mark) = seen else { continue };
            if mark.height == height && self.trusts(client, &mark).await? {
                self.agrees(at, mark);
                agreeing.push(at);
                continue;
            }
            // What was asked about may have been passed by since.
            let now = self.shared.call(&self.route.dest_chain, "client", self.target.client(&client.client)).await?;
            if !same_state(&now, client) {
                return Ok(Verdict::Open(vec![]));
            }
            return self.contradicted(at, client, mark, Against::Trusted).await;
        }
        Ok(Verdict::Open(agreeing))
    }

    /// What the witnesses say of what is about to be brought to the client. One that does not have the block yet is asked
    /// again once the client trusts it.
    pub(crate) async fn check(&self, client: &ClientStatus, proven: &Proven) -> Result<Verdict, RelayError> {
        let brought = self.prover.witnesses().iter().find_map(|witness| witness.brought(client, &proven.evidence));
        let Some(brought) = brought else { return Ok(Verdict::Open(vec![])) };
        let mut agreeing = vec![];
        for (at, seen) in self.ask_all(client, brought.height, proven.time).await {
            let Seen::Header(mark) = seen else { continue };
            if mark != brought {
                return self.contradicted(at, client, mark, Against::Update(&proven.evidence)).await;
            }
            self.agrees(at, mark);
            agreeing.push(at);
        }
        Ok(Verdict::Open(agreeing))
    }

    /// Whether the witness that contradicted has the same header by now: what the client trusts, or an update proven anew.
    async fn is_settled(
        &self,
        client: &ClientStatus,
        dispute: &Dispute,
        agreeing: &[usize],
    ) -> Result<bool, RelayError> {
        match dispute.about {
            // Once another header has followed it, only looking back tells whether the client was deceived.
            About::Trusted => {
                let gone_by = same_state(&dispute.state, client) || self.looked_past(dispute.found_at);
                return Ok(agreeing.contains(&dispute.witness) && gone_by);
            }
            About::Followed => return Ok(false), // by looking back again
            About::Update => {}
        }
        match self.shared.call(&self.route.source_chain, "prove_update", self.prover.prove_update(client)).await {
            Ok(proven) => match self.check(client, &proven).await? {
                Verdict::Open(agreeing) => Ok(agreeing.contains(&dispute.witness)),
                Verdict::Disputed(_) => Ok(false),
            },
            // Nothing new to compare: what was in dispute stays so.
            Err(ChainError::NotYet(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// What those witnesses have that answer, all asked at once.
    async fn ask_all(&self, client: &ClientStatus, height: Height, time: Timestamp) -> Vec<(usize, Seen)> {
        let ask = |(at, witness): (usize, &Arc<dyn Witness>)| {
            let witness = Arc::clone(witness);
            async move { Some((at, self.ask(at, witness.as_ref(), client, height, time).await?)) }
        };
        let answers = futures::future::join_all(self.prover.witnesses().iter().enumerate().map(ask)).await;
        answers.into_iter().flatten().collect()
    }

    async fn ask(
        &self,
        at: usize,
        witness: &dyn Witness,
        client: &ClientStatus,
        height: Height,
        time: Timestamp,
    ) -> Option<Seen> {
        let (route, name, now) = (&self.route, witness.name(), Instant::now());
        let paused = lock(&self.state).paused.get(&at).is_some_and(|until| now < *until);
        if !paused {
            let late =
                |_| Err(ChainError::Unreachable { chain: route.source_chain.clone(), detail: "no answer".into() });
            let answer = async {
                let answer = tokio::time::timeout(ANSWER_LIMIT, witness.header_at(client, height, time)).await;
                answer.unwrap_or_else(late)
            };
            match self.shared.call(&route.source_chain, "witness", answer).await {
                Ok(Seen::Header(mark)) => return Some(Seen::Header(mark)),
                Ok(nothing) => {
                    tracing::debug!(%route, witness = name, %height, "a witness has no such block");
                    self.count(at, Testimony::Silent);
                    return Some(nothing);
                }
                Err(error) => {
                    tracing::warn!(%route, witness = name, %error, "a witness does not answer");
                    let until = Instant::now().checked_add(PAUSE).unwrap_or(now);
                    lock(&self.state).paused.insert(at, until);
                }
            }
        }
        self.count(at, Testimony::Silent);
        None
    }

    async fn trusts(&self, client: &ClientStatus, mark: &Mark) -> Result<bool, ChainError> {
        self.shared.call(&self.route.dest_chain, "trusts", self.target.trusts(client, mark)).await
    }

    /// Stops the route, then submits the evidence, if there is any.
    async fn contradicted(
        &self,
        at: usize,
        client: &ClientStatus,
        mark: Mark,
        against: Against<'_>,
    ) -> Result<Verdict, RelayError> {
        self.count(at, Testimony::Contradicts);
        let Some(witness) = self.prover.witnesses().get(at) else { return Ok(Verdict::Open(vec![])) };
        let (about, what) = match against {
            Against::Trusted => (About::Trusted, "the client trusts another one"),
            Against::Update(_) => (About::Update, "the chain's own nodes show another one"),
            Against::Followed => (About::Followed, "the client was brought another one"),
        };
        let (name, source, height) = (witness.name(), &self.route.source_chain, mark.height);
        let why = format!("witness {name} of {source} has block {height} as 0x{}; {what}", hex::encode(&mark.hash));
        let head = self.shared.call(&self.route.dest_chain, "head", self.target.head()).await;
        // Not known is never looked past.
        let found_at = head.map_or(Height(u64::MAX), |head| head.latest.height);
        let dispute = Dispute { witness: at, about, state: client.clone(), found_at, why };
        let subject = (client.generation, mark);
        let shown = lock(&self.state).shown.as_ref() == Some(&subject);
        if shown {
            let known = lock(&self.state).dispute.clone().unwrap_or(dispute);
            self.settle(Some(known.clone()));
            return Ok(Verdict::Disputed(known.why));
        }
        self.settle(Some(dispute.clone()));
        let (done, outcome) = self.show(witness.as_ref(), client, against, height).await?;
        let why = format!("{}; {outcome}", dispute.why);
        tracing::error!(route = %self.route, client = %client.client, why, "a chain's headers are in dispute; the route stops");
        if done {
            lock(&self.state).shown = Some(subject);
        }
        self.settle(Some(Dispute { why: why.clone(), ..dispute }));
        Ok(Verdict::Disputed(why))
    }

    /// Submits what the witness can prove. Whether that is done with, and what came of it, in words.
    async fn show(
        &self,
        witness: &dyn Witness,
        client: &ClientStatus,
        against: Against<'_>,
        at: Height,
    ) -> Result<(bool, String), RelayError> {
        let (source, dest) = (&self.route.source_chain, &self.route.dest_chain);
        let roots = self.roots(client);
        let evidence = match self.shared.call(source, "accuse", witness.accuse(client, &roots, against, at)).await {
            Ok(Some(evidence)) => evidence,
            Ok(None) => return Ok((false, "which it cannot prove".into())),
            Err(error) => return Ok((false, format!("whether it can prove that is not known: {error}"))),
        };
        let submit = self.target.submit_misbehaviour(&client.client, &evidence);
        let sent = self.shared.send(dest, "misbehaviour", submit).await;
        // What counts is what the client says afterwards.
        let now = self.shared.call(dest, "client", self.target.client(&client.client)).await;
        let frozen = now.is_ok_and(|client| client.frozen);
        self.shared.metrics.misbehaviour(dest, &client.client, frozen);
        Ok(match sent {
            Ok(tx) if frozen => {
                (true, format!("both are signed; the client is frozen by evidence ({} on {dest})", tx.0))
            }
            Ok(tx) => {
                (true, format!("evidence was submitted to {dest} ({}), but the client is not frozen by it", tx.0))
            }
            Err(error) => {
                let refused = matches!(error, ChainError::Rejected { .. } | ChainError::InvalidRequest(_));
                (refused, format!("it can prove that, but {dest} did not take the evidence: {error}"))
            }
        })
    }

    /// Sets what is in dispute; from then on the route is halted, and the way back receives nothing.
    fn settle(&self, dispute: Option<Dispute>) {
        self.shared.metrics.disputed(&self.route, dispute.is_some());
        if let Some(dispute) = &dispute {
            let halt = Halt::Disputed { why: dispute.why.clone() };
            self.shared.update_route(&self.route, |state| state.halt = Some(halt));
        }
        lock(&self.state).dispute = dispute;
    }

    fn agrees(&self, at: usize, mark: Mark) {
        self.count(at, Testimony::Agrees);
        let compared = &mut lock(&self.state).compared;
        if !compared.contains(&mark) {
            compared.push_back(mark);
        }
        if compared.len() > MAX_COMPARED {
            compared.pop_front();
        }
    }

    fn count(&self, at: usize, testimony: Testimony) {
        if let Some(witness) = self.prover.witnesses().get(at) {
            self.shared.metrics.witness(&self.route, witness.name(), testimony);
        }
    }

    /// Keeps a state that witnesses agree on, to prove from later.
    async fn agree(&self, client: &ClientStatus, agreeing: usize) -> Result<(), RelayError> {
        if agreeing == 0 {
            return Ok(());
        }
        self.shared.metrics.witnessed(&self.route);
        let all = agreeing == self.prover.witnesses().len();
        let mut roots = self.roots(client);
        roots.insert(0, client.clone());
        roots.truncate(MAX_ROOTS);
        let is_new = {
            let mut state = lock(&self.state);
            if all {
                state.agreed = Some(client.clone());
            }
            let kept = state.roots.as_ref().and_then(|roots| roots.first());
            let is_new = kept.is_none_or(|kept| !same_state(kept, client));
            state.roots = Some(roots.clone());
            is_new
        };
        if is_new {
            let route = self.route.clone();
            let write = self.shared.journal.step::<(), JournalError>(move |step| step.put_witnessed(&route, &roots));
            write.await?;
        }
        Ok(())
    }

    /// Earlier states of the client's present generation.
    fn roots(&self, client: &ClientStatus) -> Vec<ClientStatus> {
        let mut roots = lock(&self.state).roots.clone().unwrap_or_default();
        roots.retain(|root| root.generation == client.generation && root.trusted.height < client.trusted.height);
        roots
    }
}

/// Whether it is one state of the client.
fn same_state(one: &ClientStatus, other: &ClientStatus) -> bool {
    let of = |client: &ClientStatus| (client.generation, client.trusted, client.trusted_hash.clone());
    of(one) == of(other) && one.signers == other.signers
}
