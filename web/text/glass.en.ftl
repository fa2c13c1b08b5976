# The words of broken glass: refusals, the strip on our pages, the console.
# Key names are shared with glass.ja.ftl; a test compares the two.

# The page of a refusal
glass-offer-title = Break the glass
glass-offer-patient = Opens this patient's records and no others, and pages about no patient.
glass-offer-app = No one patient and no ward is named here: opens what is allowed in an emergency in "{ $app }".
glass-offer-ward = Opens the ward { $ward } and nobody who is not known to be there, and pages about no patient.
glass-offer-reason = Kind of reason
glass-offer-words = What is happening
glass-offer-button = Break the glass and open
glass-offer-span = It ends by itself after { $minutes } minutes. Somebody is told at once, and it is reviewed within { $hours } hours.
glass-offer-seen = All that you see and do is recorded.

# The strip
glass-strip-title = The glass is broken
glass-strip = "{ $app }", { $minutes } minutes left (until { $until })
glass-strip-ward = "{ $app }", ward { $ward }, { $minutes } minutes left (until { $until })
glass-strip-end = End
glass-strip-end-label = End the broken glass in "{ $app }"
glass-ended-title = The glass is whole again
glass-ended = What was open by it has ended, too.
glass-again-title = The glass is broken
glass-again = Go back and do it again. What was refused has not been done.
glass-not-broken-title = The glass was not broken
glass-not-broken-do = Go back and try again, or change to the hospital's own procedure for emergencies.
glass-refused-vendor = Vendors never break the glass.
glass-refused-overdue = The review of your last time is overdue. Until it is done the glass cannot be broken again.
glass-refused-words = Both the kind of reason and what is happening must be given.
glass-refused-too-large = What you wrote is too long.
glass-refused-not-offered = This page does not open by breaking the glass.

# Reviews
glass-verdict-justified = It was needed
glass-verdict-ask = Ask the person
glass-verdict-unjustified = It was not right
console-glass = Broken glass
console-glass-title = Reviews of broken glass
console-glass-lead = Each time somebody broke the glass another person reviews it before it is due.
console-glass-list = Broken glass
console-glass-none = Nobody has broken the glass.
console-glass-show = Show
console-glass-unfinished = Those not reviewed
console-glass-all = All
console-glass-at = When
console-glass-who = Who
console-glass-app = App
console-glass-reason = Kind of reason
console-glass-due = Review due
console-glass-state = State
console-glass-is-in-force = In force
console-glass-is-open = To be reviewed
console-glass-is-late = Overdue
console-glass-is-reviewed = Reviewed
console-glass-page = Broken glass of { $who }
console-glass-facts = What it was
console-glass-id = Number
console-glass-words = What was happening
console-glass-patient = Patient or ward
console-glass-patient-none = None in particular: what is allowed in the app
console-glass-patient-forgotten = Not kept here after the review; where a patient was named, the record of the log has the number
console-glass-ward = Ward { $ward }
console-glass-span = From, to
console-glass-ended-by = Ended by
console-glass-verdict = Review
console-glass-reviewed-by = Reviewed by
console-glass-comment = Comment
console-glass-done-title = What was done by it
console-glass-done-none = There is no record.
console-glass-done-at = At
console-glass-done-act = Did
console-glass-done-path = Where
console-glass-done-patients = Patients
console-glass-done-cut = There are many; these are the first. The search of records has them all.
console-glass-review = Review it
console-glass-review-lead = Was it needed, and does what was done fit the reason? A review is made once and stays.
console-glass-review-button = Keep the review
console-glass-end = End it now
console-glass-end-what = What is open by it ends, too.
console-glass-own = Another person reviews what you did yourself.
console-glass-not-reviewer = Only who has a reviewer's role reviews.
console-glass-problem-verdict = Choose a verdict and write a comment.
console-glass-problem-not-now = Somebody has reviewed it already, or it is over.
console-glass-problem-right = You are no reviewer any more, or it is your own.
console-done-glass-reviewed = The review was kept.
console-done-glass-ended = It was ended.
console-tile-glass = Broken glass to be reviewed
console-tile-glass-note = Red once a review is overdue

# Events of the log
console-event-grant-requested = Maintenance asked for
console-event-grant-overdue = Approval, report or review overdue
console-event-grant-approved = Maintenance approved
console-event-grant-admitted = Maintenance let in before its approval
console-event-grant-refused = Maintenance refused
console-event-grant-withdrawn = Maintenance taken back
console-event-grant-ended = Exception ended before its time
console-event-grant-reported = Maintenance reported
console-event-grant-confirmed = Report of maintenance confirmed
console-event-glass-broken = Glass broken
console-event-glass-reviewed = Broken glass reviewed
console-event-emergency-ended = Broken glass over
console-event-vendor-session-began = Vendor's window began
console-event-vendor-session-ended = Vendor's window over
console-event-inventory-changed = Inventory changed
