// Package mailtest starts mailpit, a mail server that keeps what it takes and lets a test choose
// what it refuses. It is built from the module in the directory mailpit, which pins it.
package mailtest
