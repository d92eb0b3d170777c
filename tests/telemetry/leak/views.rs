//! How jobs are shown, over every face.

use cvrsd::proto::jobs::ListJobsRequest;
use serde_json::Value;

use super::{
    Told,
    marks::{silent_but_for_ids, tells},
};
use crate::support::{Daemon, http::JOBS, jobs};

/// Everything that is told of these jobs, which have ended, but for their reports: those are searched here for all but
/// ids.
pub async fn of(daemon: &Daemon, ids: &[String]) -> Told {
    let mut client = daemon.jobs().await;
    let mut told = vec![("a list over REST", get(daemon, JOBS).await)];
    let list = client.list_jobs(ListJobsRequest::default()).await.unwrap().into_inner();
    assert!(list.jobs.len() >= ids.len());
    told.push(("a list over gRPC", format!("{list:?}")));
    let mut reports = String::new();
    for id in ids {
        told.push(("a job over gRPC", format!("{:?}", jobs::get(&mut client, id).await)));
        let (events, end) = jobs::watch(&mut client, id, 1).await;
        end.unwrap();
        assert!(!events.is_empty(), "{id}");
        told.push(("the events over gRPC", format!("{events:?}")));
        told.push(("the events over REST", events_of(daemon, id).await));
        for path in [format!("{JOBS}/{id}"), format!("{JOBS}/{id}?view=full")] {
            told.push(("a job over REST", without_lists(&get(daemon, &path).await)));
        }
        let whole = jobs::errors(&mut client, id).await;
        reports.extend([get(daemon, &format!("{JOBS}/{id}/errors")).await, format!("{whole:?}")]);
    }
    silent_but_for_ids("a report", &reports);
    assert!(tells(&reports).is_some(), "a report holds the ids of rows");
    for expected in ["CVRS-HEADER", "CVRS-HEADER-DUPLICATE", "is ignored"] {
        let in_all = told.iter().filter(|(_, text)| text.contains(expected)).count();
        assert!(in_all >= 5, "failures and warnings are shown: {expected}");
    }
    told
}

async fn get(daemon: &Daemon, path: &str) -> String {
    let answer = reqwest::get(daemon.url(path)).await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.text().await.unwrap()
}

/// All but the first, which is the submit.
async fn events_of(daemon: &Daemon, id: &str) -> String {
    let url = daemon.url(&format!("{JOBS}/{id}/events"));
    let request = reqwest::Client::new().get(url).header("Last-Event-ID", "1");
    request.send().await.unwrap().text().await.unwrap()
}

/// A view without its lists of errors, which are parts of the report.
fn without_lists(view: &str) -> String {
    let mut view: Value = serde_json::from_str(view).unwrap();
    let mut lists = vec![view["validationErrors"].take()];
    let storages = view["storageResult"].as_object_mut().unwrap().values_mut();
    lists.extend(storages.map(|storage| storage["processingErrors"].take()));
    for list in lists {
        assert!(list.is_array(), "{list}");
        silent_but_for_ids("a list of errors", &list.to_string());
    }
    view.to_string()
}
