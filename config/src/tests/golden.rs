//! The very words that are said about one mistake each.

use super::{only_problem, short_and, short_with};

/// The replaced text, what replaces it, and what is said.
const SAID: &[(&str, &str, &str)] = &[
    // hosts
    (
        "portal.sakura",
        "login.sakura",
        "gateway.portal_host: `login.sakura.example` is the login host too; give the portal a host of its own",
    ),
    (
        "emr.sakura",
        "portal.sakura",
        "app[emr].host: `portal.sakura.example` is the `portal_host` of the gateway; give the app a host of its own",
    ),
    // listeners
    (
        "0.0.0.0:443",
        "443",
        "listener[#1].address: `443` is not an address and port; write it like `0.0.0.0:443`, `127.0.0.1:9464` or `[::]:443`",
    ),
    (
        "zone = \"inside\"",
        "zone = \"inside\", tls = \"hihg\"",
        "listener[#1].tls: `hihg` is not one of `high`, `high-compat`; write `high`",
    ),
    (
        "zone = \"inside\"",
        "zone = \"inside\", client_certificates = true",
        "listener[#1].client_certificates: holds true or false where a text belongs; write it in quotes, such as `\"text\"`",
    ),
    (
        "zone = \"inside\"",
        "zone = \"inside\", sources = [\"10.0.0.7/8\"]",
        "listener[#1].sources: `10.0.0.7/8` has digits after its network part; write `10.0.0.0/8`, or one address alone",
    ),
    (
        "zone = \"inside\"",
        "zone = \"inside\", proxy_protocol_from = [\"0.0.0.0/0\"]",
        "listener[#1].proxy_protocol_from: `0.0.0.0/0` is every address, and each of them could say to be any other; name the balancers alone",
    ),
    (
        "zone = \"inside\"",
        "zone = \"inside\", sources = [\"office\"]",
        "listener[#1].sources: `office` is not a network; write an address and the length of its network part, such as `10.1.0.0/16` or `fd00::/8`",
    ),
    (
        "zone = \"inside\"",
        "zone = \"inside\", sources = [\"::ffff:10.0.0.0/104\"]",
        "listener[#1].sources: `::ffff:10.0.0.0/104` is IPv4 written as IPv6; write the IPv4 network itself",
    ),
    (
        "zone = \"inside\" }",
        "zone = \"inside\" }, { address = \"0.0.0.0:443\", zone = \"outside\" }",
        "listener[#2].address: `0.0.0.0:443` is already used on line 3; give each listener its own address or port",
    ),
    (
        "zone = \"inside\" }",
        "zone = \"inside\" }, { address = \"0.0.0.0:444\", zone = \"inside\" }",
        "listener[#2].zone: `inside` is already used on line 3; give each listener its own `name`",
    ),
    (
        "listener = [{ address = \"0.0.0.0:443\", zone = \"inside\" }]",
        "listener = []",
        "listener: is an empty list; name at least one",
    ),
    // providers
    (
        "https://idp.sakura.example",
        "http://idp.sakura.example",
        "provider[idp].issuer: `http://idp.sakura.example` is not reached by https; use https; http is for this machine only",
    ),
    (
        "https://idp.sakura.example",
        "https://idp.sakura.example/?x=1",
        "provider[idp].issuer: `https://idp.sakura.example/?x=1` has more than host and path; write the `issuer` that the provider's `/.well-known/openid-configuration` shows",
    ),
    (
        "\"nurse\" }\n[[app",
        "\"nurses\" }\n[[app",
        "provider[idp].roles.nurses: role `nurses` is not defined; write `nurse`, or add it to `[roles]`",
    ),
    (
        "\"groups\"",
        "\"a..b\"",
        "provider[idp].roles_claim: `a..b` has an empty part; write `roles`, or a path such as `realm_access.roles`",
    ),
    (
        "\"groups\"",
        "\"groups\"\nscopes = [\"profile email\"]",
        "provider[idp].scopes: `profile email` is not a scope; write one scope an item, such as `[\"profile\", \"groups\"]`",
    ),
    (
        "http://10.0.0.5:8080",
        "ftp://10.0.0.5",
        "app[emr].upstreams: `ftp://10.0.0.5` is neither http nor https; write scheme, host and port, such as `https://10.0.0.5:8443`",
    ),
    (
        "http://10.0.0.5:8080",
        "http://10.0.0.5:8080/emr",
        "app[emr].upstreams: `http://10.0.0.5:8080/emr` has more than scheme, host and port; leave the rest out; paths are sent on as they come",
    ),
    (
        "http://10.0.0.5:8080",
        "https://127.0.0.1",
        "app[emr].upstreams: `127.0.0.1:443` is the gateway itself; name the server behind the gateway",
    ),
    ("[\"http://10.0.0.5:8080\"]", "[]", "app[emr].upstreams: is an empty list; name at least one"),
    ("id = \"emr\"", "id = \"emr\"\nprefix = \"/emr/\"", "app[emr].prefix: `/emr/` ends with `/`; write `/emr`"),
    (
        "id = \"emr\"",
        "id = \"emr\"\nprefix = \"/%65mr\"",
        "app[emr].prefix: is not written as requests will have it; write `/emr`",
    ),
    (
        "id = \"emr\"",
        "id = \"emr\"\nprefix = \"/emr/*\"",
        "app[emr].prefix: `/emr/*` is a pattern; write the beginning of the path alone, without `*`",
    ),
    (
        "id = \"emr\"",
        "id = \"emr\"\nprefix = \"/.sekimori/x\"",
        "app[emr].prefix: `/.sekimori` belongs to the gateway; choose another prefix",
    ),
    (
        "id = \"emr\"",
        "id = \"emr\"\nprefix = \"emr\"",
        "app[emr].prefix: the path does not begin with `/`; write it like `/fhir`, without query",
    ),
    (
        "id = \"emr\"",
        "id = \"emr\"\nprefix = \"/emr\"\nportal_path = \"/start\"",
        "app[emr].portal_path: `/start` is not below the app's prefix; begin it with `/emr`",
    ),
    (
        "id = \"emr\"",
        "id = \"emr\"\nbody_max = \"1GB\"",
        "app[emr].body_max: `1GB` is not a size; write a number and a unit, such as `\"512B\"`, `\"32KiB\"`, `\"16MiB\"` or `\"1GiB\"`",
    ),
    (
        "id = \"emr\"",
        "id = \"emr\"\nresponse_timeout = 30",
        "app[emr].response_timeout: holds a whole number where a span of time belongs; write a number and a unit, such as `\"50ms\"`, `\"30s\"`, `\"5m\"`, `\"12h\"` or `\"30d\"`",
    ),
    (
        "id = \"emr\"",
        "id = \"emr\"\nresponse_timeout = \"2d\"",
        "app[emr].response_timeout: `2d` is out of bounds; write a span from 1s to 1h",
    ),
    (
        "id = \"emr\"",
        "id = \"emr\"\nassertion = \"yes\"",
        "app[emr].assertion: holds a text where true or false belongs; write `true` or `false`, without quotes",
    ),
    (
        "id = \"emr\"",
        "id = \"emr\"\non_log_failure = \"spool\"",
        "app[emr].on_log_failure: there is no emergency spool; add `emergency_spool = \"/other-disk/spool\"` to `[audit]`",
    ),
    (
        "id = \"emr\"",
        "id = \"emr\"\nidentity_headers = { Cookie = \"login\" }",
        "app[emr].identity_headers.Cookie: `Cookie` means something else; choose a name such as `x-remote-user`",
    ),
    (
        "id = \"emr\"",
        "id = \"emr\"\nidentity_headers = { X-Forwarded-User = \"login\" }",
        "app[emr].identity_headers.X-Forwarded-User: `X-Forwarded-User` means something else; choose a name such as `x-remote-user`",
    ),
    (
        "id = \"emr\"",
        "id = \"emr\"\nidentity_headers = { x_user = \"login\" }",
        "app[emr].identity_headers.x_user: `x_user` is not a header name; use letters, digits and `-`",
    ),
    (
        "id = \"emr\"",
        "id = \"emr\"\nidentity_headers = { x-user = \"login\", X-User = \"name\" }",
        "app[emr].identity_headers.X-User: `X-User` is already used; case makes no difference; name each header once",
    ),
    (
        "id = \"emr\"",
        "id = \"emr\"\nupstream_tls = { server_name = \"emr\" }",
        "app[emr].upstream_tls: no upstream of this app is reached by TLS; write `https://` in `upstreams`, or remove this",
    ),
    (
        "id = \"emr\"",
        "id = \"emr\"\nupstream_tls = { client_certificate = \"tls/chain.pem\" }",
        "app[emr].upstream_tls: has a `client_certificate` without its key; add `client_key`",
    ),
    (
        "id = \"idp\"",
        "id = \"local\"",
        "provider[local].id: `local` is the gateway's own directory; give the provider another id",
    ),
    (
        "\"groups\"",
        "\"groups\"\nsecond_factor = \"passkeys\"",
        "provider[idp].second_factor: `passkeys` is not one of `provider`, `passkey`; write `passkey`",
    ),
    (
        "\"groups\"",
        "\"groups\"\nlisteners = [\"inisde\"]",
        "provider[idp].listeners: listener `inisde` is not defined; write `inside`, or give it to a `[[listener]]` as its `name`",
    ),
    (
        "\"groups\"",
        "\"groups\"\napps = [\"erm\"]",
        "provider[idp].apps: app `erm` is not defined; write `emr`, or define it with `[[app]]`",
    ),
    (
        "\"groups\"",
        "\"groups\"\ncheck_interval = \"5s\"",
        "provider[idp].check_interval: `5s` is out of bounds; write a span from 1m to 1d",
    ),
    (
        "\"groups\"",
        "\"groups\"\nenroll_at_first_sign_in = true",
        "provider[idp].enroll_at_first_sign_in: is not a key we know; write `enrol_at_first_sign_in`",
    ),
    (
        "gateway = {",
        "gateway = { console_host = \"portal.sakura.example\",",
        "gateway.console_host: `portal.sakura.example` is the portal host too; give the console a host of its own",
    ),
    (
        "gateway = {",
        "gateway = { console_host = \"console.sakura.example\",",
        "console.administrators: is missing; add `administrators = [\"administrator\"]`",
    ),
    (
        "id = \"emr\"",
        "id = \"emr\"\non_switch = \"stop\"",
        "app[emr].on_switch: `stop` is not one of `park`, `end`; write one of these",
    ),
    // rules
    (
        "roles = [\"nurse\"]",
        "roles = \"everyone\"",
        "rule[nurses-use-emr].roles: `everyone` is not one of `anyone`, `signed-in`; write one of these",
    ),
    ("roles = [\"nurse\"]", "roles = []", "rule[nurses-use-emr].roles: is an empty list; name at least one"),
    (
        "apps = [\"emr\"]",
        "apps = [\"erm\"]",
        "rule[nurses-use-emr].apps: app `erm` is not defined; write `emr`, or define it with `[[app]]`",
    ),
    (
        "apps = [\"emr\"]",
        "apps = [\"portal\"]",
        "rule[nurses-use-emr].apps: `portal` is a part of the gateway, with rules of its own; remove it",
    ),
    (
        "\"write\"]",
        "\"wirte\"]",
        "rule[nurses-use-emr].actions: `wirte` is not one of `read`, `search`, `write`, `delete`, `export`, `connect`; write `write`",
    ),
    (
        "nurses-use-emr",
        "builtin-x",
        "rule[builtin-x].id: `builtin-x` is the name of a built-in rule; give the rule another id",
    ),
];

