//! Whether enough attestors of an EVM chain answer. Without a quorum nothing can be proven from that chain: what is
//! paid stays paid, but no ack comes home.

use crate::api::types::Check;
use crosspoint_adapters::attestor::AttestorPool;
use std::sync::Mutex;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often attestors are asked.
const EVERY: Duration = Duration::from_secs(3);

/// The attestors of one chain, asked every so often.
pub(super) struct Quorum {
    pool: AttestorPool,
    /// Why there is no quorum.
    trouble: Mutex<Option<String>>,
}

impl Quorum {
    pub(super) fn new(pool: AttestorPool) -> Self {
        Self { pool, trouble: Mutex::new(Some("no answer yet".into())) }
    }

    /// Asks until `stop`, and logs each change.
    pub(super) async fn watch(&self, stop: CancellationToken) {
        let chain = &self.pool.settings().chain;
        let ask = async {
            let mut answered = true;
            loop {
                let trouble = self.pool.finalized().await.err().map(|error| error.to_string());
                match &trouble {
                    Some(error) if answered => {
                        tracing::warn!(%chain, %error, "too few attestors answer: nothing can be proven from this chain");
                    }
                    None if !answered => tracing::info!(%chain, "a quorum of attestors answers again"),
                    Some(_) | None => {}
                }
                answered = trouble.is_none();
                *super::lock(&self.trouble) = trouble;
                tokio::time::sleep(EVERY).await;
            }
        };
        stop.run_until_cancelled(ask).await;
    }

    pub(super) fn check(&self) -> Check {
        let trouble = super::lock(&self.trouble).clone();
        Check {
            name: format!("attestors of {}", self.pool.settings().chain),
            ok: trouble.is_none(),
            detail: trouble.unwrap_or_else(|| "a quorum answers".into()),
        }
    }
}
