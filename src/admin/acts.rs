//! What an operator does to the daemon. Every method takes the scope `ADMIN`.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::message;
use crate::{
    audit::Kind,
    auth::Principal,
    config::Effective,
    domain::{JobId, Tenant},
    engine::{Phase, Service},
    error::{Code, Error},
    limits::LEVEL_CHARS_MAX,
    proto::admin as proto,
    telemetry::Level,
};

/// What an operator reaches beside the service.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The configuration in force.
    pub effective: Arc<Effective>,
    /// The log level.
    pub level: Level,
    /// Cancelled to begin a drain.
    pub drain: CancellationToken,
}

/// The methods, for callers who were let in.
#[derive(Clone, Debug)]
pub(super) struct Acts {
    service: Service,
    operator: Operator,
}

/// Acts, as they are told.
const PAUSE: &str = "pause";
const RESUME: &str = "resume";
const RELEASE: &str = "release";
const DRAIN: &str = "drain";
const EXPLAIN: &str = "explain";
const SET_LOG_LEVEL: &str = "set-log-level";

impl Acts {
    pub(super) fn new(service: Service, operator: Operator) -> Self {
        Self { service, operator }
    }

    pub(super) async fn pause(
        &self,
        caller: &Principal,
        request: proto::PauseRequest,
    ) -> Result<proto::PauseResponse, Error> {
        let tenant = target(&request.tenant, request.everything);
        let pause =
            async |tenant| self.service.pause(caller, tenant, request.reason, request.now).await;
        let paused = self.act(caller, PAUSE, tenant, pause).await?;
        Ok(proto::PauseResponse { pause: Some(message::pause(&paused)) })
    }

    pub(super) async fn resume(
        &self,
        caller: &Principal,
        request: proto::ResumeRequest,
    ) -> Result<proto::ResumeResponse, Error> {
        let tenant = target(&request.tenant, request.everything);
        let resume = async |tenant| self.service.resume(caller, tenant).await;
        let resumed = self.act(caller, RESUME, tenant, resume).await?;
        let pauses = self.service.pauses(caller)?;
        Ok(proto::ResumeResponse { resumed, pauses: pauses.iter().map(message::pause).collect() })
    }

    pub(super) fn list_pauses(
        &self,
        caller: &Principal,
        _: proto::ListPausesRequest,
    ) -> Result<proto::ListPausesResponse, Error> {
        let pauses = self.service.pauses(caller)?;
        Ok(proto::ListPausesResponse { pauses: pauses.iter().map(message::pause).collect() })
    }

    pub(super) async fn release_job(
        &self,
        caller: &Principal,
        request: proto::ReleaseJobRequest,
    ) -> Result<proto::ReleaseJobResponse, Error> {
        let release = async |id| self.service.release(caller, id).await;
        let id = job_id(&request.job_id);
        let released = self.act(caller, RELEASE, id, release).await?;
        Ok(proto::ReleaseJobResponse { released })
    }

    pub(super) async fn drain(
        &self,
        caller: &Principal,
        _: proto::DrainRequest,
    ) -> Result<proto::DrainResponse, Error> {
        let drain = async |()| {
            self.operator.drain.cancel();
            Ok(())
        };
        self.act(caller, DRAIN, Ok(()), drain).await?;
        // Ends with an error only where the service is gone, and then nothing is served.
        let mut phases = self.service.phases();
        let _ = phases.wait_for(|phase| *phase == Phase::Draining).await;
        Ok(proto::DrainResponse {})
    }

    pub(super) async fn explain_job(
        &self,
        caller: &Principal,
        request: proto::ExplainJobRequest,
    ) -> Result<proto::ExplainJobResponse, Error> {
        let explain = async |id| self.service.explain(caller, id).await;
        let explained = self.act(caller, EXPLAIN, job_id(&request.job_id), explain).await?;
        let quota = self.operator.effective.quota(&explained.job.spec.client);
        Ok(message::explanation(&explained, quota))
    }

    pub(super) fn get_config(
        &self,
        caller: &Principal,
        _: proto::GetConfigRequest,
    ) -> Result<proto::GetConfigResponse, Error> {
        caller.may_admin()?;
        Ok(proto::GetConfigResponse { toml: self.operator.effective.toml() })
    }

