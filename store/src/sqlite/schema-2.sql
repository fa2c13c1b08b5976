-- People: where they work, since when, whether they are in force.
alter table people add column unit text not null default '';
alter table people add column added_at integer not null default 0;
alter table people add column confirmed_at integer not null default 0; -- the roles
alter table people add column disabled_at integer;
alter table people add column disabled_why text;
alter table people add column disabled_by text;
update people set added_at = seen_at, confirmed_at = seen_at;
create index people_by_login on people (login collate nocase, id);
create index people_by_subject on people (subject, provider);

-- Devices: any number of certificates each.
alter table devices rename to devices_1;
create table devices (
    id text primary key,
    class text not null,
    asset text not null,
    owner text not null,
    place text not null,
    os text not null,
    os_version text not null,
    added_at integer not null,
    seen_at integer,
    expires_at integer,
    stock_taken_at integer,
    revoked_at integer
) strict, without rowid;
insert into devices (id, class, asset, owner, place, os, os_version, added_at, revoked_at)
    select id, class, asset, owner, place, '', '', added_at, revoked_at from devices_1;
create table device_certificates (
    fingerprint text primary key, -- SHA-256, hexadecimal
    device text not null references devices (id),
    serial text not null, -- hexadecimal
    issuer text not null, -- own, est, foreign
    issued_at integer not null,
    ends_at integer not null,
    revoked_at integer
) strict, without rowid;
create index device_certificates_by_device on device_certificates (device);
insert into device_certificates (fingerprint, device, serial, issuer, issued_at, ends_at, revoked_at)
    select certificate, id, '', 'own', added_at, certificate_ends_at, revoked_at from devices_1;
drop table devices_1;

create table posture (
    device text not null references devices (id),
    name text not null,
    value text not null,
    source text not null,
    at integer not null,
    expires_at integer not null,
    primary key (device, name)
) strict, without rowid;

create table credentials (
    id blob primary key,
    user text not null references people (id),
    name text not null,
    model text not null, -- AAGUID
    passkey text not null, -- JSON
    counter integer not null,
    device_bound integer not null,
    added_at integer not null,
    used_at integer,
    added_by text not null,
    proofing text not null
) strict, without rowid;
create index credentials_by_user on credentials (user);

create table invitations (
    id text primary key,
    secret blob not null unique, -- SHA-256 of the code
    purpose text not null, -- passkey, device, temporary, first-administrator
    user text references people (id),
    device text references devices (id),
    made_by text not null,
    made_at integer not null,
    expires_at integer not null,
    proofing text not null,
    reason text not null,
    used_at integer,
    revoked_at integer
) strict, without rowid;
create index invitations_by_user on invitations (user);
create index invitations_by_device on invitations (device);
create index invitations_by_end on invitations (expires_at);

-- Sessions of earlier versions were opened by a provider, which had said how surely.
alter table sessions add column roles_confirmed_at integer not null default 0;
alter table sessions add column methods text not null default '';
alter table sessions add column credential blob;
alter table sessions add column key_model text; -- AAGUID
alter table sessions add column parked_at integer;
alter table sessions add column in_outage integer not null default 0;
alter table sessions add column refresh_token text;
alter table sessions add column checked_at integer not null default 0;
update sessions set roles_confirmed_at = authenticated_at, checked_at = authenticated_at,
    methods = case assurance when 'aal1' then 'provider' else 'provider provider-mfa' end;
create index sessions_by_credential on sessions (credential) where credential is not null;
create index sessions_by_provider_session on sessions (provider_session) where provider_session is not null;
create index sessions_by_check on sessions (checked_at) where refresh_token is not null;

-- What must not be accepted twice, counted by triggers like ceremonies.
create table remembered (
    kind text not null,
    key blob not null, -- SHA-256
    expires_at integer not null,
    primary key (kind, key)
) strict, without rowid;
create index remembered_by_end on remembered (expires_at);
create table remembered_now (number integer not null) strict;
insert into remembered_now (number) values (0);
create trigger remembered_more after insert on remembered begin
    update remembered_now set number = number + 1;
end;
create trigger remembered_less after delete on remembered begin
    update remembered_now set number = number - 1;
end;
