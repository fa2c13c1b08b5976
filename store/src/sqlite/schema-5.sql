-- What a version would have answered otherwise over what was recorded before it came, as whoever proposed it tried it.
create table policy_replays (
    number integer primary key references policy_revisions (number) on delete cascade,
    report text not null -- JSON, as `policy replay --format json` writes it
) strict;
