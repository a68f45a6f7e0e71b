package altchatest

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/altcha"
)

// Payload is a solution before it is encoded.
type Payload struct {
	Challenge altcha.Challenge `json:"challenge"`
	Solution  Solution         `json:"solution"`
}

// Solution is the number that was found, and what it derives.
type Solution struct {
	Counter    uint32 `json:"counter"`
	DerivedKey string `json:"derivedKey"`
}

// Text returns the form that a browser sends.
func (p Payload) Text(t testing.TB) string {
	t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// Solve finds the solution of a challenge.
func Solve(t testing.TB, c altcha.Challenge) Payload {
	t.Helper()
	nonce, err := hex.DecodeString(c.Parameters.Nonce)
	if err != nil {
		t.Fatal(err)
	}
	salt, err := hex.DecodeString(c.Parameters.Salt)
	if err != nil {
		t.Fatal(err)
	}
	for n := uint32(0); ; n++ {
		attempt := binary.BigEndian.AppendUint32(nonce[:len(nonce):len(nonce)], n)
		key, err := pbkdf2.Key(sha256.New, string(attempt), salt, c.Parameters.Cost, c.Parameters.KeyLength)
		if err != nil {
			t.Fatal(err)
		}
		if text := hex.EncodeToString(key); strings.HasPrefix(text, c.Parameters.KeyPrefix) {
			return Payload{c, Solution{n, text}}
		}
	}
}