pub(super) fn said_about(text: &str) -> String {
    let problem = only_problem(text);
    format!("{}: {}; {}", problem.key, problem.reason, problem.remedy)
}

#[test]
fn each_mistake_is_told_in_words_one_can_act_on() {
    for (from, to, said) in SAID {
        assert_eq!(said_about(&short_with(from, to)), *said);
    }
}

/// Lines at the end, and what is said.
const SAID_AT_THE_END: &[(&str, &str)] = &[
    (
        "zones = [\"internet\"]",
        "rule[nurses-use-emr].zones: zone `internet` is not defined; give it to a `[[listener]]`",
    ),
    ("devices = \"all\"", "rule[nurses-use-emr].devices: `all` is not one of `any`, `known`; write one of these"),
    (
        "devices = [\"tablets\"]",
        "rule[nurses-use-emr].devices: `tablets` is not one of `fixed`, `ward-shared`, `tablet`, `dedicated-remote`, `byod`, `vendor`, `machine`; write `tablet`",
    ),
    (
        "days = [\"monday\"]",
        "rule[nurses-use-emr].days: `monday` is not one of `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`, `hol`; write one of these",
    ),
    ("hours = \"8-18\"", "rule[nurses-use-emr].hours: `8-18` is not a span of hours; write it like `08:00-18:00`"),
    (
        "hours = \"08:00-08:00\"",
        "rule[nurses-use-emr].hours: `08:00-08:00` begins and ends at the same minute; leave it out for the whole day",
    ),
    (
        "hours = \"08:00-25:00\"",
        "rule[nurses-use-emr].hours: `08:00-25:00` is not a span of hours; write it like `08:00-18:00`",
    ),
    (
        "assurance = \"aal4\"",
        "rule[nurses-use-emr].assurance: `aal4` is not one of `aal1`, `aal2`, `aal3`; write `aal1`",
    ),
    (
        "paths = [\"/a b\"]",
        "rule[nurses-use-emr].paths: the path has a byte that may not stand in a path; write it like `/fhir/*`, where `*` stands for anything",
    ),
    (
        "[sessions]\nidle = \"9h\"\nabsolute = \"8h\"",
        "sessions: `idle` is longer than `absolute`; make `idle` the shorter one",
    ),
    (
        "[sessions.byod]\nidle = \"9h\"\nabsolute = \"8h\"",
        "sessions.byod: `idle` is longer than `absolute`; make `idle` the shorter one",
    ),
    ("[sessions.fixd]\nidle = \"9m\"", "sessions.fixd: is not a key we know; write `fixed`"),
    (
        "[audit]\norigin = \"a b\"",
        "audit.origin: `a b` cannot name a log; write it like an address without `https://`, such as `sekimori.hospital.example.jp/gw01`",
    ),
    (
        "[audit]\ndirectory = \"log\"\nemergency_spool = \"log/spool\"",
        "audit.emergency_spool: lies in the log's own folder, so it would fail together with it; name a path on another disk",
    ),
    ("[audit]\nkeep = \"1y\"", "audit.keep: `1y` is out of bounds; write a span from 5y to 100y"),
    (
        "[audit]\nkeep = \"7y\"\ndelete_after = \"6y\"",
        "audit.delete_after: is less than `keep`; write as much as `keep` says, or more",
    ),
    (
        "[audit]\narchive = false\ndelete_after = \"6y\"",
        "audit.delete_after: deletes archived segments, and none are archived; remove `archive = false`",
    ),
    (
        "[audit]\narchive = false\n[audit.encryption]\nring = \"ring\"",
        "audit.encryption: encrypts archived segments, and none are archived; remove `archive = false`",
    ),
    (
        "[audit]\ndirectory = \"log\"\n[audit.encryption]\nring = \"log/ring\"",
        "audit.encryption.ring: lies in the log's own folder, so whoever takes the log has its keys too; name a path elsewhere, such as `/var/lib/sekimori/secrets/audit-ring`",
    ),
    (
        "[audit.encryption]\nring = \"ring\"\nrecovery_key = \"AAAA\"",
        "audit.encryption.recovery_key: is not a recovery key; write the line that `sekimori audit key escrow` printed: `x25519:` and 44 letters",
    ),
    (
        "[backup]\nrecovery_keys = [\"AAAA\"]",
        "backup.recovery_keys: is not a recovery key; write the line that `sekimori audit key escrow` printed: `x25519:` and 44 letters",
    ),
    ("[backup]\nrecovery_keys = []", "backup.recovery_keys: is an empty list; name at least one"),
    (
        "[backup]\nverified_within = \"1h\"",
        "backup.verified_within: `1h` is out of bounds; write a span from 1d to 400d",
    ),
    (
        "[backup]\nto = \"/mnt\"",
        "backup.to: is not a key we know; remove it; the keys here are folder, recovery_keys, verified_within",
    ),
    (
        "methods = [\"password\"]",
        "rule[nurses-use-emr].methods: `password` is not one of `provider`, `provider-mfa`, `passkey`, `temporary`; write one of these",
    ),
    ("methods = []", "rule[nurses-use-emr].methods: is an empty list; name at least one"),
    (
        "keys = [\"yubikey\"]",
        "rule[nurses-use-emr].keys: `yubikey` is not a model of authenticator; write an AAGUID, or a name from `authenticators_file` of `[passkeys]`",
    ),
    (
        "posture = [\"edr=\"]",
        "rule[nurses-use-emr].posture: `` is not a value: 1 to 64 letters, digits and signs but quotes and backslashes; write it like `disk_encrypted` or `edr=running`",
    ),
    (
        "posture = [\"EDR\"]",
        "rule[nurses-use-emr].posture: `EDR` may only hold a-z, 0-9, `.`, `_` and `-`, and begins with a letter or digit; write it like `disk_encrypted` or `edr=running`",
    ),
    (
        "posture = [\"edr=on\", \"edr=off\"]",
        "rule[nurses-use-emr]: no device can have two values of `edr` in `posture`; demand one of them",
    ),
    (
        "in_outage = \"yes\"",
        "rule[nurses-use-emr].in_outage: holds a text where true or false belongs; write `true` or `false`, without quotes",
    ),
    (
        "effect = \"forbid\"\nin_outage = true",
        "rule[nurses-use-emr]: a rule that forbids always reaches into outages; remove `in_outage`; set it in the rules that permit",
    ),
    (
        "[sessions.ward-shared]\nlock = \"20m\"",
        "sessions.ward-shared.lock: is longer than `idle`, so the session ends before; make it the shorter one",
    ),
    (
        "[sessions.ward-shared]\non_swicth = \"end\"",
        "sessions.ward-shared.on_swicth: is not a key we know; write `on_switch`",
    ),
    (
        "[sessions.unknown-device]\nshared = true",
        "sessions.unknown-device.shared: is not a key we know; remove it; the keys here are idle, absolute, lock",
    ),
    ("[outage]\nafter = \"1s\"", "outage.after: `1s` is out of bounds; write a span from 30s to 1d"),
    (
        "[outage]\nseen_within = 5",
        "outage.seen_within: is not a key we know; remove it; the keys here are after, seen_within_days, grace",
    ),
    ("[directory]\nlokal = true", "directory.lokal: is not a key we know; write `local`"),
    (
        "[console]\nauditors = [\"nurse\"]",
        "console: names roles, but there is no console; add `console_host = \"console.hospital.example.jp\"` to `[gateway]`",
    ),
    (
        "[[console.auditor]]\nroles = [\"nurse\"]\ndepartments = [\"3F\"]",
        "console: names roles, but there is no console; add `console_host = \"console.hospital.example.jp\"` to `[gateway]`",
    ),
    (
        "[[console.auditor]]\nroles = [\"nruse\"]\ndepartments = [\"3F\"]",
        "console.auditor[#1].roles: role `nruse` is not defined; write `nurse`, or add it to `[roles]`",
    ),
    (
        "[[console.auditor]]\nroles = [\"nurse\"]",
        "console.auditor[#1].departments: is missing; add `departments = [\"3階東病棟\"]`",
    ),
    (
        "[[console.auditor]]\nroles = [\"nurse\"]\ndepartments = [\" / \"]",
        "console.auditor[#1].departments: ` / ` is no name of a department; write it as people and devices have it, such as `3階東病棟`",
    ),
    (
        "[[console.auditor]]\nroles = [\"nurse\"]\ndepartments = []",
        "console.auditor[#1].departments: is an empty list; name at least one",
    ),
    (
        "[console]\nhelp_desk = [\"nruse\"]",
        "console.help_desk: role `nruse` is not defined; write `nurse`, or add it to `[roles]`",
    ),
    ("[devices]\nca_certificate = \"tls/chain.pem\"", "devices: has a `ca_certificate` without its key; add `ca_key`"),
    ("[devices]\nca_key = \"tls/key.pem\"", "devices: has a `ca_key` without its certificate; add `ca_certificate`"),
    (
        "[devices]\ncrl_files = [\"tls/chain.pem\"]",
        "devices.crl_files: are of no use without `ca_files`; name the CAs they belong to",
    ),
    (
        "[devices]\ncrl_urls = [\"http://pki.sakura.example/a.crl\"]",
        "devices.crl_urls: are of no use without `ca_files`; name the CAs they belong to",
    ),
    (
        "[devices]\ncrl_distribution_points = \"use\"",
        "devices.crl_distribution_points: are of no use without `ca_files`; name the CAs they belong to",
    ),
    (
        "[devices]\nca_files = [\"tls/chain.pem\"]\ncrl_urls = [\"ldap://dc.sakura.example/cn=ca\"]",
        "devices.crl_urls: `ldap://dc.sakura.example/cn=ca` is neither http nor https; write where the CA publishes its list, such as `http://pki.hospital.example.jp/mdm-ca.crl`",
    ),
    (
        "[devices]\nca_files = [\"tls/chain.pem\"]\ncrl_urls = [\"http://me:pw@pki.sakura.example/a.crl\"]",
        "devices.crl_urls: `http://me:pw@pki.sakura.example/a.crl` has more than host, path and query; write where the CA publishes its list, such as `http://pki.hospital.example.jp/mdm-ca.crl`",
    ),
    ("[devices]\ncrl_refresh = \"1s\"", "devices.crl_refresh: `1s` is out of bounds; write a span from 10s to 1d"),
    (
        "[devices]\ncertificate_lifetime = \"30d\"\nrenew_before = \"30d\"",
        "devices.renew_before: is not shorter than `certificate_lifetime`; write about a third of it",
    ),
    (
        "[[posture_source]]\nid = \"mdm\"",
        "posture_source[mdm].token_file: is missing; add `token_file = \"secrets/mdm\"`",
    ),
    (
        "[[posture_source]]\nid = \"mdm\"\ntoken_file = \"tls/key.pem\"",
        "posture_source[mdm].token_file: holds no token of at least 32 letters and digits; make one with `openssl rand -hex 32`",
    ),
    (
        "[posture_source]\nid = \"mdm\"",
        "posture_source: holds a table where a list of tables belongs; write `[[posture_source]]` with double brackets",
    ),
    ("[limits]\nheaders_max = 5", "limits.headers_max: `5` is out of bounds; write a number from 16 to 1000"),
    ("[limits]\nheaders_max = -5", "limits.headers_max: `-5` is out of bounds; write a number from 16 to 1000"),
    (
        "[limits]\nhead_bytes_max = \"1B\"",
        "limits.head_bytes_max: `1B` is out of bounds; write a size from 8KiB to 256KiB",
    ),
    (
        "[limits]\nqueue_delay_max = \"1m\"",
        "limits.queue_delay_max: `1m` is out of bounds; write a span from 1ms to 10s",
    ),
    (
        "[limits]\nrequests_open_max_account = 0",
        "limits.requests_open_max_account: `0` is out of bounds; write a number from 1 to 1000000",
    ),
    (
        "[operations]\naddress = \"0.0.0.0:443\"",
        "operations.address: `0.0.0.0:443` is the address of a listener; give it a port of its own",
    ),
    ("[operations]\nlog = \"\"", "operations.log: is empty; write a text, or leave the key out"),
    (
        "[operations]\nlog = \"a\\nb\"",
        "operations.log: holds a line break or control character; write plain text on one line",
    ),
    ("[rules]", "rules: is not a key we know; write `rule`"),
];

#[test]
fn each_mistake_at_the_end_is_told_in_words_one_can_act_on() {
    for (lines, said) in SAID_AT_THE_END {
        assert_eq!(said_about(&short_and(lines)), *said);
    }
}
