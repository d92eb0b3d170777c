//! What an operator does to the daemon. Every method takes the scope `ADMIN`.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::message;
use crate::{
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
        may(caller, PAUSE)?;
        let tenant = target(&request.tenant, request.everything)?;
        let paused = self.service.pause(caller, tenant.clone(), request.reason, request.now).await;
        acted(caller, PAUSE, lane(tenant.as_ref()), &paused);
        Ok(proto::PauseResponse { pause: Some(message::pause(&paused?)) })
    }

    pub(super) async fn resume(
        &self,
        caller: &Principal,
        request: proto::ResumeRequest,
    ) -> Result<proto::ResumeResponse, Error> {
        may(caller, RESUME)?;
        let tenant = target(&request.tenant, request.everything)?;
        let resumed = self.service.resume(caller, tenant.clone()).await;
        acted(caller, RESUME, lane(tenant.as_ref()), &resumed);
        let (resumed, pauses) = (resumed?, self.service.pauses(caller)?);
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
        may(caller, RELEASE)?;
        let id = job_id(&request.job_id)?;
        let released = self.service.release(caller, id).await;
        acted(caller, RELEASE, &id.to_string(), &released);
        Ok(proto::ReleaseJobResponse { released: released? })
    }

    pub(super) async fn drain(
        &self,
        caller: &Principal,
        _: proto::DrainRequest,
    ) -> Result<proto::DrainResponse, Error> {
        may(caller, DRAIN)?;
        tell(caller, DRAIN, "", None);
        self.operator.drain.cancel();
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
        caller.may_admin()?;
        let id = job_id(&request.job_id)?;
        let explained = self.service.explain(caller, id).await?;
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

    pub(super) fn set_log_level(
        &self,
        caller: &Principal,
        request: &proto::SetLogLevelRequest,
    ) -> Result<proto::SetLogLevelResponse, Error> {
        may(caller, SET_LOG_LEVEL)?;
        let Operator { effective, level, .. } = &self.operator;
        let set = if request.level.chars().count() > LEVEL_CHARS_MAX {
            let text = format!("the level has more than {LEVEL_CHARS_MAX} characters");
            Err(Error::new(Code::Parameter, text))
        } else {
            let set = effective.set_level(&request.level, |text| level.set(text));
            set.map_err(|e| Error::new(Code::Parameter, e.to_string()))
        };
        acted(caller, SET_LOG_LEVEL, "", &set);
        set?;
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
}

/// Whether the caller may; tells where it may not.
fn may(caller: &Principal, act: &'static str) -> Result<(), Error> {
    caller.may_admin().inspect_err(|refused| tell(caller, act, "", Some(refused)))
}

/// The act is done, or failed.
fn acted<T>(caller: &Principal, act: &'static str, target: &str, result: &Result<T, Error>) {
    tell(caller, act, target, result.as_ref().err());
}

/// Every act passes here once it is done or refused: the one place to record it. What the caller wrote
/// itself, a reason or a level, is left out.
fn tell(caller: &Principal, act: &'static str, target: &str, error: Option<&Error>) {
    let client = &caller.client;
    let refused = error.map_or("", |error| error.code.as_str());
    tracing::info!(act, target, client, refused, "an operator acts");
}

/// A lane, as it is told.
fn lane(tenant: Option<&Tenant>) -> &str {
    tenant.map_or("*", Tenant::as_str)
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
