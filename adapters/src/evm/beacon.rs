//! Beacon nodes of Ethereum: the light-client part of the standard beacon API, over HTTP in JSON.
//!
//! A node is not trusted. Its answers are bounded in size and time, and all that is used of them is verified by the
//! sync protocol. What is left to it is to say nothing, or nothing new: whoever asks then asks the next.

use alloy::primitives::B256;
use crosspoint_light_proofs::ethereum_pos::{Bootstrap, SyncCommittee, Update};
use crosspoint_protocol::ids::ChainId;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, HeaderValue};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use url::Url;

use crate::error::ChainError;
use crate::http::{Answer, Http, Lost, label};
use crate::observer::RpcObserver;

/// Most bytes of one answer: an update of mainnet has about 70 kB.
const MAX_ANSWER: usize = 1 << 20;
/// Most committees that are kept: each has 25 kB.
const MAX_COMMITTEES: usize = 16;
/// Most beacon nodes.
const MAX_NODES: usize = 64;

/// An answer with its fork's name, which the slots in it say too.
#[derive(Deserialize)]
struct Versioned<T> {
    data: T,
}

/// What is read of a block's header.
#[derive(Deserialize)]
struct BlockRoot {
    root: B256,
}

/// The beacon nodes of one chain. Cheap to clone.
#[derive(Clone)]
pub struct BeaconApi {
    inner: Arc<Inner>,
}

struct Inner {
    chain: ChainId,
    nodes: Vec<Url>,
    http: Http,
    preferred: AtomicUsize,
    /// Committees by their root.
    committees: Mutex<HashMap<B256, SyncCommittee>>,
    observer: Option<Arc<dyn RpcObserver>>,
}

impl std::fmt::Debug for BeaconApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nodes: Vec<_> = self.inner.nodes.iter().map(label).collect();
        f.debug_struct("BeaconApi").field("chain", &self.inner.chain).field("nodes", &nodes).finish_non_exhaustive()
    }
}

impl BeaconApi {
    /// The beacon nodes at these addresses, the preferred one first. Nothing is sent yet.
    pub fn new(
        chain: ChainId,
        nodes: Vec<Url>,
        timeout: Duration,
        observer: Option<Arc<dyn RpcObserver>>,
    ) -> Result<Self, ChainError> {
        let http = Http::new(timeout)
            .map_err(|_| ChainError::InvalidRequest(format!("{chain}: the HTTP client cannot be set up")))?;
        Self::over(http, chain, nodes, observer)
    }

    /// The same, over this client.
    pub(crate) fn over(
        http: Http,
        chain: ChainId,
        nodes: Vec<Url>,
        observer: Option<Arc<dyn RpcObserver>>,
    ) -> Result<Self, ChainError> {
        let invalid = |what: String| ChainError::InvalidRequest(format!("{chain}: {what}"));
        if nodes.is_empty() || nodes.len() > MAX_NODES {
            return Err(invalid(format!("{} beacon nodes are given; 1 to {MAX_NODES} are needed", nodes.len())));
        }
        if let Some(other) = nodes.iter().find(|url| !matches!(url.scheme(), "http" | "https")) {
            return Err(invalid(format!("the beacon node {} does not speak http or https", label(other))));
        }
        let (preferred, committees) = (AtomicUsize::new(0), Mutex::default());
        Ok(Self { inner: Arc::new(Inner { chain, nodes, http, preferred, committees, observer }) })
    }

    /// The first thing that `work` finds with one node after the other, the one that found something last first.
    /// `None`: none has anything, and not all of them failed.
    pub(super) async fn first_some<'a, T, F>(
        &'a self,
        mut work: impl FnMut(Node<'a>) -> F,
    ) -> Result<Option<T>, ChainError>
    where
        F: Future<Output = Result<Option<T>, ChainError>>,
    {
        let inner = &*self.inner;
        let (first, count) = (inner.preferred.load(Ordering::Relaxed), inner.nodes.len());
        let (mut answered, mut worst) = (false, None);
        for at in (first..count).chain(0..first.min(count)) {
            let Some(url) = inner.nodes.get(at) else { continue };
            match work(Node { inner, url }).await {
                Ok(Some(found)) => {
                    inner.preferred.store(at, Ordering::Relaxed);
                    return Ok(Some(found));
                }
                Ok(None) => answered = true,
                Err(error) => {
                    tracing::warn!(chain = %inner.chain, node = %label(url), %error, "beacon node failed");
                    // A contradiction tells more than a missing answer.
                    if worst.is_none() || matches!(error, ChainError::Untrustworthy { .. }) {
                        worst = Some(error);
                    }
                }
            }
        }
        match worst {
            Some(error) if !answered => Err(error),
            Some(_) | None => Ok(None),
        }
    }
}

/// One beacon node.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    inner: &'a Inner,
    url: &'a Url,
}

