// Package dashboard has people's ways through the dashboard walked by a real browser, against the real binary with its
// built pages. It owns when that is done and with what; the steps and what they expect stand in web/test/walk.mjs,
// beside the pages that they are about.
package dashboard
