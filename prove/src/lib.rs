//! What can never happen under a policy.
