#!/usr/bin/env python3
"""Deletes the records that a CVRS file names, and follows the job to its end.

Needs the environment that setup.sh makes. Exits with 1 where the job was refused, failed or was
cancelled.
"""

import argparse
import pathlib
import sys
import time
import uuid

import grpc
from cvrsd.jobs.v1 import job_pb2, job_service_pb2, job_service_pb2_grpc

CHUNK_BYTES = 1 << 20
PAUSES = [0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5]  # seconds between attempts to reach the daemon again


def upload(path, request_id):
    """The messages of an upload: its header, then chunks that say where they start."""
    header = job_service_pb2.UploadHeader(
        request_id=request_id,
        media_type="application/zip" if path.suffix == ".zip" else "text/plain",
        content_length=path.stat().st_size,
    )
    yield job_service_pb2.SubmitDeleteJobRequest(header=header)
    offset = 0
    with path.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            chunk = job_service_pb2.UploadChunk(offset=offset, data=data)
            yield job_service_pb2.SubmitDeleteJobRequest(chunk=chunk)
            offset += len(data)


def pause_or_raise(error, losses):
    """Waits before the next attempt where there is to be one."""
    if error.code() is not grpc.StatusCode.UNAVAILABLE or losses >= len(PAUSES):
        raise error
    time.sleep(PAUSES[losses])


def submit(jobs, path, request_id):
    """Returns the receipt. The same request id gives the same job, so it is safe to try again."""
    losses = 0
    while True:
        try:
            return jobs.SubmitDeleteJob(upload(path, request_id))
        except grpc.RpcError as error:
            pause_or_raise(error, losses)
            losses += 1


def watch(jobs, job_id):
    """Yields the job after each of its events until it ended, each event once, also over lost
    connections."""
    seq, losses = 0, 0
    while True:
        request = job_service_pb2.WatchJobRequest(job_id=job_id, after_seq=seq)
        try:
            for message in jobs.WatchJob(request):
                seq, losses = message.seq, 0
                if message.HasField("job"):
                    yield message.job
            return
        except grpc.RpcError as error:
            pause_or_raise(error, losses)
            losses += 1


def print_progress(job):
    status = job_pb2.Status.Name(job.status).removeprefix("STATUS_")
    rows = job.rows
    print(f"seq {job.seq}: {status}, {rows.total} rows read, {rows.processed} processed", flush=True)


def print_result(job):
    print(f"outcome {job_pb2.Outcome.Name(job.outcome).removeprefix('OUTCOME_')}")
    for storage in job.storages:
        print(f"{storage.storage}: {storage.records_processed} deleted, "
              f"{storage.processing_errors} errors")
    if job.HasField("failure"):
        print(f"{job.failure.code}: {job.failure.message}")


def print_errors(jobs, job_id):
    for page in jobs.ListJobErrors(job_service_pb2.ListJobErrorsRequest(job_id=job_id)):
        for error in page.errors:
            where = error.storage or error.field
            print(f"line {error.line}: {error.vax_event_id} {where} {error.message}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=pathlib.Path, help=".zip or CVRS text")
    parser.add_argument("--server", default="127.0.0.1:50051", metavar="HOST:PORT")
    parser.add_argument("--request-id", default=str(uuid.uuid4()), metavar="KEY")
    options = parser.parse_args()
    if not options.file.is_file():
        parser.error(f"there is no file {options.file}")
    with grpc.insecure_channel(options.server) as channel:
        jobs = job_service_pb2_grpc.JobServiceStub(channel)
        try:
            receipt = submit(jobs, options.file, options.request_id)
            print(f"job {receipt.job_id}: {receipt.content_length} bytes taken")
            for job in watch(jobs, receipt.job_id):
                print_progress(job)
            job = jobs.GetJob(job_service_pb2.GetJobRequest(job_id=receipt.job_id)).job
            print_result(job)
            print_errors(jobs, job.job_id)
        except grpc.RpcError as error:
            sys.exit(f"{error.code().name}: {error.details()}")
    sys.exit(job.outcome not in (job_pb2.OUTCOME_SUCCEEDED, job_pb2.OUTCOME_PARTIAL))


if __name__ == "__main__":
    main()
