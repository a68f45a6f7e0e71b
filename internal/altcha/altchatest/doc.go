// Package altchatest solves challenges for tests, as the widget does in a browser. It owns nothing
// that a server uses.
package altchatest
