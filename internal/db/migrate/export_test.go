package migrate

// Files, UpTo, CheckIn and StatusIn let a test add a migration.
var (
	Files    = files
	UpTo     = upTo
	CheckIn  = checkIn
	StatusIn = statusIn
)
