// Package webauthntest is a passkey device in software, for tests. It answers a browser's WebAuthn
// options with one ECDSA P-256 key and without attestation, and can be made to answer wrongly. It
// knows no rule of Billet and imports nothing of it.
package webauthntest