    pub(super) fn get_log_level(
        &self,
        caller: &Principal,
        _: proto::GetLogLevelRequest,
    ) -> Result<proto::GetLogLevelResponse, Error> {
        caller.may_admin()?;
        let (level, configured) = self.operator.effective.levels();
        Ok(proto::GetLogLevelResponse { level, configured })
    }

    pub(super) async fn set_log_level(
        &self,
        caller: &Principal,
        request: proto::SetLogLevelRequest,
    ) -> Result<proto::SetLogLevelResponse, Error> {
        let Operator { effective, level, .. } = &self.operator;
        let set = async |()| {
            if request.level.chars().count() > LEVEL_CHARS_MAX {
                let text = format!("the level has more than {LEVEL_CHARS_MAX} characters");
                return Err(Error::new(Code::Parameter, text));
            }
            let set = effective.set_level(&request.level, |text| level.set(text));
            set.map_err(|e| Error::new(Code::Parameter, e.to_string()))
        };
        self.act(caller, SET_LOG_LEVEL, Ok(()), set).await?;
        let (level, configured) = effective.levels();
        Ok(proto::SetLogLevelResponse { level, configured })
    }

    pub(super) async fn get_overview(
        &self,
        caller: &Principal,
        _: proto::GetOverviewRequest,
    ) -> Result<proto::GetOverviewResponse, Error> {
        Ok(message::overview(&self.service.overview(caller).await?))
    }

    /// Every act passes here: recorded before it is done, durably, and again where it is refused. What the
    /// caller wrote itself, a reason or a level, is left out.
    async fn act<T: Target, D>(
        &self,
        caller: &Principal,
        name: &'static str,
        target: Result<T, Error>,
        act: impl AsyncFnOnce(T) -> Result<D, Error>,
    ) -> Result<D, Error> {
        let audit = self.service.audit();
        let named = target.as_ref().map(T::told).unwrap_or_default();
        let entry = caller.entry(Kind::Admin).saying(format!("{name} {named}").trim_end());
        let mut recorded = false;
        let done = async {
            caller.may_admin()?;
            let target = target?;
            audit.record(entry.clone()).await.map_err(Error::internal)?;
            recorded = true;
            act(target).await
        };
        let done = done.await;
        let refused = done.as_ref().err().map(|error| error.code);
        let (client, code) = (&caller.client, refused.map_or("", Code::as_str));
        tracing::info!(act = name, on = named, client, refused = code, "an operator acts");
        match refused {
            // That it was not done is told as surely as that it was to be.
            Some(code) if recorded => {
                audit.record(entry.refused(code)).await.map_err(Error::internal)?;
            }
            Some(code) => audit.refuse(entry.refused(code)),
            None => {}
        }
        done
    }
}

/// What an act is about.
trait Target {
    fn told(&self) -> String;
}

/// A lane, or all.
impl Target for Option<Tenant> {
    fn told(&self) -> String {
        self.as_ref().map_or("*", Tenant::as_str).to_owned()
    }
}

impl Target for JobId {
    fn told(&self) -> String {
        self.to_string()
    }
}

/// The whole daemon.
impl Target for () {
    fn told(&self) -> String {
        String::new()
    }
}

/// The tenant that is meant; `None` for everything.
fn target(tenant: &str, everything: bool) -> Result<Option<Tenant>, Error> {
    match (tenant.is_empty(), everything) {
        (true, true) => Ok(None),
        (false, false) => {
            let named = Tenant::new(tenant).map(Some);
            named.map_err(|e| Error::new(Code::Parameter, e.to_string()))
        }
        _ => Err(Error::new(Code::Parameter, "either a tenant or everything must be named")),
    }
}

fn job_id(text: &str) -> Result<JobId, Error> {
    let malformed = || Error::new(Code::JobIdMalformed, "the job id is not a hyphenated uuid");
    text.parse().map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_of_one_tenant_or_of_everything_and_never_of_neither() {
        assert_eq!(target("", true), Ok(None));
        assert_eq!(target("a", false), Ok(Some(Tenant::new("a").unwrap())));
        for (tenant, everything) in [("", false), ("a", true), ("a b", false)] {
            assert_eq!(target(tenant, everything).unwrap_err().code, Code::Parameter);
        }
    }
}
