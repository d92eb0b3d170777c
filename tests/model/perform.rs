//! Making each step.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use cvrsd::{
    auth::Principal,
    domain::{Job, JobId, Operation, Storage},
    engine::{Cancel, ListQuery, Service, Submission, SubmitRequest},
    error::{Code, Error},
    intake::Encoding,
};
use futures_util::{future::join_all, stream};
use tokio::time::sleep;

use super::{
    bench::{Bench, caller, reader, tenants},
    machine::{Asked, Crash, Request, Step},
    oracle::Upload,
    rows::{Shape, event_id},
    tally,
    watching::Watching,
};

/// Jobs that are looked at after each step.
const LOOKS: usize = 3;
/// Bytes of the pieces in which a body comes.
const PIECE: usize = 3_000;

impl Bench {
    pub async fn perform(&mut self, asked: &Asked, step: Step) {
        let (name, count) = named(&step);
        tally::add(self.kind, name, count);
        match step {
            Step::Submit(request) => self.submit_all(asked, &[request]).await,
            Step::Burst(requests) => self.submit_all(asked, &requests).await,
            Step::Repeat(key) => {
                let upload = Upload::new(&asked.keyed[key], Some(key));
                self.submit(&[Arc::new(upload)]).await;
            }
            Step::Clash(key, seed) => {
                let request = Request { seed, shape: Shape::Text, ..asked.keyed[key].clone() };
                self.submit(&[Arc::new(Upload::new(&request, Some(key)))]).await;
            }
            Step::Cancel(back) => self.cancel(back).await,
            Step::Watch(back, events) => self.watch(back, events).await,
            Step::Get(back) => self.get(back).await,
            Step::List(size, operation) => self.list(size, operation).await,
            Step::Read(who, storage) => self.read(who, storage).await,
            Step::Pause(us) => sleep(Duration::from_micros(us)).await,
            Step::Settle => self.settle().await,
            Step::Drain => self.drain().await,
            Step::Purge(back) => self.purge(back).await,
            Step::Crash(crash, cancel) => {
                self.cancel_first = cancel;
                match crash {
                    Crash::Now => self.crash().await,
                    Crash::At(steps, taken) => self.life.doom(steps, taken),
                    Crash::Amid(requests, us) => {
                        self.crash_amid(&uploads(asked, &requests), us).await;
                    }
                }
            }
        }
        if self.life.is_over() {
            self.crash().await;
        }
    }

    /// Looks at some jobs, and at what watchers were told.
    pub async fn look(&mut self) {
        for id in self.oracle.unfinished().into_iter().take(LOOKS) {
            let client = self.oracle.client(id);
            let job = self.service.get(&caller(client), id).await.unwrap();
            self.oracle.observe(&job);
        }
        for watching in &mut self.watching {
            watching.look(&mut self.oracle);
        }
    }

    async fn submit_all(&mut self, asked: &Asked, requests: &[Request]) {
        self.submit(&uploads(asked, requests)).await;
    }

    async fn submit(&mut self, uploads: &[Arc<Upload>]) {
        let answers = join_all(uploads.iter().map(|upload| send(&self.service, upload))).await;
        self.hear(uploads, answers);
    }

    /// Ends the process so many microseconds after these began to come in.
    async fn crash_amid(&mut self, uploads: &[Arc<Upload>], us: u64) {
        let life = Arc::clone(&self.life);
        let end = async {
            sleep(Duration::from_micros(us)).await;
            tokio::task::spawn_blocking(move || life.end()).await.unwrap();
        };
        let sent = join_all(uploads.iter().map(|upload| send(&self.service, upload)));
        let (answers, ()) = tokio::join!(sent, end);
        self.hear(uploads, answers);
        self.crash().await;
    }

