-- The same tables as the embedded store has at its version 7. Times are microseconds since 1970 UTC, a yes or no is a
-- number; texts compare byte by byte (collation "C"), whatever the database was made with.
create table people (
    id text collate "C" primary key,
    issuer text collate "C" not null,
    subject text collate "C" not null,
    provider text collate "C" not null,
    login text collate "C" not null,
    name text collate "C" not null,
    roles text collate "C" not null, -- JSON array
    unit text collate "C" not null default '',
    added_at bigint not null,
    seen_at bigint not null,
    confirmed_at bigint not null, -- the roles
    disabled_at bigint,
    disabled_why text collate "C",
    disabled_by text collate "C",
    first_key_at bigint
);
create index people_by_login on people (lower(login collate "C"), id);
create index people_by_subject on people (subject, provider);

create table devices (
    id text collate "C" primary key,
    class text collate "C" not null,
    asset text collate "C" not null,
    owner text collate "C" not null,
    place text collate "C" not null,
    os text collate "C" not null,
    os_version text collate "C" not null,
    added_at bigint not null,
    seen_at bigint,
    expires_at bigint,
    stock_taken_at bigint,
    revoked_at bigint
);

create table device_certificates (
    fingerprint text collate "C" primary key, -- SHA-256, hexadecimal
    device text collate "C" not null references devices (id),
    serial text collate "C" not null, -- hexadecimal
    issuer text collate "C" not null, -- own, est, foreign
    issued_at bigint not null,
    ends_at bigint not null,
    revoked_at bigint
);
create index device_certificates_by_device on device_certificates (device);

create table posture (
    device text collate "C" not null references devices (id),
    name text collate "C" not null,
    value text collate "C" not null,
    source text collate "C" not null,
    at bigint not null,
    expires_at bigint not null,
    primary key (device, name)
);

create table credentials (
    id bytea primary key,
    "user" text collate "C" not null references people (id),
    name text collate "C" not null,
    model text collate "C" not null, -- AAGUID
    passkey text collate "C" not null, -- JSON
    counter bigint not null,
    device_bound bigint not null,
    added_at bigint not null,
    used_at bigint,
    added_by text collate "C" not null,
    proofing text collate "C" not null
);
create index credentials_by_user on credentials ("user");

create table invitations (
    id text collate "C" primary key,
    secret bytea not null unique, -- SHA-256 of the code
    purpose text collate "C" not null, -- passkey, device, temporary, first-administrator
    "user" text collate "C" references people (id),
    device text collate "C" references devices (id),
    made_by text collate "C" not null,
    made_at bigint not null,
    expires_at bigint not null,
    proofing text collate "C" not null,
    reason text collate "C" not null,
    used_at bigint,
    revoked_at bigint
);
create index invitations_by_user on invitations ("user");
create index invitations_by_device on invitations (device);
create index invitations_by_end on invitations (expires_at);

create table sessions (
    id text collate "C" primary key,
    "user" text collate "C" not null references people (id),
    roles text collate "C" not null, -- JSON array
    assurance text collate "C" not null,
    authenticated_at bigint not null,
    device text collate "C",
    opened_at bigint not null,
    seen_at bigint not null,
    ends_at bigint not null,
    provider_session text collate "C",
    id_token text collate "C",
    roles_confirmed_at bigint not null,
    methods text collate "C" not null,
    credential bytea,
    key_model text collate "C", -- AAGUID
    parked_at bigint,
    in_outage bigint not null default 0,
    refresh_token text collate "C",
    checked_at bigint not null
);
create index sessions_by_user on sessions ("user");
create index sessions_by_device on sessions (device);
create index sessions_by_end on sessions (ends_at);
create index sessions_by_credential on sessions (credential) where credential is not null;
create index sessions_by_provider_session on sessions (provider_session) where provider_session is not null;
create index sessions_by_check on sessions (checked_at) where refresh_token is not null;

create table tokens (
    hash bytea primary key,
    session text collate "C" not null references sessions (id) on delete cascade,
    host text collate "C" not null
);
create index tokens_by_session on tokens (session);

create table ceremonies (
    secret bytea primary key,
    kind text collate "C" not null,
    state text collate "C" not null,
    expires_at bigint not null
);
create index ceremonies_by_end on ceremonies (expires_at);

-- What must not be accepted twice.
create table remembered (
    kind text collate "C" not null,
    key bytea not null, -- SHA-256
    expires_at bigint not null,
    primary key (kind, key)
);
create index remembered_by_end on remembered (expires_at);

-- Counted by triggers, so that the bounds cost the same however many there are.
create table ceremonies_open (number bigint not null);
insert into ceremonies_open (number) values (0);
create table remembered_now (number bigint not null);
insert into remembered_now (number) values (0);
create function count_more() returns trigger language plpgsql as $$
begin
    execute format('update %I set number = number + (select count(*) from more)', tg_argv[0]);
    return null;
end $$;
create function count_less() returns trigger language plpgsql as $$
begin
    execute format('update %I set number = number - (select count(*) from less)', tg_argv[0]);
    return null;
end $$;
create trigger ceremony_started after insert on ceremonies referencing new table as more
    for each statement execute function count_more('ceremonies_open');
create trigger ceremony_taken after delete on ceremonies referencing old table as less
    for each statement execute function count_less('ceremonies_open');
create trigger remembered_more after insert on remembered referencing new table as more
    for each statement execute function count_more('remembered_now');
