//! Servers that are not what they should be: another key, no way in, silence, a flood, an end in the middle.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::Folder;
use tests::connector::{SshServer, strange_key, terminal};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::{IN_TIME, PATIENCE, Room};

#[tokio::test]
async fn a_server_that_floods_is_held_back_and_can_be_interrupted() {
    let (room, _sshd) = Room::open("").await;
    let mut line = room.shell().await;
    let before = tests::resident_bytes(room.hospital.pid());
    line.types("yes \u{3042}\u{3044}\u{3046}\r").await;
    // Nothing of it is taken: after what may be ahead, nothing more comes.
    let mut ahead = 0;
    while let Ok(Some(bytes)) = tokio::time::timeout(Duration::from_secs(2), line.next()).await {
        ahead += bytes;
        assert!(ahead < 300_000, "{ahead} bytes came that nobody took");
    }
    assert!(ahead > 64_000, "{ahead}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = tests::resident_bytes(room.hospital.pid()).saturating_sub(before);
    assert!(grown < 64 << 20, "the gateway grew by {grown} bytes");
    line.took(ahead).await;
    line.types("\u{3}").await;
    line.types("echo st''ill\r").await;
    line.shows("still").await;
}

#[tokio::test]
async fn a_server_that_breaks_off_is_told() {
    let (room, _sshd) = Room::open("").await;
    let mut line = room.shell().await;
    line.types("kill -9 $PPID\r").await;
    assert_eq!(line.ends(PATIENCE).await, "target-broke");
    let (_, closing) = room.record().await;
    assert_eq!((closing["end"].as_str(), closing["said"].as_str()), (Some("upstream-failed"), Some("target-broke")));
}

/// Opens a terminal that does not come about, for this reason, and is on record so.
async fn fails(port: SocketAddr, terminal: &str, code: &str) -> Value {
    let room = Room::at(port, terminal).await;
    let mut line = room.terminal().await;
    assert_eq!(line.ends(PATIENCE).await, code);
    assert!(line.shown.is_empty(), "{}", line.text());
    let (_, closing) = room.record().await;
    assert_eq!(closing["end"], "upstream-failed", "{closing}");
    assert!(closing["said"].as_str().unwrap().starts_with(code), "{closing}");
    assert!(room.events("recording-began").is_empty(), "nothing was shown");
    closing
}

#[tokio::test]
async fn a_server_with_another_key_gets_nothing() {
    let (sshd, folder) = (SshServer::start(), Folder::new());
    let (_, other) = strange_key(&folder);
    let closing = fails(sshd.address(), &terminal(&sshd.user_key(), &other, ""), "host-key-unknown").await;
    assert!(closing["said"].as_str().unwrap().contains("ssh-ed25519 SHA256:"), "which one it showed: {closing}");
}

#[tokio::test]
async fn a_server_that_does_not_let_the_gateway_in_is_told() {
    let (sshd, folder) = (SshServer::start(), Folder::new());
    let (key, _) = strange_key(&folder);
    fails(sshd.address(), &terminal(&key, &sshd.host_key(), ""), "credentials-refused").await;
    let password = folder.write("password", "wrong\n");
    tests::make_private(&password);
    let by_password = sshd.terminal("").replace(
        &format!("key_file = \"{}\"", sshd.user_key().display()),
        &format!("password_file = \"{}\"", password.display()),
    );
    assert!(by_password.contains("password_file"));
    fails(sshd.address(), &by_password, "credentials-refused").await;
}

/// A port that says this to whoever comes, again and again where it is to flood.
async fn says(words: &'static [u8], floods: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.write_all(words).await?;
                if floods {
                    loop {
                        stream.write_all(words).await?;
                    }
                }
                tokio::time::sleep(PATIENCE * 2).await;
                std::io::Result::Ok(())
            });
        }
    });
    address
}

#[tokio::test]
async fn servers_that_hang_flood_or_speak_nonsense_cost_little_and_are_told() {
    let (sshd, folder) = (SshServer::start(), Folder::new());
    let (key, _) = strange_key(&folder);
    let terminal = terminal(&key, &sshd.host_key(), "");
    let (silent, banners, nonsense) = (
        says(b"", false).await,
        says(b"Welcome! This line is no greeting of SSH.\r\n", true).await,
        says(b"SSH-2.0-Odd\r\n\xff\xff\xff\xff and so on, without end", true).await,
    );
    for port in [nonsense, banners, silent] {
        let begun = Instant::now();
        fails(port, &terminal, "target-silent").await;
        assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    }
    let shut = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    fails(shut, &terminal, "target-unreachable").await;
}

#[tokio::test]
async fn a_person_who_leaves_while_a_server_hangs_leaves_nothing_open() {
    let (sshd, silent) = (SshServer::start(), says(b"", false).await);
    let room = Room::at(silent, &sshd.terminal("")).await;
    let mut line = room.terminal().await;
    line.socket.close(1000).await.unwrap();
    assert_eq!(line.ends(IN_TIME).await, "left");
    assert_eq!(room.record().await.1["end"], "upgraded");
}
