package migrate

// Files and UpTo let a test add a migration.
var (
	Files = files
	UpTo  = upTo
)
