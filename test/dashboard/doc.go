// Package dashboard has the dashboard used as people use it, by a real browser against the real binary with its built
// pages, and runs the unit tests of the pages' modules. It owns when that is done and with what; the steps and what they
// expect stand in web/test, beside the pages that they are about.
package dashboard
