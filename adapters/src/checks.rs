//! What the settings of every chain are checked for.

use url::Url;

/// Settings that cannot work, in words.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    /// Notes a problem unless all is well.
    pub(crate) fn check(&mut self, ok: bool, problem: &str) {
        if !ok {
            self.0.push(problem.to_owned());
        }
    }

    /// What every chain's endpoints and requests need.
    pub(crate) fn check_requests(&mut self, endpoints: &[Url], timeout_ms: u64, max_bytes: usize) {
        self.check(!endpoints.is_empty(), "endpoints: at least one is needed");
        for url in endpoints {
            self.check(matches!(url.scheme(), "http" | "https"), "endpoints: only http and https are supported");
        }
        self.check(timeout_ms > 0, "request_timeout_ms: must be above 0");
        self.check(max_bytes >= 1 << 16, "max_response_bytes: must be at least 65536");
    }

    /// A witness speaks for itself: one that is relayed by would agree with what it said.
    pub(crate) fn check_witnesses(&mut self, endpoints: &[Url], witnesses: &[Url]) {
        for url in witnesses {
            self.check(matches!(url.scheme(), "http" | "https"), "witnesses: only http and https are supported");
            self.check(!endpoints.contains(url), "witnesses: one of the endpoints cannot be its own witness");
        }
    }

    /// All that were noted.
    pub(crate) fn into_vec(self) -> Vec<String> {
        self.0
    }
}
