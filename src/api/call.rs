//! The one way in: every operation goes through here, so that observers are told of it.

use crate::access::Caller;
use crate::error::Result;
use crate::observe::parameters::{Parameter, Request};
use crate::observe::{Asked, Circumstances};
use crate::store::SecretsManager;

impl SecretsManager {
    /// Carries out an operation to its end, and tells the observers how it ended. Where there are none, nothing is kept of
    /// the request.
    pub(super) fn call<Q: Request, R: Parameter>(&self, request: Q, work: impl FnOnce(Q) -> Result<R>) -> Result<R> {
        let observers = self.observers();
        if observers.is_empty() {
            return work(request);
        }
        let asked = Asked::new(&request);
        let outcome = work(request);
        let (tenant, at, request_id) = (self.tenant(), self.now(), self.request_id());
        let caller = self.caller().map(Caller::principal);
        let circumstances = Circumstances { tenant, at, request_id, caller };
        observers.call(asked, outcome.as_ref(), &circumstances);
        outcome
    }
}
