//! Listens for the node. It must be on the same machine: whoever speaks ABCI to the application decides its blocks.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tower_abci::v038::Server;

use super::application::Application;
use super::service::Connection;

/// Why the application does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Others than this machine could reach it.
    #[error("{0} is not a loopback address: whoever reaches the application decides its blocks")]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("the application cannot listen on {addr}: {reason}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        reason: String,
    },
}

/// The application, listening. It stops when this is dropped.
#[derive(Debug)]
pub struct AbciServer {
    task: JoinHandle<()>,
}

impl AbciServer {
    /// Listens on a loopback address.
    ///
    /// # Errors
    /// [`ServerError`] when the address is another, or taken.
    pub fn start(application: Arc<Application>, addr: SocketAddr) -> Result<Self, ServerError> {
        if !addr.ip().is_loopback() {
            return Err(ServerError::NotLoopback(addr));
        }
        // The server binds on its own task and says nothing: whether the address is free is asked first.
        let free = std::net::TcpListener::bind(addr);
        free.map_err(|error| ServerError::Listen { addr, reason: error.to_string() })?;
        let connection = Connection(application);
        let server = Server::builder()
            .consensus(connection.clone())
            .mempool(connection.clone())
            .info(connection.clone())
            .snapshot(connection)
            .finish();
        let server = server.ok_or_else(|| ServerError::Listen { addr, reason: "a service is missing".into() })?;
        let task = tokio::spawn(async move {
            if let Err(error) = server.listen_tcp(addr).await {
                tracing::error!(%error, %addr, "the application stopped listening");
            }
        });
        Ok(Self { task })
    }

    /// Waits until it stops listening, which it does only when it fails.
    pub async fn ended(&mut self) {
        // A task that was cancelled or panicked has ended too.
        let _ = (&mut self.task).await;
    }
}

impl Drop for AbciServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
