// Package dashboard uses the dashboard with a real browser, against the real binary with its built
// pages, and runs the unit tests of the dashboard's modules. The steps and their expectations are
// in web/test, beside the pages.
package dashboard
