//! The relayer's side: asks all attestors at once and believes a quorum of signatures, no single answer.

use std::collections::HashMap;
use std::time::Duration;

use alloy::primitives::{Address, B256};
use crosspoint_light_proofs::attested::{Attestors, Header, Rotation, SignedRotation, Statement};
use crosspoint_light_proofs::evm::ExecutionHeader;
use crosspoint_light_proofs::signature::recover;
use crosspoint_protocol::ids::{ChainId, Height};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use super::api::{Attestation, AttestationRequest, AttestorStatus, Problem, RotationShare};
use crate::error::ChainError;
use crate::http::{Answer, Http, Lost, label};

/// Most bytes of an attestor's answer: a header of the largest size as hex, and the rest.
const MAX_ANSWER: usize = 64 * 1024;
/// Most attestors that are asked.
const MAX_ENDPOINTS: usize = 64;

/// What a pool is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolSettings {
    /// The chain attested, for errors.
    pub chain: ChainId,
    /// Its EIP-155 id.
    pub chain_number: u64,
    /// The hash of its block 0.
    pub genesis_hash: B256,
    /// How often the attestor set has changed.
    pub epoch: u64,
    /// Who attests, and how many must.
    pub attestors: Attestors,
    /// Where attestors answer. Their order and which is whose do not matter: signatures say who signed.
    pub endpoints: Vec<Url>,
    /// The longest wait for one answer, in milliseconds.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
}

const fn default_timeout_ms() -> u64 {
    5_000
}

/// The attestors of one EVM chain.
#[derive(Debug, Clone)]
pub struct AttestorPool {
    settings: PoolSettings,
    http: Http,
}

impl AttestorPool {
    /// A pool over these attestors. Nothing is sent yet.
    pub fn new(settings: PoolSettings) -> Result<Self, ChainError> {
        let http = Http::new(Duration::from_millis(settings.timeout_ms.max(1)))
            .map_err(|_| ChainError::InvalidRequest(format!("{}: the HTTP client cannot be set up", settings.chain)))?;
        Self::over(http, settings)
    }

    /// The same, over this client.
    pub(crate) fn over(http: Http, settings: PoolSettings) -> Result<Self, ChainError> {
        let (found, needed) = (settings.endpoints.len(), settings.attestors.threshold());
        if found < needed || found > MAX_ENDPOINTS {
            return Err(ChainError::InvalidRequest(format!(
                "{}: {found} attestor endpoints are configured; {needed} to {MAX_ENDPOINTS} are needed",
                settings.chain
            )));
        }
        Ok(Self { settings, http })
    }

    /// What the pool was told.
    #[must_use]
    pub const fn settings(&self) -> &PoolSettings {
        &self.settings
    }

