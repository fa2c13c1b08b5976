//! Damage that a feed meets again, because its receiver was lost before what was sent had arrived: it is told and counted
//! once.

use std::time::{Duration, Instant};

use policy::Timestamp;

use super::course::Course;
use super::testing::House;

/// As the house has it.
const SETTLE: Duration = Duration::from_secs(1);
const AT: Timestamp = Timestamp::from_unix_micros(1_000_000);

fn line(event: &str, request: &str) -> String {
    format!("\"ev\":\"{event}\",\"id\":\"{request}\",\"m\":\"GET\",\"act\":\"read\",\"path\":\"/charts/{request}\"")
}

/// Writes a log of which some lines are damaged.
fn write(house: &House, lines: &[String], damaged: &[usize]) {
    house.write_log(lines);
    let file = house.config.audit.directory.join("segments").join(format!("{:020}.jsonl", 0));
    let text = std::fs::read_to_string(&file).unwrap();
    let worse = |(seq, line): (usize, &str)| {
        if damaged.contains(&seq) { "#".repeat(line.len() - 1) + "\n" } else { line.to_owned() }
    };
    std::fs::write(file, text.split_inclusive('\n').enumerate().map(worse).collect::<String>()).unwrap();
}

/// Sends what there is before `end`; gives how many lines were newly found to be left out.
async fn send(course: &mut Course, end: u64, now: Instant) -> u64 {
    let mut fresh = 0;
    loop {
        course.hold(end).await.unwrap();
        if course.held().is_none() {
            return fresh;
        }
        fresh += course.note_sent(Duration::ZERO, now);
    }
}

#[tokio::test]
async fn damaged_lines_are_counted_once_however_often_the_receiver_is_lost() {
    let house = House::with_feed(6514, "format = \"json\"");
    let lines: Vec<String> = (0..10).map(|number| line("refused", &format!("r{number}"))).collect();
    write(&house, &lines, &[2, 5, 6]);
    let now = Instant::now();
    let mut course = Course::begin(&house.receiver, &house.config, 10, now).unwrap();
    assert_eq!(send(&mut course, 6, now).await, 2);
    assert!(course.note_problem("gone before it arrived", AT));
    assert_eq!(course.next(), 0, "all of it is sent again");
    assert_eq!(send(&mut course, 6, now).await, 0);
    assert!(!course.note_problem("gone again", AT));
    assert_eq!(send(&mut course, 10, now).await, 1, "what lies behind is news");
    assert_eq!(course.standing().left_out, 3);
    course.settle(now + SETTLE, AT);
    course.save().await;
    let mut again = Course::begin(&house.receiver, &house.config, 10, now).unwrap();
    assert_eq!((send(&mut again, 10, now).await, again.standing().left_out), (0, 3), "nor after a restart");
}

#[tokio::test]
async fn an_access_whose_opening_line_was_damaged_since_is_counted_once_and_the_feed_goes_on() {
    let house = House::with_feed(6514, "format = \"dicom-xml\"");
    let mut lines = vec![line("open", "a"), line("open", "b"), line("close", "b")];
    write(&house, &lines, &[]);
    let now = Instant::now();
    let mut course = Course::begin(&house.receiver, &house.config, 3, now).unwrap();
    assert_eq!(send(&mut course, 3, now).await, 0);
    course.settle(now + SETTLE, AT);
    lines.extend([line("close", "a"), line("refused", "c")]);
    write(&house, &lines, &[0]);
    let sent = course.standing().sent;
    course.note_problem("gone", AT);
    assert_eq!(send(&mut course, 5, now).await, 1, "nobody can tell who began it");
    course.note_problem("gone again", AT);
    assert_eq!(send(&mut course, 5, now).await, 0);
    assert_eq!(course.standing().left_out, 1);
    assert!(course.standing().sent > sent, "what lies behind is told");
}
