use super::*;
use tokio::io::{DuplexStream, duplex};

/// Two ends, each with the far side of its plain connection.
struct Pair {
    client: Channel,
    server: Channel,
}

fn pair() -> Pair {
    Pair { client: Channel::default(), server: Channel::default() }
}

/// Runs both ends over a line until both are done with it.
async fn over(pair: &Pair, line: (DuplexStream, DuplexStream)) -> (LineEnd, LineEnd) {
    tokio::join!(pair.client.over(line.0), pair.server.over(line.1))
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n % 251) as u8).collect()
}

#[tokio::test]
async fn both_directions_and_both_ends_pass() {
    let pair = pair();
    let (mut user, local) = duplex(1024);
    let (target, mut server) = duplex(1024);
    let talk = async {
        user.write_all(b"question").await.unwrap();
        user.shutdown().await.unwrap();
        let mut asked = String::new();
        server.read_to_string(&mut asked).await.unwrap();
        server.write_all(b"answer").await.unwrap();
        server.shutdown().await.unwrap();
        let mut answered = String::new();
        user.read_to_string(&mut answered).await.unwrap();
        (asked, answered)
    };
    let (ends, told) = tokio::select! {
        both = async { tokio::join!(over(&pair, duplex(4096)), talk) } => both,
        _ = pair.client.carry(local, |_| {}, |_| {}) => panic!("the client's side broke"),
        _ = pair.server.carry(target, |_| {}, |_| {}) => panic!("the server's side broke"),
    };
    assert_eq!(ends, (LineEnd::Done, LineEnd::Done));
    assert_eq!(told, ("question".to_owned(), "answer".to_owned()));
    assert_eq!((pair.client.taken_bytes(), pair.server.taken_bytes()), (8, 6));
}

#[tokio::test]
async fn what_was_said_last_is_handed_on_before_the_goodbye_ends_it() {
    let pair = pair();
    let (mut user, local) = duplex(1024);
    let said = bytes(300_000);
    pair.server.outbox.borrow_mut().push(&said);
    pair.server.leave_with_rest("target-broke");
    let read = async {
        let mut got = vec![0; said.len()];
        user.read_exact(&mut got).await.unwrap();
        got
    };
    let ends = async {
        let ends = over(&pair, duplex(4096)).await;
        pair.client.handed_on().await;
        ends
    };
    let (ends, got) = tokio::select! {
        both = async { tokio::join!(ends, read) } => both,
        _ = pair.client.carry(local, |_| {}, |_| {}) => panic!("the client's side broke"),
    };
    assert_eq!(ends, (LineEnd::Goodbye("target-broke".to_owned()), LineEnd::Left));
    assert!(got == said);
    let pair = self::pair();
    pair.server.outbox.borrow_mut().push(&said);
    pair.server.leave("forbidden");
    let ends = over(&pair, duplex(4096)).await;
    assert_eq!(
        (ends.0, pair.client.accepted()),
        (LineEnd::Goodbye("forbidden".to_owned()), 0),
        "whoever is put out gets no more"
    );
}

#[tokio::test]
async fn what_was_on_its_way_when_the_line_was_cut_comes_over_the_next() {
    let pair = pair();
    let (mut user, local) = duplex(64 * 1024);
    let (target, mut server) = duplex(64 * 1024);
    let sent = bytes(3_000_000);
    let write = async {
        user.write_all(&sent).await.unwrap();
        user.shutdown().await.unwrap();
    };
    let read = async {
        let mut got = Vec::new();
        server.read_to_end(&mut got).await.unwrap();
        server.shutdown().await.unwrap();
        got
    };
    let lines = async {
        let mut cuts = 0;
        loop {
            // Every line carries a little and breaks off, wherever that is in a frame.
            let ((near, middle), (behind, far)) = (duplex(5_000), duplex(5_000));
            let most = 200_003 * (cuts + 1);
            let relay = async move {
                let (from_near, mut to_near) = tokio::io::split(middle);
                let (mut from_far, mut to_far) = tokio::io::split(behind);
                let mut up = from_near.take(most);
                let up = async { tokio::io::copy(&mut up, &mut to_far).await.unwrap() };
                let down = async { tokio::io::copy(&mut from_far, &mut to_near).await.unwrap() };
                tokio::select! { _ = up => {}, _ = down => {} }
            };
            let ends = tokio::join!(over(&pair, (near, far)), relay).0;
            match ends {
                (LineEnd::Done, LineEnd::Done) => return cuts,
                (LineEnd::Cut | LineEnd::Done, LineEnd::Cut | LineEnd::Done) => cuts += 1,
                ends => panic!("{ends:?}"),
            }
            let (client, server) = (pair.client.accepted(), pair.server.accepted());
            pair.client.go_on_from(server).unwrap();
            pair.server.go_on_from(client).unwrap();
        }
    };
    let (got, cuts) = tokio::select! {
        (got, (), cuts) = async { tokio::join!(read, write, lines) } => (got, cuts),
        _ = pair.client.carry(local, |_| {}, |_| {}) => panic!("the client's side broke"),
        _ = pair.server.carry(target, |_| {}, |_| {}) => panic!("the server's side broke"),
    };
    assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
    assert!(cuts >= 3, "{cuts} cuts");
}

#[tokio::test]
async fn whoever_takes_nothing_holds_back_the_other_and_nobody_else() {
    let pair = pair();
    let (mut user, local) = duplex(1024);
    let (target, mut server) = duplex(1024);
    // The target floods, and its client reads none of it; what the client says arrives all the same.
    let flood = async {
        let (mut reads, mut writes) = tokio::io::split(&mut server);
        let mut word = [0; 4];
        let heard = async {
            reads.read_exact(&mut word).await.unwrap();
            word
        };
        let flood = async {
            let chunk = bytes(16 * 1024);
            while writes.write_all(&chunk).await.is_ok() {}
        };
        tokio::select! { heard = heard => heard, () = flood => panic!("the flood ended") }
    };
    let say = async {
        while pair.server.outbox.borrow().room() > 0 {
            tokio::task::yield_now().await;
        }
        user.write_all(b"stop").await.unwrap();
    };
    tokio::select! {
        (heard, ()) = async { tokio::join!(flood, say) } => assert_eq!(&heard, b"stop"),
        ends = over(&pair, duplex(4096)) => panic!("{ends:?}"),
        _ = pair.client.carry(local, |_| {}, |_| {}) => panic!("the client's side broke"),
        _ = pair.server.carry(target, |_| {}, |_| {}) => panic!("the server's side broke"),
    }
    assert_eq!(pair.server.outbox.borrow().room(), 0, "no more is held than the window");
}

#[tokio::test]
async fn a_goodbye_says_why_and_rubbish_ends_the_line() {
    let pair = pair();
    pair.server.leave("outside-hours");
    let ends = over(&pair, duplex(64)).await;
    assert_eq!(ends, (LineEnd::Goodbye("outside-hours".to_owned()), LineEnd::Left));
    let channel = Channel::default();
    let (near, mut far) = duplex(64);
    far.write_all(&[99, 0, 0]).await.unwrap();
    assert_eq!(channel.over(near).await, LineEnd::Garbled);
}

#[tokio::test]
async fn a_side_that_breaks_off_is_told() {
    let channel = Channel::default();
    let (near, far) = duplex(64);
    channel.inbox.borrow_mut().push(b"to nobody").unwrap();
    drop(far);
    let broke = channel.carry(near, |_| {}, |_| {}).await;
    assert_eq!(broke.kind(), io::ErrorKind::BrokenPipe);
}
