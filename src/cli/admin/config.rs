//! `cvrsd admin config`.

use crate::{
    cli::{
        Failure,
        client::{AdminTarget, refused},
        render,
    },
    proto::admin::GetConfigRequest,
};

/// Prints the configuration in force.
pub(super) async fn run(target: &AdminTarget) -> Result<(), Failure> {
    let mut admin = target.connect().await?;
    let answer = admin.get_config(GetConfigRequest {}).await.map_err(|s| refused(&s))?;
    render::print(answer.into_inner().toml)
}