impl Node<'_> {
    /// What a light client starts from at a block.
    pub(super) async fn bootstrap(self, root: B256) -> Result<Bootstrap, ChainError> {
        const METHOD: &str = "light_client/bootstrap";
        let answer: Versioned<_> = self.get(METHOD, &format!("{METHOD}/{root}"), &[]).await?;
        Ok(answer.data)
    }

    /// The best update that was signed in a period; with the committee of the next.
    pub(super) async fn update(self, period: u64) -> Result<Update, ChainError> {
        const METHOD: &str = "light_client/updates";
        let query = [("start_period", period.to_string()), ("count", "1".to_owned())];
        let answer: Vec<Versioned<Update>> = self.get(METHOD, METHOD, &query).await?;
        match <[Versioned<Update>; 1]>::try_from(answer) {
            Ok([update]) => Ok(update.data),
            Err(other) if other.is_empty() => {
                Err(ChainError::NotYet(format!("{} has no update of period {period}", label(self.url))))
            }
            Err(_) => Err(self.malformed(METHOD, "more than the one update asked for")),
        }
    }

    /// The newest update that says what is final.
    pub(super) async fn finality_update(self) -> Result<Update, ChainError> {
        const METHOD: &str = "light_client/finality_update";
        let answer: Versioned<_> = self.get(METHOD, METHOD, &[]).await?;
        Ok(answer.data)
    }

    /// The root of the canonical block of a slot; `None`: it has none there.
    pub(super) async fn block_root(self, slot: u64) -> Result<Option<B256>, ChainError> {
        const METHOD: &str = "headers";
        let answer: Result<Versioned<BlockRoot>, _> = self.get(METHOD, &format!("{METHOD}/{slot}"), &[]).await;
        match answer {
            Ok(answer) => Ok(Some(answer.data.root)),
            Err(ChainError::NotYet(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A committee that a node has shown.
    pub(super) fn remembered(self, root: &B256) -> Option<SyncCommittee> {
        self.inner.committees.lock().unwrap_or_else(PoisonError::into_inner).get(root).cloned()
    }

    /// Keeps a committee that was verified, or is named by its root alone.
    pub(super) fn remember(self, committee: &SyncCommittee) {
        let mut kept = self.inner.committees.lock().unwrap_or_else(PoisonError::into_inner);
        // They serve for a day each: what was kept longest ago is not told apart, it is asked for again.
        if kept.len() >= MAX_COMMITTEES {
            kept.clear();
        }
        kept.insert(committee.root(), committee.clone());
    }

    /// What it says contradicts itself or a signature.
    pub(super) fn lie(self, detail: impl std::fmt::Display) -> ChainError {
        let detail = format!("beacon node {}: {detail}", label(self.url));
        ChainError::Untrustworthy { chain: self.inner.chain.clone(), detail }
    }

    fn malformed(self, method: &str, detail: impl std::fmt::Display) -> ChainError {
        let detail = format!("{}: {detail}", label(self.url));
        ChainError::Malformed { chain: self.inner.chain.clone(), method: method.into(), detail }
    }

    async fn get<T: DeserializeOwned>(
        self,
        method: &'static str,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, ChainError> {
        let start = Instant::now();
        let answer = self.fetch(method, path, query).await;
        if let Some(observer) = &self.inner.observer {
            let outcome = match &answer {
                Ok(_) => "ok",
                Err(ChainError::Malformed { .. }) => "malformed",
                Err(ChainError::Unreachable { .. }) => "unreachable",
                Err(_) => "node_error",
            };
            observer.request(&self.inner.chain, method, outcome, start.elapsed());
        }
        answer
    }

    async fn fetch<T: DeserializeOwned>(
        self,
        method: &str,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, ChainError> {
        let url = self.address(path, query).ok_or_else(|| self.malformed(method, "its address takes no path"))?;
        let http = &self.inner.http;
        let request = http.get(url).header(ACCEPT, HeaderValue::from_static("application/json"));
        let Answer { status, body } = http.ask(request, MAX_ANSWER).await.map_err(|lost| match &lost {
            Lost::TooLong => self.malformed(method, format!("the answer is longer than {MAX_ANSWER} bytes")),
            Lost::Network(_) | Lost::Untold => self.lost(&lost),
        })?;
        if status == StatusCode::NOT_FOUND {
            return Err(ChainError::NotYet(format!("{} has no {path}", label(self.url))));
        }
        if !status.is_success() {
            let detail = format!("beacon node {}: HTTP status {}", label(self.url), status.as_u16());
            return Err(ChainError::Unreachable { chain: self.inner.chain.clone(), detail });
        }
        serde_json::from_slice(&body).map_err(|error| self.malformed(method, error))
    }

    fn lost(self, error: &Lost) -> ChainError {
        let what = if error.is_timeout() { "no answer in time" } else { "no answer" };
        let detail = format!("beacon node {}: {what}", label(self.url));
        ChainError::Unreachable { chain: self.inner.chain.clone(), detail }
    }

    /// A resource below the node's address, whether or not that ends in a slash.
    fn address(self, path: &str, query: &[(&str, String)]) -> Option<Url> {
        let mut url = self.url.clone();
        url.path_segments_mut().ok()?.pop_if_empty().extend(["eth", "v1", "beacon"]).extend(path.split('/'));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Some(url)
    }
}
