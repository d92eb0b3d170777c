"""What the tests ask the daemon by grpcio. Usage: checks.py standard ADDRESS
| abandon HOW ADDRESS SPOOL FILE"""

import os
import pathlib
import sys
import threading
import time
import uuid

import grpc
from cvrsd.jobs.v1 import job_service_pb2, job_service_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

PATIENCE = 30  # seconds
JOB_SERVICE = "cvrsd.jobs.v1.JobService"
HEALTH = "grpc.health.v1.Health"


def refused(call):
    """The status code that the call ends with."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    raise AssertionError("the call was not refused")


def standard(channel):
    health = health_pb2_grpc.HealthStub(channel)
    for service in ["", JOB_SERVICE]:
        request = health_pb2.HealthCheckRequest(service=service)
        status = health.Check(request, timeout=PATIENCE).status
        assert status == health_pb2.HealthCheckResponse.SERVING, (service, status)
    unknown = health_pb2.HealthCheckRequest(service="unknown")
    assert refused(lambda: health.Check(unknown)) is grpc.StatusCode.NOT_FOUND

    described = ProtoReflectionDescriptorDatabase(channel)
    services = described.get_services()
    assert JOB_SERVICE in services and HEALTH in services, services
    file = described.FindFileContainingSymbol(JOB_SERVICE)
    ours = job_service_pb2.DESCRIPTOR.services_by_name["JobService"]
    methods = [method.name for service in file.service for method in service.method]
    assert methods == [method.name for method in ours.methods], methods

    # A deadline that is far changes nothing.
    jobs = job_service_pb2_grpc.JobServiceStub(channel)
    request = job_service_pb2.GetJobRequest(job_id=str(uuid.uuid4()))
    code = refused(lambda: jobs.GetJob(request, timeout=PATIENCE))
    assert code is grpc.StatusCode.NOT_FOUND, code


def endless(body, with_length):
    """An upload of the whole body that then neither ends nor goes on."""
    length = len(body) if with_length else None
    header = job_service_pb2.UploadHeader(
        request_id="abandoned", media_type="text/plain", content_length=length
    )
    yield job_service_pb2.SubmitDeleteJobRequest(header=header)
    for offset in range(0, len(body), 1 << 20):
        data = body[offset : offset + (1 << 20)]
        chunk = job_service_pb2.UploadChunk(offset=offset, data=data)
        yield job_service_pb2.SubmitDeleteJobRequest(chunk=chunk)
    threading.Event().wait()


def wait_spooled(spool):
    """Waits until the daemon has bytes of the upload."""
    deadline = time.monotonic() + PATIENCE
    while not any(file.stat().st_size for file in spool.iterdir()):
        assert time.monotonic() < deadline, "nothing came into the spool"
        time.sleep(0.01)


def abandon(how, channel, spool, body):
    """Begins an upload and gives it up."""
    jobs = job_service_pb2_grpc.JobServiceStub(channel)
    if how == "hasty":
        for _ in range(100):
            call = jobs.SubmitDeleteJob.future(endless(body, False))
            time.sleep(0.002)
            call.cancel()
        return
    timeout = 8 if how == "deadline" else None
    call = jobs.SubmitDeleteJob.future(endless(body, how == "cancel-with-length"), timeout=timeout)
    wait_spooled(spool)
    assert not call.done()
    if how == "deadline":
        code = call.exception(timeout=PATIENCE).code()
        # The server knows the deadline too; where its clock is first, it says so with its own code.
        assert code in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED), code
    elif how == "close":
        channel.close()
    elif how == "exit":
        pass
    else:
        call.cancel()
        assert call.cancelled()


def main():
    command, *arguments = sys.argv[1:]
    if command == "standard":
        standard(grpc.insecure_channel(arguments[0]))
    else:
        how, address, spool, file = arguments
        channel = grpc.insecure_channel(address)
        abandon(how, channel, pathlib.Path(spool), pathlib.Path(file).read_bytes())
        if how != "exit":
            time.sleep(0.5)  # The cancellation is sent by another thread.
    # The threads of abandoned uploads would wait for ever.
    os._exit(0)


if __name__ == "__main__":
    main()
