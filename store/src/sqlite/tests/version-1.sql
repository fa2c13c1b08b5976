-- What a gateway of schema version 1 had written by the end of an ordinary day. Loaded over schema-1.sql.
create table schema_version (version integer not null) strict;
insert into schema_version (version) values (1);
insert into people values
    ('u-0001', 'https://idp.example.jp', 'S-1', 'ad', 'n.sato', '佐藤 なおみ', '["doctor","nurse"]', 1795215600000000),
    ('u-0002', 'https://idp.example.jp', 'S-2', 'ad', 't.ito', '伊藤 太郎', '[]', 1795215700000000);
insert into devices values
    ('ward-3', 'ward-shared', 'A-0003', '情報システム室', '3階東病棟',
        '0303030303030303030303030303030303030303030303030303030303030303', 1826751600000000, 1795000000000000, null),
    ('tablet-9', 'tablet', '', '', '',
        '0909090909090909090909090909090909090909090909090909090909090909', 1826751600000000, 1795000000000001,
        1795100000000000);
insert into sessions values
    ('00000000000000a1', 'u-0001', '["nurse"]', 'aal1', 1795215600000000, 'ward-3', 1795215601000000,
        1795215999000000, 1795248000000000, 'sid-1', 'header.claims.signature'),
    ('00000000000000a2', 'u-0002', '[]', 'aal2', 1795215700000000, null, 1795215701000000, 1795215701000000,
        1795248000000000, null, null);
insert into tokens values
    (x'0101010101010101010101010101010101010101010101010101010101010101', '00000000000000a1', 'login.example.jp'),
    (x'0202020202020202020202020202020202020202020202020202020202020202', '00000000000000a1', 'emr.example.jp'),
    (x'0303030303030303030303030303030303030303030303030303030303030303', '00000000000000a2', 'login.example.jp');
insert into ceremonies values
    (x'0404040404040404040404040404040404040404040404040404040404040404', 'oidc', '{"nonce":1}', 1795249000000000);
insert into events (sequence, at, actor, change, subject) values
    (1, 1795000000000000, 'cli:root', 'device-added', 'ward-3'),
    (2, 1795000000000001, 'cli:root', 'device-added', 'tablet-9'),
    (3, 1795100000000000, 'u-0002', 'device-revoked', 'tablet-9'),
    (4, 1795100000000000, 'u-0002', 'session-ended', '00000000000000a0');
insert into notes values ('recorded', '4');