    /// The highest block that a quorum's nodes have as final, as soon as a quorum has answered. A hint
    /// for what to ask for: attestors may lie here, and nothing but time is lost if they do.
    ///
    /// # Errors
    /// [`ChainError::NotYet`] if fewer answer than a quorum.
    pub async fn finalized(&self) -> Result<Height, ChainError> {
        let mut answers: FuturesUnordered<_> = self.settings.endpoints.iter().map(|url| self.status(url)).collect();
        let mut finals = Vec::new();
        let mut refusals = Refusals::default();
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(status) => finals.push(status.finalized.number),
                Err(refusal) => refusals.add(refusal),
            }
            if finals.len() >= self.settings.attestors.threshold() {
                break;
            }
        }
        finals.sort_unstable_by(|a, b| b.cmp(a));
        let lowest_of_quorum = self.settings.attestors.threshold().checked_sub(1).and_then(|at| finals.get(at));
        lowest_of_quorum.copied().ok_or_else(|| self.no_quorum(finals.len(), &refusals))
    }

    /// Gathers a quorum's signatures that block `number` follows the block `prev` that the client trusts.
    /// Returns as soon as the quorum is there. Every signature and the header's hash are checked here;
    /// the caller compares the header with what its own node says.
    ///
    /// # Errors
    /// [`ChainError::NotYet`] if too few sign now, with what the others said; a caller that waits and asks
    /// again gets there unless the attestors disagree with the client about `prev`.
    pub async fn gather(&self, prev: (Height, B256), number: Height) -> Result<Header, ChainError> {
        self.collect(prev, number, None).await
    }

    /// As [`AttestorPool::gather`], for one hash of the block: what others sign does not count.
    ///
    /// # Errors
    /// [`ChainError::NotYet`] if too few sign for this hash.
    pub async fn gather_for(&self, prev: (Height, B256), number: Height, hash: B256) -> Result<Header, ChainError> {
        self.collect(prev, number, Some(hash)).await
    }

    async fn collect(&self, prev: (Height, B256), number: Height, wanted: Option<B256>) -> Result<Header, ChainError> {
        if number <= prev.0 {
            return Err(ChainError::InvalidRequest(format!(
                "{}: block {number} does not follow block {}",
                self.settings.chain, prev.0
            )));
        }
        let request = AttestationRequest { prev_number: prev.0, prev_hash: prev.1, number: Some(number) };
        let mut answers: FuturesUnordered<_> =
            self.settings.endpoints.iter().map(|url| self.attestation(url, &request)).collect();
        let mut piles: HashMap<Statement, Pile> = HashMap::new();
        let mut refusals = Refusals::default();
        while let Some(answer) = answers.next().await {
            let (signer, attestation) = match answer {
                Ok(signed) => signed,
                Err(refusal) => {
                    refusals.add(refusal);
                    continue;
                }
            };
            let pile = piles.entry(attestation.statement).or_default();
            pile.signatures.insert(signer, attestation.signature);
            let counts = wanted.is_none_or(|hash| hash == attestation.statement.hash);
            if counts && pile.signatures.len() >= self.settings.attestors.threshold() {
                let signed = pile.signatures.drain().collect();
                return Ok(Header::assemble(attestation.statement, signed, attestation.header_rlp));
            }
        }
        if piles.len() > 1 {
            tracing::error!(chain = %self.settings.chain, %number, "attestors signed different hashes for one block");
        }
        let counting = piles.iter().filter(|(statement, _)| wanted.is_none_or(|hash| hash == statement.hash));
        Err(self.no_quorum(counting.map(|(_, pile)| pile.signatures.len()).max().unwrap_or(0), &refusals))
    }

    /// Gathers a quorum's signatures under one hand-over to another set.
    ///
    /// # Errors
    /// [`ChainError::NotYet`] if fewer name the same set than a quorum, with what the others said.
    pub async fn gather_rotation(&self) -> Result<SignedRotation, ChainError> {
        let mut answers: FuturesUnordered<_> = self.settings.endpoints.iter().map(|url| self.share(url)).collect();
        let mut piles: Vec<(Rotation, Pile)> = vec![];
        let mut refusals = Refusals::default();
        while let Some(answer) = answers.next().await {
            let (signer, share) = match answer {
                Ok(signed) => signed,
                Err(refusal) => {
                    refusals.add(refusal);
                    continue;
                }
            };
            match piles.iter_mut().find(|(rotation, _)| *rotation == share.rotation) {
                Some((_, pile)) => drop(pile.signatures.insert(signer, share.signature)),
                None => piles.push((share.rotation, Pile { signatures: [(signer, share.signature)].into() })),
            }
        }
        let quorum = |(_, pile): &&(Rotation, Pile)| pile.signatures.len() >= self.settings.attestors.threshold();
        match piles.iter().find(quorum) {
            Some((rotation, pile)) => {
                let signed = pile.signatures.iter().map(|(signer, signature)| (*signer, *signature)).collect();
                Ok(SignedRotation::assemble(rotation.clone(), signed))
            }
            None => {
                let most = piles.iter().map(|(_, pile)| pile.signatures.len()).max().unwrap_or(0);
                Err(self.no_quorum(most, &refusals))
            }
        }
    }

    /// One attestor's share of a hand-over, with the address that signed it.
    async fn share(&self, endpoint: &Url) -> Result<(Address, RotationShare), Refusal> {
        let refusal = |detail: String| Refusal { endpoint: label(endpoint), detail };
        let url = join(endpoint, "v1/rotation").ok_or_else(|| refusal("the address takes no path".into()))?;
        let share: RotationShare = self.read(endpoint, self.http.get(url)).await?;
        let (rotation, settings) = (&share.rotation, &self.settings);
        let ours = (settings.chain_number, settings.genesis_hash, settings.epoch);
        if (rotation.chain_id, rotation.genesis_hash, rotation.epoch) != ours {
            return Err(refusal("it hands over for another chain or attestor set".into()));
        }
        let signer = recover(&rotation.digest(), &share.signature, 0)
            .map_err(|error| refusal(format!("its signature is malformed: {error}")))?;
        if !settings.attestors.contains(&signer) {
            return Err(refusal(format!("{signer} signed, who is no attestor")));
        }
        Ok((signer, share))
    }

    fn no_quorum(&self, signed: usize, refusals: &Refusals) -> ChainError {
        ChainError::NotYet(format!(
            "{}: {signed} of {} attestors answered as one, {} are needed{}",
            self.settings.chain,
            self.settings.attestors.addresses().len(),
            self.settings.attestors.threshold(),
            refusals.summary()
        ))
    }

    async fn status(&self, endpoint: &Url) -> Result<AttestorStatus, Refusal> {
        let refusal = |detail: &str| Refusal { endpoint: label(endpoint), detail: detail.into() };
        let url = join(endpoint, "v1/status").ok_or_else(|| refusal("the address takes no path"))?;
        let status: AttestorStatus = self.read(endpoint, self.http.get(url)).await?;
        let settings = &self.settings;
        if (status.chain_id, status.genesis_hash) != (settings.chain_number, settings.genesis_hash) {
            return Err(refusal("it attests another chain"));
        }
        if status.epoch != settings.epoch {
            return Err(refusal("it signs for another attestor set"));
        }
        Ok(status)
    }

    /// One attestor's answer, with the address that signed it. What does not hold is a refusal.
    async fn attestation(
        &self,
        endpoint: &Url,
        request: &AttestationRequest,
    ) -> Result<(Address, Attestation), Refusal> {
        let refusal = |detail: String| Refusal { endpoint: label(endpoint), detail };
        let url = join(endpoint, "v1/attestations").ok_or_else(|| refusal("the address takes no path".into()))?;
        let attestation: Attestation = self.read(endpoint, self.http.post(url).json(request)).await?;
        let statement = &attestation.statement;
        let expected = Statement {
            chain_id: self.settings.chain_number,
            genesis_hash: self.settings.genesis_hash,
            epoch: self.settings.epoch,
            prev_number: request.prev_number,
            prev_hash: request.prev_hash,
            number: request.number.unwrap_or(statement.number),
            hash: statement.hash,
        };
        if *statement != expected {
            return Err(refusal("it signed another statement than the one asked for".into()));
        }
        let signer = recover(&statement.digest(), &attestation.signature, 0)
            .map_err(|error| refusal(format!("its signature is malformed: {error}")))?;
        if !self.settings.attestors.contains(&signer) {
            return Err(refusal(format!("{signer} signed, who is no attestor")));
        }
        let header = ExecutionHeader::decode(&attestation.header_rlp)
            .map_err(|error| refusal(format!("its header is malformed: {error}")))?;
        if header.hash != statement.hash || header.number != statement.number {
            return Err(refusal("its header is not the one it signed".into()));
        }
        Ok((signer, attestation))
    }

    async fn read<T: DeserializeOwned>(&self, endpoint: &Url, request: reqwest::RequestBuilder) -> Result<T, Refusal> {
        let refusal = |detail: String| Refusal { endpoint: label(endpoint), detail };
        let Answer { status, body } = self.http.ask(request, MAX_ANSWER).await.map_err(|lost| {
            refusal(match lost {
                Lost::TooLong => format!("its answer is longer than {MAX_ANSWER} bytes"),
                Lost::Network(_) if lost.is_timeout() => "no answer in time".into(),
                Lost::Network(_) | Lost::Untold => "no answer".into(),
            })
        })?;
        if !status.is_success() {
            let said = serde_json::from_slice::<Problem>(&body).map_or_else(
                |_| format!("HTTP status {}", status.as_u16()),
                |problem| problem.detail.chars().filter(|c| !c.is_control()).take(200).collect(),
            );
            return Err(refusal(said));
        }
        serde_json::from_slice(&body).map_err(|_| refusal("its answer is not what the protocol says".into()))
    }
}

/// The signatures under one statement.
#[derive(Default)]
struct Pile {
    signatures: HashMap<Address, [u8; 65]>,
}

/// Why one attestor's answer does not count.
struct Refusal {
    endpoint: String,
    detail: String,
}

/// Refusals in the order they came.
#[derive(Default)]
struct Refusals(Vec<Refusal>);

impl Refusals {
    fn add(&mut self, refusal: Refusal) {
        tracing::debug!(endpoint = %refusal.endpoint, detail = %refusal.detail, "attestor refused");
        self.0.push(refusal);
    }

    fn summary(&self) -> String {
        self.0.iter().take(3).map(|refusal| format!("; {}: {}", refusal.endpoint, refusal.detail)).collect()
    }
}

/// The address of a resource below an attestor's address, whether or not that ends in a slash.
fn join(base: &Url, path: &str) -> Option<Url> {
    let mut url = base.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(path.split('/'));
    Some(url)
}
