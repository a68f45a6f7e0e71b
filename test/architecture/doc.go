// Package architecture holds the tests that guard the plan of the rooms: which room may import
// which, where SQL may stand, and that every package says what it owns. A failure names
// the reason; a new room is entered here first.
package architecture
