//! A kill at the Nth system call that changes a file, for every N until the operation ends untouched.

use std::time::Instant;

use crate::{
    sample,
    scene::Scene,
    strace::{self, Fault, Point},
};

#[test]
fn a_first_start_may_be_killed_at_any_call() {
    walk(&Scene::fresh_start());
}

#[test]
fn a_start_after_a_kill_may_be_killed_at_any_call() {
    walk(&Scene::used_start());
}

#[test]
fn a_small_job_may_be_killed_at_any_call() {
    walk(&Scene::small());
}

#[test]
fn a_create_may_be_killed_at_any_call() {
    walk(&Scene::create());
}

#[test]
fn a_delete_may_be_killed_at_any_call() {
    walk(&Scene::delete());
}

#[test]
fn a_staged_create_may_be_killed_at_any_call() {
    walk(&Scene::staged());
}

fn walk(scene: &Scene) {
    let began = Instant::now();
    let points = scene.points();
    let all = points.len();
    let (mut killed, mut answered) = (0, 0);
    let last = |point: &Point| !points.iter().any(|other| is_next(point, other));
    let (order, count) = sample(&points);
    for point in order {
        if killed >= count {
            break;
        }
        let mut point = point.clone();
        loop {
            let (touched, was_answered) = kill(scene, &point);
            killed += usize::from(touched);
            answered += usize::from(touched && was_answered);
            // Every N, until there is no such call any more.
            if !touched || !last(&point) {
                break;
            }
            point.number += 1;
        }
    }
    let secs = began.elapsed().as_secs();
    println!(
        "{}: {killed} kills of {all} points, {answered} after the answer, {secs} s",
        scene.name
    );
    assert!(killed > 0);
}

fn is_next(point: &Point, other: &Point) -> bool {
    (&other.place, other.call, other.number) == (&point.place, point.call, point.number + 1)
}

fn kill(scene: &Scene, point: &Point) -> (bool, bool) {
    let run = scene.run(Some(&Fault::at(point, "signal=SIGKILL")));
    if let Some(status) = run.ended {
        assert!(strace::is_killed(status), "{point:?}: {status}");
    }
    let found = (run.ended.is_some(), matches!(run.answer, Some(Ok(_))));
    if std::env::var_os("CVRSD_FAULT_SHOW").is_some() {
        println!("{}: {point:?}: killed {}", scene.name, found.0);
    }
    scene.recover(&run);
    found
}
