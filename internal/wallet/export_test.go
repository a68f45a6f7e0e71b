package wallet

// AuditIn is Audit within a transaction, so that a test may undo the damage that it did.
var AuditIn = auditIn