    /// Takes in the answers of submits that were made at once.
    fn hear(&mut self, uploads: &[Arc<Upload>], answers: Vec<Answer>) {
        let made: Vec<_> = uploads.iter().map(|upload| self.oracle.made_by(upload)).collect();
        let answers: Vec<_> = uploads.iter().zip(made).zip(answers).collect();
        for ((upload, made), answer) in &answers {
            match &answer.submission {
                Ok(Submission { job, replayed }) => {
                    let expected = upload.key.is_some() && *made == Some(true);
                    assert_eq!(*replayed, expected, "{upload:?}");
                    self.oracle.answered(upload, job, *replayed);
                }
                Err(error) if error.code == Code::RequestConflict => {
                    assert!(upload.key.is_some() && *made != Some(false), "{error:?}");
                }
                Err(error) => {
                    self.assert_over(&error.message);
                    self.oracle.unanswered(upload);
                }
            }
        }
        for ((upload, _), answer) in &answers {
            if answer.submission.as_ref().is_err_and(|e| e.code == Code::RequestConflict) {
                self.oracle.conflicted(upload);
            }
        }
        for (_, Answer { submission, cancel }) in answers {
            if let (Ok(submission), Some(cancel)) = (submission, cancel) {
                self.cancelled(submission.job.spec.id, cancel);
            }
        }
    }

    async fn cancel(&mut self, back: usize) {
        let Some(id) = self.oracle.pick(back) else { return };
        let was_terminal = self.oracle.newest(id).is_terminal();
        let cancel = self.service.cancel(&caller(self.oracle.client(id)), id).await;
        assert!(!(was_terminal && cancel.as_ref().is_ok_and(|cancel| cancel.took_effect)));
        self.cancelled(id, cancel);
    }

    /// The first of the unfinished jobs from there on, right after a start.
    pub async fn cancel_unfinished(&mut self, from: usize) {
        let unfinished = self.oracle.unfinished();
        let Some(id) = unfinished.get(from % unfinished.len().max(1)) else { return };
        let cancel = self.service.cancel(&caller(self.oracle.client(*id)), *id).await;
        self.cancelled(*id, cancel);
    }

    fn cancelled(&mut self, id: JobId, cancel: Result<Cancel, Error>) {
        match cancel {
            Ok(Cancel { job, took_effect }) => {
                assert!(took_effect || job.is_terminal());
                if took_effect {
                    assert!(job.cancel_requested);
                    self.oracle.asked_to_cancel(id);
                }
                self.oracle.observe(&job);
            }
            Err(error) => {
                self.assert_over(&error.message);
                self.oracle.asked_to_cancel(id);
            }
        }
    }

    async fn watch(&mut self, back: usize, events: Option<u64>) {
        let Some(id) = self.oracle.pick(back) else { return };
        let caller = caller(self.oracle.client(id));
        let newest = self.oracle.newest(id);
        let (seq, is_terminal) = (newest.seq, newest.is_terminal());
        if is_terminal {
            let future = self.service.watch(&caller, id, seq + 1).await;
            assert_eq!(future.err().unwrap().code, Code::SeqOutOfRange);
        }
        let after = events.map_or(0, |events| seq.saturating_sub(events));
        match self.service.watch(&caller, id, after).await {
            Ok(watcher) => self.watching.push(Watching::new(id, after, watcher)),
            Err(error) => self.assert_over(&error.message),
        }
    }

    async fn get(&mut self, back: usize) {
        let unknown = self.service.get(&caller(0), JobId::generate()).await;
        assert_eq!(unknown.unwrap_err().code, Code::JobNotFound);
        let Some(id) = self.oracle.pick(back) else { return };
        let client = self.oracle.client(id);
        let other = self.service.get(&caller((client + 1) % 4), id).await;
        assert_eq!(other.unwrap_err().code, Code::JobNotFound);
        let job = self.service.get(&caller(client), id).await.unwrap();
        self.oracle.observe(&job);
    }

    async fn list(&mut self, size: usize, operation: Option<Operation>) {
        for client in [0, 1] {
            let caller = caller(client);
            let listed = self.listed(&caller, size, operation).await;
            for job in &listed {
                self.oracle.observe(job);
            }
            let listed: Vec<_> = listed.iter().map(|job| job.spec.id).collect();
            assert_eq!(listed, self.oracle.of_tenant(&caller.tenant, operation));
        }
    }

