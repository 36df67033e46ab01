//! The HTTP client of every connection to a node or an attestor.

use std::time::Duration;
use url::Url;

/// Connections kept open while idle. A burst opens more; kept open, those would take up all that a node grants.
const MAX_IDLE: usize = 16;
/// How long one is kept: less than nodes keep theirs, so that no request goes out on one that is just being closed.
const IDLE: Duration = Duration::from_secs(10);

/// A client that follows no redirect, and gives up on connecting after `timeout`.
pub(crate) fn client(timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(timeout)
        .pool_max_idle_per_host(MAX_IDLE)
        .pool_idle_timeout(IDLE)
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
        let url = format!("http://{}/", listener.local_addr().unwrap());
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

        let http = client(Duration::from_secs(5)).build().unwrap();
        let burst = (0..64).map(|_| http.get(&url).send());
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
