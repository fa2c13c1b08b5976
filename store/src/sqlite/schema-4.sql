-- Questions about the log that people keep.
create table saved_questions (
    id integer primary key autoincrement,
    owner text not null,
    name text not null,
    query text not null,
    saved_at integer not null,
    unique (owner, name)
) strict;

-- The periodic review of the log.
create table reviews (
    number integer primary key autoincrement,
    since integer not null,
    until integer not null,
    rules text not null,
    seed integer not null, -- its 64 bits, as a signed number
    opened_at integer not null,
    opened_by text not null,
    due_at integer not null,
    signed_at integer,
    signed_by text,
    comment text
) strict;

-- The lines of its sample, by their number in the log.
create table review_items (
    review integer not null references reviews (number) on delete cascade,
    seq integer not null,
    rule text not null,
    judgment text,
    comment text,
    judged_at integer,
    judged_by text,
    primary key (review, seq)
) strict, without rowid;
