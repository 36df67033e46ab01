//! An HTTP proxy before a node that changes its answers as it is told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use serde_json::{Value, json};
use url::Url;
use warp::Filter;

/// Changes one answer: the method, its parameters, the result.
type Lie = Arc<dyn Fn(&str, &Value, &mut Value) + Send + Sync>;

/// A node that lies as told.
pub struct Proxy {
    pub url: Url,
    lie: Arc<Mutex<Option<Lie>>>,
    changed: Arc<AtomicU64>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Proxy {
    /// Honest so far.
    pub async fn start(node: Url) -> Result<Self> {
        let lie: Arc<Mutex<Option<Lie>>> = Arc::default();
        let changed: Arc<AtomicU64> = Arc::default();
        let (told, count) = (Arc::clone(&lie), Arc::clone(&changed));
        let http = reqwest::Client::new();
        let route = warp::post().and(warp::body::json()).then(move |request: Value| {
            let (http, node, told, count) = (http.clone(), node.clone(), Arc::clone(&told), Arc::clone(&count));
            async move {
                let mut answer = json!({});
                if let Ok(response) = http.post(node).json(&request).send().await {
                    answer = response.json().await.unwrap_or(answer);
                }
                let lie = told.lock().unwrap().clone();
                if let (Some(lie), Some(result)) = (lie, answer.get_mut("result")) {
                    let truth = result.clone();
                    lie(request["method"].as_str().unwrap_or_default(), &request["params"], result);
                    count.fetch_add(u64::from(*result != truth), Ordering::SeqCst);
                }
                warp::reply::json(&answer)
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?).parse()?;
        let server = tokio::spawn(warp::serve(route).incoming(listener).run());
        Ok(Self { url, lie, changed, server })
    }

    /// From now on answers are changed like this.
    pub fn tell(&self, lie: impl Fn(&str, &Value, &mut Value) + Send + Sync + 'static) {
        *self.lie.lock().unwrap() = Some(Arc::new(lie));
    }

    /// How many answers were changed so far. A test of a lie that was never told would say nothing.
    #[must_use]
    pub fn changed(&self) -> u64 {
        self.changed.load(Ordering::SeqCst)
    }
}

/// Changes the last hex digit of a text in JSON.
pub fn flip_hex(value: &mut Value) {
    let Some(text) = value.as_str().filter(|text| text.len() > 2) else { return };
    let (rest, last) = text.split_at(text.len() - 1);
    *value = format!("{rest}{}", if last == "0" { '1' } else { '0' }).into();
}

/// Changes one character in the middle of a base64 text, where every character is data.
pub fn flip_base64(value: &mut Value) {
    let Some(text) = value.as_str().filter(|text| text.len() > 24) else { return };
    let (before, rest) = text.split_at(text.len() / 2 / 4 * 4);
    let (old, after) = rest.split_at(1);
    *value = format!("{before}{}{after}", if old == "A" { 'B' } else { 'A' }).into();
}
