//! The upload of input X over gRPC until the durable answer, against a bare tonic stream to a file.

use std::time::Instant;

use cvrsd::proto::jobs::Operation;

use crate::{
    Bench, Result,
    bare::Bare,
    client::CHUNK,
    daemon::{Daemon, Setup},
    figures::float,
    report::{Comparison, Goal, Side},
    scratch,
};

pub async fn run(bench: &mut Bench) -> Result<()> {
    let runs = bench.runs(7);
    let rows = bench.args.rows;
    let input = bench.inputs.x(rows)?;
    let body = input.body()?;
    let megabytes = float(input.bytes) / 1e6;
    let bare_dir = bench.scratch.fresh("bare")?;
    let bare = Bare::start(&bare_dir)?;
    let mut theirs = bare.client().await?;
    let mut ours = Side::new("upload until the durable answer, nothing else running");
    let mut stream = Side::new("bare tonic client stream to a file, fdatasync, answer");
    for _ in 0..runs {
        // A daemon of its own each time: the job would go on beside the next upload.
        let dir = bench.scratch.fresh("cvrsd")?;
        let daemon = Daemon::start(&dir, &Setup::default())?;
        let mut client = daemon.client().await?;
        rustix::fs::sync();
        let began = Instant::now();
        let job_id = client.submit(Operation::Delete, &body).await?;
        ours.values.push(megabytes / began.elapsed().as_secs_f64());
        let job = client.get(&job_id).await?;
        if job.content_length != input.bytes {
            return Err("WRONG RESULT: the daemon took another number of bytes".into());
        }
        daemon.kill()?;
        scratch::remove(&dir)?;

        rustix::fs::sync();
        let began = Instant::now();
        let length = theirs.submit(Operation::Delete, &body).await?;
        stream.values.push(megabytes / began.elapsed().as_secs_f64());
        if length != input.bytes.to_string() {
            return Err("WRONG RESULT: the bare server took another number of bytes".into());
        }
        std::fs::remove_file(bare_dir.join("upload"))?;
    }
    let mut described = input.described();
    if let Some(object) = described.as_object_mut() {
        object.insert("chunk_bytes".to_owned(), CHUNK.into());
    }
    bench.report.compare(&Comparison {
        case: "submit of X until the durable answer".to_owned(),
        unit: "MB/s",
        input: described,
        ours,
        yardstick: Some(stream),
        missing: None,
        goal: Goal::AtLeast(0.6, 0.9),
    })
}
