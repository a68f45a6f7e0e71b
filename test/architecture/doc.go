// Package architecture tests the rules that hold for the whole repository: which package may
// import which, where SQL may be, the words and line lengths of code and texts, and that the
// documents name only files, tests and commands that exist. A failure states the rule and what
// to do. A new package is entered here first.
package architecture
