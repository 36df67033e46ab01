//! How every request to a node or an attestor is sent, and how much of an answer is read.

use reqwest::{RequestBuilder, StatusCode};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use url::Url;

/// Connections kept open while idle. A burst opens more; kept open, those would take up all that a node grants.
const MAX_IDLE: usize = 16;
/// How long one is kept: less than nodes keep theirs, so that no request goes out on one that is just being closed.
const IDLE: Duration = Duration::from_secs(10);

/// Answers that are there before anything is asked, in order.
type Told = Arc<Mutex<VecDeque<Vec<u8>>>>;

/// Sends requests. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    told: Option<Told>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

/// Why no answer came, or none that is read.
#[derive(Debug)]
pub(crate) enum Lost {
    /// It has more bytes than allowed; the rest was not read.
    TooLong,
    /// The connection failed, or was too slow.
    Network(reqwest::Error),
    /// Nothing more was told.
    Untold,
}

impl Lost {
    /// Whether there was no connection: nothing was sent.
    pub(crate) fn is_connect(&self) -> bool {
        matches!(self, Self::Network(error) if error.is_connect())
    }

    /// Whether it took too long.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::Network(error) if error.is_timeout())
    }

    /// Whether the answer began and did not end.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self, Self::Network(error) if error.is_body() || error.is_decode())
    }
}

impl Http {
    /// Follows no redirect, and gives up on connecting, and on an answer, after `timeout`.
    pub(crate) fn new(timeout: Duration) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(timeout)
            .timeout(timeout)
            .pool_max_idle_per_host(MAX_IDLE)
            .pool_idle_timeout(IDLE)
            .build()?;
        Ok(Self { client, told: None })
    }

    /// Sends nothing: each request is answered with the next of these bodies. An empty one is HTTP status 404.
    pub(crate) fn told(client: reqwest::Client, answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { client, told: Some(Arc::new(Mutex::new(answers.into_iter().collect()))) }
    }

    /// A request that reads.
    pub(crate) fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    /// A request with a body.
    pub(crate) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// Sends a request and reads at most `max` bytes of its answer.
    pub(crate) async fn ask(&self, request: RequestBuilder, max: usize) -> Result<Answer, Lost> {
        if let Some(told) = &self.told {
            let body = told.lock().unwrap_or_else(PoisonError::into_inner).pop_front().ok_or(Lost::Untold)?;
            let status = if body.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::OK };
            return if body.len() > max { Err(Lost::TooLong) } else { Ok(Answer { status, body }) };
        }
        let mut response = request.send().await.map_err(|error| Lost::Network(error.without_url()))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Lost::Network(error.without_url()))? {
            if body.len().saturating_add(chunk.len()) > max {
                return Err(Lost::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body })
    }
}

/// The host alone: the rest of an address may hold secrets.
pub(crate) fn label(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_burst_leaves_few_connections_open() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (now, peak) = (Arc::clone(&open), Arc::clone(&most));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
                tokio::spawn(async move {
                    peak.fetch_max(now.fetch_add(1, Ordering::SeqCst).saturating_add(1), Ordering::SeqCst);
                    let mut request = [0; 4096];
                    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                    }
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });

        let http = Http::new(Duration::from_secs(5)).unwrap();
        let burst = (0..64).map(|_| http.ask(http.get(url.clone()), 100));
        futures::future::try_join_all(burst).await.unwrap();
        assert_eq!(most.load(Ordering::SeqCst), 64, "all went out at once");
        for _ in 0..100 {
            if open.load(Ordering::SeqCst) <= MAX_IDLE {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(open.load(Ordering::SeqCst) <= MAX_IDLE, "still open: {}", open.load(Ordering::SeqCst));
    }
}
