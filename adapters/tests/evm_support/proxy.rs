//! An HTTP proxy before a node that changes its answers.

use alloy::primitives::bytes::Bytes;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use url::Url;
use warp::Filter;
use warp::http::{Method, StatusCode};

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

/// Before any server: sees the path and the status of each answer, and gives the body another form.
pub async fn before(
    target: Url,
    change: impl Fn(&str, StatusCode, Vec<u8>) -> Vec<u8> + Clone + Send + Sync + 'static,
) -> Url {
    let http = reqwest::Client::new();
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let route = warp::method().and(warp::path::full()).and(query).and(warp::body::bytes()).then(
        move |method: Method, path: warp::path::FullPath, query: String, body: Bytes| {
            let (http, mut url, change) = (http.clone(), target.clone(), change.clone());
            async move {
                url.set_path(path.as_str());
                url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
                let request = if method == Method::POST { http.post(url).body(body) } else { http.get(url) };
                let request = request.header("content-type", "application/json").header("accept", "application/json");
                let answer = request.send().await.unwrap();
                let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
                let body = change(path.as_str(), status, answer.bytes().await.unwrap().to_vec());
                warp::reply::with_status(body, status)
            }
        },
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(warp::serve(route).incoming(listener).run());
    url
}

/// Changes the last hex digit of a text in JSON.
pub fn flip(value: &mut Value) {
    let mut text = value.as_str().unwrap().to_owned();
    let last = text.pop().unwrap();
    text.push(if last == '0' { '1' } else { '0' });
    *value = text.into();
}
