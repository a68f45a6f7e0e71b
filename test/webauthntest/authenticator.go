package webauthntest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"
)

// Flags of the authenticator data.
const (
	present  = 0x01
	verified = 0x04
	attested = 0x40
)

// Device has one passkey.
type Device struct {
	// Origin is the browser's origin, RPID the relying party of the passkey.
	Origin, RPID string
	// Counter increases with each answer; a test may decrease it.
	Counter uint32
	// Unverified makes the device skip user verification.
	Unverified bool
	// Forge makes the device sign with another key.
	Forge bool
	// Challenge replaces the options' challenge unless it is "".
	Challenge string

	t      testing.TB
	key    *ecdsa.PrivateKey
	id     []byte
	handle string // of the user, in the options' encoding
}

// New returns a device without a passkey.
func New(t testing.TB, origin, rpID string) *Device {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := &Device{Origin: origin, RPID: rpID, t: t, key: key, id: make([]byte, 32)}
	_, _ = rand.Read(d.id)
	return d
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (d *Device) read(options any, into any) {
	d.t.Helper()
	text, err := json.Marshal(options)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *Device) clientData(kind, challenge string) []byte {
	if d.Challenge != "" {
		challenge = d.Challenge
	}
	text, err := json.Marshal(
		map[string]any{"type": kind, "challenge": challenge, "origin": d.Origin, "crossOrigin": false},
	)
	if err != nil {
		d.t.Fatal(err)
	}
	return text
}

// data returns the authenticator data, with the public key if the passkey is new.
func (d *Device) data(isNew bool) []byte {
	d.Counter++
	hash := sha256.Sum256([]byte(d.RPID))
	flags := byte(present)
	if !d.Unverified {
		flags |= verified
	}
	if isNew {
		flags |= attested
	}
	out := binary.BigEndian.AppendUint32(append(hash[:], flags), d.Counter)
	if !isNew {
		return out
	}
	out = append(out, make([]byte, 16)...) // no model
	out = binary.BigEndian.AppendUint16(out, uint16(len(d.id)))
	out = append(out, d.id...)
	point, err := d.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		d.t.Fatal(err)
	}
	// In CBOR: {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}.
	out = append(out, 0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 32)
	out = append(out, point[1:33]...)
	out = append(out, 0x22, 0x58, 32)
	return append(out, point[33:]...)
}

// Register creates a passkey for a registration's options, and returns RegistrationResponseJSON.
func (d *Device) Register(options any) map[string]any {
	d.t.Helper()
	var o struct {
		Challenge string
		User      struct{ ID string }
	}
	d.read(options, &o)
	d.handle = o.User.ID
	data := d.data(true)
	// In CBOR: {"fmt": "none", "attStmt": {}, "authData": data}.
	object := append([]byte{0xa3, 0x63}, "fmt"...)
	object = append(append(object, 0x64), "none"...)
	object = append(append(object, 0x67), "attStmt"...)
	object = append(append(object, 0xa0, 0x68), "authData"...)
	object = append(object, 0x59, byte(len(data)>>8), byte(len(data)))
	object = append(object, data...)
	return map[string]any{
		"id": b64(d.id), "rawId": b64(d.id), "type": "public-key",
		"authenticatorAttachment": "platform", "clientExtensionResults": map[string]any{},
		"response": map[string]any{
			"clientDataJSON":    b64(d.clientData("webauthn.create", o.Challenge)),
			"attestationObject": b64(object),
			"transports":        []string{"internal"},
		},
	}
}

// SignIn answers a sign-in's options, and returns AuthenticationResponseJSON.
func (d *Device) SignIn(options any) map[string]any {
	d.t.Helper()
	var o struct{ Challenge string }
	d.read(options, &o)
	data, client := d.data(false), d.clientData("webauthn.get", o.Challenge)
	hash := sha256.Sum256(client)
	signed := sha256.Sum256(append(append([]byte{}, data...), hash[:]...))
	key := d.key
	if d.Forge {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			d.t.Fatal(err)
		}
	}
	signature, err := ecdsa.SignASN1(rand.Reader, key, signed[:])
	if err != nil {
		d.t.Fatal(err)
	}
	return map[string]any{
		"id": b64(d.id), "rawId": b64(d.id), "type": "public-key",
		"authenticatorAttachment": "platform", "clientExtensionResults": map[string]any{},
		"response": map[string]any{
			"clientDataJSON":    b64(client),
			"authenticatorData": b64(data),
			"signature":         b64(signature),
			"userHandle":        d.handle,
		},
	}
}
