# The words of notices: mail, webhooks, the console.
# Key names are shared with notices.ja.ftl; a test compares the two.

# Mail and webhooks
notice-subject = [Sekimori] { $what } - { $facility }
notice-about = { $what }: { $facts }
notice-line = { $label }: { $value }
notice-label-at = At
notice-label-by = Done by
notice-label-facility = Facility
notice-label-link = Console
notice-label-person = Person
notice-label-app = App
notice-label-device = Device
notice-label-provider = Identity provider
notice-label-version = Version
notice-foot = No patient's number and nothing that anybody wrote stands in this notice. The console has the details.
notice-label-grant = Number
notice-label-begin = From
notice-label-end = To
notice-label-reason = Kind of reason
notice-label-due = Due
notice-label-verdict = Review
notice-event-glass-broken = The glass was broken
notice-event-glass-reviewed = Broken glass was reviewed
notice-event-grant-requested = Maintenance was asked for
notice-event-grant-approved = Maintenance was approved
notice-event-grant-admitted = Urgent maintenance was let in before its approval
notice-event-grant-refused = Maintenance was refused
notice-event-grant-withdrawn = A request for maintenance was taken back
notice-event-grant-ended = An exception was ended before its time
notice-event-grant-reported = Maintenance was reported
notice-event-grant-confirmed = The report of maintenance was confirmed
notice-event-trial = A trial of the notices
notice-event-person-disabled = A person was disabled
notice-event-device-revoked = A device was revoked
notice-event-policy-proposed = A version of the configuration was proposed
notice-event-policy-approved = A version of the configuration was approved
notice-event-outage-began = An identity provider is out
notice-event-outage-ended = An identity provider is back

# The console
console-notices = Notices
console-notices-title = What became of notices
console-notices-lead = Who was told of what. What does not arrive is sent again until it does, for a day at most.
console-notices-none = Nobody is to be told of anything. The configuration says who, in [[notice]].
console-notices-receivers = Receivers
console-notices-name = Name
console-notices-to = To
console-notices-sent = Arrived
console-notices-given-up = Given up
console-notices-last = Last arrived
console-notices-results = Lately
console-notices-results-none = Nobody has been told of anything yet.
console-notices-event = Event
console-notices-happened = Happened
console-notices-result = Result
console-notices-known = Known
console-notices-attempts = Attempts
console-notices-is-well = Arriving
console-notices-is-new = Nothing yet
console-notices-is-waiting = Not arriving
console-notices-is-sent = Arrived
console-notices-is-given-up = Given up
console-notices-is-unreadable = Cannot be read
console-tile-notices = Notices not arriving
console-tile-notices-note = Receivers that cannot be told
