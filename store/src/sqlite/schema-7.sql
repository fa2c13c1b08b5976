-- The ward that glass was broken for, and what was told of exceptions as overdue.
alter table grants add column ward text;
alter table grants add column approval_overdue_told integer not null default 0;
alter table grants add column overdue_told integer not null default 0; -- report or review
