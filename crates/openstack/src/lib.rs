//! What speaks OpenStack: the rule language of oslo.policy. Knows no API routes and no storage.
