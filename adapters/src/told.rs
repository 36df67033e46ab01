//! The adapters over answers that are there before anything is asked: nothing is sent. For fuzzing, which gives bytes at
//! a pace that no server could (`fuzz/src/answers.rs`). All else is what runs over the network.

use std::sync::LazyLock;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use crosspoint_protocol::ids::ChainId;
use ed25519_dalek::SigningKey;
use url::Url;

use crate::attestor::{AttestorPool, PoolSettings};
use crate::error::ChainError;
use crate::evm::beacon::BeaconApi;
use crate::evm::{EvmChain, EvmSettings, HeaderSource};
use crate::http::Http;
use crate::native::{NativeChain, NativeSettings};

/// Builds requests; it sends none. To set one up takes milliseconds.
static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(reqwest::Client::new);

/// The bodies of answers. Whoever asks, takes the next one; an empty one is HTTP status 404.
#[derive(Debug, Clone)]
pub struct Answers(Http);

impl Answers {
    /// These bodies, in order.
    pub fn new(bodies: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(Http::told(CLIENT.clone(), bodies))
    }

    /// A native chain whose nodes answer so.
    pub fn native(&self, settings: NativeSettings, relayer: SigningKey) -> Result<NativeChain, ChainError> {
        NativeChain::told(self.0.clone(), settings, relayer)
    }

    /// An EVM chain whose nodes answer so.
    pub fn evm(
        &self,
        settings: EvmSettings,
        registry: Address,
        wallet: PrivateKeySigner,
        source: Option<HeaderSource>,
    ) -> Result<EvmChain, ChainError> {
        EvmChain::told(self.0.clone(), settings, registry, wallet, source)
    }

    /// A beacon node that answers so.
    pub fn beacon(&self, chain: ChainId, node: Url) -> Result<BeaconApi, ChainError> {
        BeaconApi::over(self.0.clone(), chain, vec![node], None)
    }

    /// Attestors that answer so, in the order of their endpoints.
    pub fn attestors(&self, settings: PoolSettings) -> Result<AttestorPool, ChainError> {
        AttestorPool::over(self.0.clone(), settings)
    }
}
