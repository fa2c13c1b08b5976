-- Times are microseconds since 1970 UTC. Ids and fingerprints are text, so that anyone can read the file with sqlite3.
create table people (
    id text primary key,
    issuer text not null,
    subject text not null,
    provider text not null,
    login text not null,
    name text not null,
    roles text not null, -- JSON array
    seen_at integer not null
) strict, without rowid;

create table devices (
    id text primary key,
    class text not null,
    asset text not null,
    owner text not null,
    place text not null,
    certificate text not null unique, -- SHA-256, hexadecimal
    certificate_ends_at integer not null,
    added_at integer not null,
    revoked_at integer
) strict, without rowid;

create table sessions (
    id text primary key,
    user text not null references people (id),
    roles text not null, -- JSON array
    assurance text not null,
    authenticated_at integer not null,
    device text,
    opened_at integer not null,
    seen_at integer not null,
    ends_at integer not null,
    provider_session text,
    id_token text
) strict, without rowid;
create index sessions_by_user on sessions (user);
create index sessions_by_device on sessions (device);
create index sessions_by_end on sessions (ends_at);

create table tokens (
    hash blob primary key,
    session text not null references sessions (id) on delete cascade,
    host text not null
) strict, without rowid;
create index tokens_by_session on tokens (session);

create table ceremonies (
    secret blob primary key,
    kind text not null,
    state text not null,
    expires_at integer not null
) strict, without rowid;
create index ceremonies_by_end on ceremonies (expires_at);

-- Counted by triggers, so that the bound costs the same however many there are.
create table ceremonies_open (number integer not null) strict;
insert into ceremonies_open (number) values (0);
create trigger ceremony_started after insert on ceremonies begin
    update ceremonies_open set number = number + 1;
end;
create trigger ceremony_taken after delete on ceremonies begin
    update ceremonies_open set number = number - 1;
end;

create table events (
    sequence integer primary key autoincrement,
    at integer not null,
    actor text not null,
    change text not null, -- device-added, device-revoked, session-ended
    subject text not null
) strict;

create table notes (
    key text primary key,
    value text not null
) strict, without rowid;
