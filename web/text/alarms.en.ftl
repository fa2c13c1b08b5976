# What is wrong with the gateway itself, and what to do.

alarm-heading = Something is wrong with the gateway
alarm-store-away = The store does not answer. Whoever is signed in goes on; nobody can sign in, and changes are not in force yet. Look at the disk or the database.
alarm-log-unwritable = The access log cannot be written. What cannot be recorded is refused. Look at the log's disk at once.
alarm-log-nearly-full = The access log or its disk is nearly full. Make room before it is full: then everything is refused.
alarm-clock-unsynchronised = Nothing keeps this machine's clock at true time. Start its time service; records and sign-ins rest on it.
alarm-config-refused = A changed configuration was refused; the one before is in force. `sekimori check` says why.
alarm-last-good-config = The configuration cannot be read, so the gateway began with the last good one. `sekimori check` says why.
alarm-certificate-ends = A server certificate ends within 14 days, or has ended. Put the new one in its place; it is taken without a restart.
alarm-certificate-not-ordered = The CA gave no new server certificate. The one there is is shown on; `sekimori doctor` says why, and when it is tried again.
alarm-certificate-missing = No server certificate serves some of the hosts, so browsers get no answer from them. `sekimori doctor` says which, and why none was ordered.
alarm-upstream-down = A server of an app does not answer. `sekimori doctor` says which.
alarm-descriptors-short = The gateway has hardly any descriptors left, so connections wait. Raise `LimitNOFILE` of the service.
alarm-memory-short = The gateway has hardly any memory left of what it may take. Raise `MemoryMax` of the service, or lower `connections_max`.
alarm-panicked = A part of the gateway failed by our own fault; what it was doing ended. Please send the log of the gateway to its makers.
alarm-handover-failed = Another process was to take over and did not; this one goes on. The log of the gateway says why.
alarm-overloaded = More is asked of the gateway than it can do. Those who are not signed in are told to come again; whoever is signed in goes on. docs/operate/limits.md says what to look at.
alarm-index-behind = The index does not follow the access log, so the newest records cannot be found. They are recorded all the same.
