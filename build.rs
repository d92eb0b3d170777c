//! Compiles the protocol without protoc and keeps the descriptors for gRPC reflection.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const FILES: &[&str] = &[
    "proto/cvrsd/jobs/v1/job_service.proto",
    "proto/cvrsd/admin/v1/admin_service.proto",
    "proto/cvrsd/admin/v1/backup_service.proto",
    "proto/cvrsd/storage/v1/journal.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".cvrsd.jobs.v1.UploadChunk.data")
        .bytes(".cvrsd.admin.v1.BackupResponse.bytes")
        .compile_fds(descriptors)?;
    Ok(())
}
