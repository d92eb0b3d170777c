//! `cvrsd admin drain`.

use crate::{
    cli::{
        Failure,
        client::{AdminTarget, refused},
        render,
    },
    proto::admin::DrainRequest,
};

/// Begins a drain.
pub(super) async fn run(target: &AdminTarget) -> Result<(), Failure> {
    let mut admin = target.connect().await?;
    admin.drain(DrainRequest {}).await.map_err(|s| refused(&s))?;
    render::print_line("draining")
}