    /// Page by page.
    pub async fn listed(
        &self,
        caller: &Principal,
        page_size: usize,
        operation: Option<Operation>,
    ) -> Vec<Arc<Job>> {
        let mut query = ListQuery { page_size, operation, ..ListQuery::default() };
        let mut jobs = Vec::new();
        loop {
            let page = self.service.list(caller, query.clone()).await.unwrap();
            assert!(page.jobs.len() <= page_size);
            jobs.extend(page.jobs);
            if page.next_page_token.is_empty() {
                return jobs;
            }
            query.page_token = page.next_page_token;
        }
    }

    async fn read(&mut self, who: u32, storage: Storage) {
        let id = event_id(who);
        let records = self.service.records().unwrap();
        for tenant in tenants() {
            let read = records.get(&reader(&tenant), storage, id.clone()).await.unwrap();
            let read = read.map(|row| String::from_utf8(row).unwrap());
            if self.oracle.is_settled() {
                assert_eq!(read, self.oracle.record(&tenant, storage, &id));
            } else if let Some(row) = read {
                assert!(row[..id.len()].eq_ignore_ascii_case(&id));
            }
        }
    }

    async fn drain(&mut self) {
        self.service.drain();
        let request = Request {
            client: 0,
            operation: Operation::Create,
            shape: Shape::Text,
            rows: 1,
            seed: 1,
            validate_only: false,
            keyed: false,
            cancel_after: None,
        };
        let refused = submit(&self.service, &Upload::new(&request, None)).await;
        assert_eq!(refused.unwrap_err().code, Code::Draining);
        self.restart().await;
    }
}

/// The uploads of requests that were noted last.
fn uploads(asked: &Asked, requests: &[Request]) -> Vec<Arc<Upload>> {
    let keyed = requests.iter().filter(|request| request.keyed).count();
    let mut keys = asked.keyed.len() - keyed..;
    let upload = |request: &Request| {
        let key = if request.keyed { keys.next() } else { None };
        Arc::new(Upload::new(request, key))
    };
    requests.iter().map(upload).collect()
}

/// What came of a submit, and of the cancel behind it.
struct Answer {
    submission: Result<Submission, Error>,
    cancel: Option<Result<Cancel, Error>>,
}

async fn send(service: &Service, upload: &Upload) -> Answer {
    let submission = submit(service, upload).await;
    let mut cancel = None;
    if let (Ok(made), Some(us)) = (&submission, upload.request.cancel_after) {
        sleep(Duration::from_micros(us)).await;
        cancel = Some(service.cancel(&caller(upload.request.client), made.job.spec.id).await);
    }
    Answer { submission, cancel }
}

async fn submit(service: &Service, upload: &Upload) -> Result<Submission, Error> {
    let Upload { request, key, file } = upload;
    let asked = SubmitRequest {
        operation: request.operation,
        media_type: file.media_type,
        encoding: Encoding::Identity,
        validate_only: request.validate_only,
        request_id: key.clone(),
        content_length: request.keyed.then_some(file.body.len() as u64),
        content_sha256: request.keyed.then_some(file.sha256),
    };
    let mut submit = service.begin(&caller(request.client), asked).await?;
    let pieces = file.body.chunks(PIECE).map(|piece| Ok(Bytes::copy_from_slice(piece)));
    submit.pump(stream::iter(pieces)).await?;
    submit.finish().await
}

fn named(step: &Step) -> (&'static str, usize) {
    match step {
        Step::Submit(_) => ("submits", 1),
        Step::Burst(requests) | Step::Crash(Crash::Amid(requests, _), _) => {
            ("submits", requests.len())
        }
        Step::Repeat(_) => ("repeats", 1),
        Step::Clash(..) => ("clashes", 1),
        Step::Cancel(_) => ("cancels", 1),
        Step::Watch(..) => ("watches", 1),
        Step::Get(_) => ("gets", 1),
        Step::List(..) => ("lists", 1),
        Step::Read(..) => ("reads", 1),
        Step::Pause(_) => ("pauses", 1),
        Step::Settle => ("settles", 1),
        Step::Drain => ("drains", 1),
        Step::Purge(_) => ("purges", 1),
        Step::Crash(..) => ("kills planned", 1),
    }
}