create trigger remembered_less after delete on remembered referencing old table as less
    for each statement execute function count_less('remembered_now');

-- Whoever writes holds a lock until its end, so that these numbers are in the order in which the rows come to be seen.
create table events (
    sequence bigint generated by default as identity primary key,
    at bigint not null,
    actor text collate "C" not null,
    change text collate "C" not null,
    subject text collate "C" not null
);
create function ring() returns trigger language plpgsql as $$
begin
    -- A bell and no more: who hears it reads the events after the last that it knows.
    perform pg_notify('sekimori', '');
    return null;
end $$;
create trigger event_told after insert on events for each statement execute function ring();

create table notes (
    key text collate "C" primary key,
    value text collate "C" not null
);

-- Versions of configuration and policy: each that was proposed or came into force, with its text.
create table policy_revisions (
    number bigint generated by default as identity primary key,
    revision text collate "C" not null, -- the name by its contents
    files text collate "C" not null, -- JSON: name and text of each
    difference text collate "C" not null, -- JSON: in words, against the version before
    why text collate "C" not null,
    proposed_at bigint not null,
    proposed_by text collate "C" not null,
    waits bigint not null, -- whether another person must approve it
    approved_at bigint,
    approved_by text collate "C",
    activated_at bigint,
    next_waits bigint not null -- whether it asks for the approval of its successor
);
create index policy_revisions_by_name on policy_revisions (revision);
create index policy_revisions_by_activation on policy_revisions (activated_at) where activated_at is not null;

create table policy_replays (
    number bigint primary key references policy_revisions (number) on delete cascade,
    report text collate "C" not null -- JSON, as `policy replay --format json` writes it
);

-- Questions about the log that people keep.
create table saved_questions (
    id bigint generated by default as identity primary key,
    owner text collate "C" not null,
    name text collate "C" not null,
    query text collate "C" not null,
    saved_at bigint not null,
    unique (owner, name)
);

-- The periodic review of the log.
create table reviews (
    number bigint generated by default as identity primary key,
    since bigint not null,
    until bigint not null,
    rules text collate "C" not null,
    seed bigint not null, -- its 64 bits, as a signed number
    opened_at bigint not null,
    opened_by text collate "C" not null,
    due_at bigint not null,
    signed_at bigint,
    signed_by text collate "C",
    comment text collate "C"
);

-- The lines of its sample, by their number in the log.
create table review_items (
    review bigint not null references reviews (number) on delete cascade,
    seq bigint not null,
    rule text collate "C" not null,
    judgment text collate "C",
    comment text collate "C",
    judged_at bigint,
    judged_by text collate "C",
    primary key (review, seq)
);

-- Exceptions: vendors' windows and broken glass. Never deleted.
create table grants (
    number bigint generated by default as identity primary key,
    id text collate "C" not null unique,
    kind text collate "C" not null, -- maintenance, glass
    person text collate "C" not null references people (id),
    app text collate "C" not null,
    begin bigint not null,
    "end" bigint not null,
    asked_at bigint not null,
    asked_by text collate "C" not null,
    ended_at bigint,
    ended_by text collate "C",
    ended_words text collate "C",
    -- Of a vendor's window.
    purpose text collate "C" not null default '',
    ticket text collate "C" not null default '',
    plan text collate "C" not null default '',
    methods text collate "C" not null default '[]', -- JSON
    paths text collate "C" not null default '[]', -- JSON
    is_urgent bigint not null default 0,
    approvals_needed bigint not null default 0,
    approvals text collate "C" not null default '[]', -- JSON: moment, who, words
    approvals_given bigint not null default 0,
    admitted_at bigint,
    admitted_by text collate "C",
    admitted_words text collate "C",
    approval_due_at bigint,
    refused_at bigint,
    refused_by text collate "C",
    refused_words text collate "C",
    withdrawn_at bigint,
    withdrawn_by text collate "C",
    withdrawn_words text collate "C",
    report_within bigint not null default 0, -- microseconds
    draft text collate "C",
    report text collate "C",
    reported_at bigint,
    reported_by text collate "C",
    confirmed_at bigint,
    confirmed_by text collate "C",
    confirmed_words text collate "C",
    -- Of broken glass.
    glass_reason text collate "C",
    glass_words text collate "C",
    patient text collate "C",
    ward text collate "C",
    review_due_at bigint,
    verdict text collate "C",
    reviewed_at bigint,
    reviewed_by text collate "C",
    reviewed_words text collate "C",
    -- What was told of them as overdue.
    approval_overdue_told bigint not null default 0,
    overdue_told bigint not null default 0 -- report or review
);
create index grants_by_person on grants (person, app);
create index grants_by_end on grants ("end");

-- The files that came with work plans.
create table plan_files (
    "grant" text collate "C" primary key references grants (id) on delete cascade,
    name text collate "C" not null,
    media_type text collate "C" not null,
    sha256 bytea not null,
    bytes bytea not null
);

-- The inventory of remote maintenance.
create table maintenance_lines (
    number bigint generated by default as identity primary key,
    vendor text collate "C" not null,
    contract text collate "C" not null,
    target text collate "C" not null,
    app text collate "C",
    path text collate "C" not null,
    owner text collate "C" not null,
    people text collate "C" not null, -- JSON
    note text collate "C" not null,
    changed_at bigint not null
);

-- Which people come from which vendor.
create table vendors (
    person text collate "C" primary key references people (id),
    vendor text collate "C" not null
);
