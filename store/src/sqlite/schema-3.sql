-- Versions of configuration and policy: each that was proposed or came into force, with its text.
create table policy_revisions (
    number integer primary key autoincrement,
    revision text not null, -- the name by its contents
    files text not null, -- JSON: name and text of each
    difference text not null, -- JSON: in words, against the version before
    why text not null,
    proposed_at integer not null,
    proposed_by text not null,
    waits integer not null, -- whether another person must approve it
    approved_at integer,
    approved_by text,
    activated_at integer,
    next_waits integer not null -- whether it asks for the approval of its successor
) strict;
create index policy_revisions_by_name on policy_revisions (revision);
create index policy_revisions_by_activation on policy_revisions (activated_at) where activated_at is not null;

-- Whoever ever had a key enrols no other one on their provider's word alone, whatever became of it.
alter table people add column first_key_at integer;
update people set first_key_at = key.at
    from (select substr(subject, 1, instr(subject, ' ') - 1) as user, min(at) as at
          from events where change = 'credential-added' group by 1) as key
    where key.user = people.id;
