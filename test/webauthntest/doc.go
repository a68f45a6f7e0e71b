// Package webauthntest is a passkey device in software, for tests: it answers the options that a browser is given, with
// one ECDSA P-256 key and without attestation, and can be told to answer wrongly. It owns no rule of Billet and imports
// nothing of it.
package webauthntest
