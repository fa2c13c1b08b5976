-- Exceptions: vendors' windows and broken glass. Never deleted.
create table grants (
    number integer primary key autoincrement,
    id text not null unique,
    kind text not null, -- maintenance, glass
    person text not null references people (id),
    app text not null,
    begin integer not null,
    "end" integer not null,
    asked_at integer not null,
    asked_by text not null,
    ended_at integer,
    ended_by text,
    ended_words text,
    -- Of a vendor's window.
    purpose text not null default '',
    ticket text not null default '',
    plan text not null default '',
    methods text not null default '[]', -- JSON
    paths text not null default '[]', -- JSON
    is_urgent integer not null default 0,
    approvals_needed integer not null default 0,
    approvals text not null default '[]', -- JSON: moment, who, words
    approvals_given integer not null default 0,
    admitted_at integer,
    admitted_by text,
    admitted_words text,
    approval_due_at integer,
    refused_at integer,
    refused_by text,
    refused_words text,
    withdrawn_at integer,
    withdrawn_by text,
    withdrawn_words text,
    report_within integer not null default 0, -- microseconds
    draft text,
    report text,
    reported_at integer,
    reported_by text,
    confirmed_at integer,
    confirmed_by text,
    confirmed_words text,
    -- Of broken glass.
    glass_reason text,
    glass_words text,
    patient text,
    review_due_at integer,
    verdict text,
    reviewed_at integer,
    reviewed_by text,
    reviewed_words text
) strict;
create index grants_by_person on grants (person, app);
create index grants_by_end on grants ("end");

-- The files that came with work plans.
create table plan_files (
    "grant" text primary key references grants (id) on delete cascade,
    name text not null,
    media_type text not null,
    sha256 blob not null,
    bytes blob not null
) strict, without rowid;

-- The inventory of remote maintenance.
create table maintenance_lines (
    number integer primary key autoincrement,
    vendor text not null,
    contract text not null,
    target text not null,
    app text,
    path text not null,
    owner text not null,
    people text not null, -- JSON
    note text not null,
    changed_at integer not null
) strict;

-- Which people come from which vendor.
create table vendors (
    person text primary key references people (id),
    vendor text not null
) strict, without rowid;
