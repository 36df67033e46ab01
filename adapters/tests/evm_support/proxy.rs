//! An HTTP proxy before a node that changes its answers.

use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use url::Url;
use warp::Filter;

/// Changes one answer: the method, its parameters, the result.
pub type Lie = Arc<dyn Fn(&str, &Value, &mut Value) + Send + Sync>;

/// A node that lies as told.
pub struct Proxy {
    pub url: Url,
    lie: Arc<Mutex<Option<Lie>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Proxy {
    pub async fn start(node: Url) -> Self {
        let lie: Arc<Mutex<Option<Lie>>> = Arc::default();
        let told = Arc::clone(&lie);
        let http = reqwest::Client::new();
        let route = warp::post().and(warp::body::json()).then(move |request: Value| {
            let (http, node, told) = (http.clone(), node.clone(), Arc::clone(&told));
            async move {
                let answer = http.post(node).json(&request).send().await.unwrap();
                let mut answer: Value = answer.json().await.unwrap_or(json!({}));
                let lie = told.lock().unwrap().clone();
                if let (Some(lie), Some(result)) = (lie, answer.get_mut("result")) {
                    lie(request["method"].as_str().unwrap_or_default(), &request["params"], result);
                }
                warp::reply::json(&answer)
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let server = tokio::spawn(warp::serve(route).incoming(listener).run());
        Self { url, lie, server }
    }

    /// From now on answers are changed like this.
    pub fn tell(&self, lie: impl Fn(&str, &Value, &mut Value) + Send + Sync + 'static) {
        *self.lie.lock().unwrap() = Some(Arc::new(lie));
    }
}

/// Changes the last hex digit of a text in JSON.
pub fn flip(value: &mut Value) {
    let mut text = value.as_str().unwrap().to_owned();
    let last = text.pop().unwrap();
    text.push(if last == '0' { '1' } else { '0' });
    *value = text.into();
}
