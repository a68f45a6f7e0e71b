package sshkey

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/big"
	"strings"
	"unicode"

	"github.com/billetcloud/billet/internal/apierr"
	"golang.org/x/crypto/ssh"
)

// Bounds of what Parse accepts.
const (
	// MaxText is the most bytes of text that Parse reads: an RSA key of 16384 bits has 2,800.
	MaxText = 16 << 10
	// MaxComment is the most characters of a key's comment.
	MaxComment = 256
	// MinRSABits and MaxRSABits bound the modulus of an RSA key; OpenSSH creates no larger one.
	MinRSABits, MaxRSABits = 2048, 16384
)

// PublicKey is a valid public key.
type PublicKey struct {
	// Line is the canonical line for an authorized_keys file: "type base64 comment", without a line
	// break.
	Line string
	// Type is the first word of Line, such as "ssh-ed25519".
	Type string
	// Fingerprint is that of `ssh-keygen -l`: "SHA256:" and 43 characters of base64.
	Fingerprint string
	// Comment is the text after the key, at most 256 printable characters; often empty.
	Comment string
}

// kinds are the supported types, and the number of length-prefixed parts of their keys.
var kinds = map[string]int{
	ssh.KeyAlgoED25519:    2,
	ssh.KeyAlgoRSA:        3,
	ssh.KeyAlgoECDSA256:   3,
	ssh.KeyAlgoECDSA384:   3,
	ssh.KeyAlgoECDSA521:   3,
	ssh.KeyAlgoSKED25519:  3,
	ssh.KeyAlgoSKECDSA256: 4,
}

// Parse parses a public key as ssh-keygen writes it into a .pub file. It ignores spaces and line
// breaks around it. Its error tells the user what the text seems to be, and what to do. It never
// repeats the text.
func Parse(text string) (PublicKey, error) {
	if m := unlikeText(text); m != "" {
		return PublicKey{}, errors.New(m)
	}
	text = strings.TrimFunc(text, isSpace)
	if m := unlikeKey(text); m != "" {
		return PublicKey{}, errors.New(m)
	}
	kind, rest, _ := strings.Cut(strings.ReplaceAll(text, "\t", " "), " ")
	body, comment, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	comment = strings.TrimFunc(comment, unicode.IsSpace)
	blob, m := decode(kind, body)
	var key ssh.PublicKey
	if m == "" {
		key, m = check(kind, blob)
	}
	if m != "" {
		if spaced := brokenBySpaces(kind, rest); spaced != "" {
			m = spaced
		}
		return PublicKey{}, errors.New(m)
	}
	if m := checkComment(comment); m != "" {
		return PublicKey{}, errors.New(m)
	}
	line := strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(key)), "\n")
	if comment != "" {
		line += " " + comment
	}
	return PublicKey{Line: line, Type: key.Type(), Fingerprint: ssh.FingerprintSHA256(key), Comment: comment}, nil
}

func isSpace(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' }

// decode decodes the key's base64 part, or returns what is wrong with it.
func decode(kind, body string) (blob []byte, message string) {
	switch {
	case body == "":
		return nil, "This is only the type of a key; the long base64 part that follows it is missing. " + pasteLine
	case !strings.HasPrefix(body, "AAAA"):
		return nil, "The text after the type is not a key: the base64 part of every SSH key begins with AAAA. " +
			pasteLine
	}
	if blob, err := base64.StdEncoding.Strict().DecodeString(body); err == nil {
		return blob, ""
	}
	if blob, err := base64.RawStdEncoding.Strict().DecodeString(body); err == nil && whole(kind, blob) {
		return nil, "The = signs that end this key's base64 part are missing. " + pasteLine
	}
	if strings.ContainsAny(body, "-_") {
		if _, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(body, "=")); err == nil {
			return nil, "The key is in the base64 variant for URLs, with - and _ in place of + and /. " + pasteLine
		}
	}
	if strings.ContainsFunc(body, func(r rune) bool { return !isBase64(r) }) {
		return nil, "There is a character in this key that base64 does not have; the key was changed on its way. " +
			pasteLine
	}
	return nil, "This key's base64 part is cut short or has been changed. " + pasteLine
}

func isBase64(r rune) bool {
	return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '+' || r == '/' || r == '='
}

// brokenBySpaces recognizes a key whose + signs became spaces, as in a form that was decoded twice,
// or whose line was wrapped. It returns "" for other faults.
func brokenBySpaces(kind, rest string) string {
	// Two + signs in a row leave two spaces, and one at the end leaves one in front of the
	// comment's. A wrapped line leaves any number of spaces.
	for _, c := range []struct {
		words         []string
		join, message string
	}{
		{strings.Split(strings.TrimLeft(rest, " "), " "), "+",
			"The + signs of this key have become spaces on their way (URL decoding does that). Send it as JSON, or " +
				"write each + as %2B."},
		{strings.Fields(rest), "",
			"There are spaces within the key's base64 part, as a wrapped line leaves them. Remove them, or paste the " +
				"line of the .pub file again."},
	} {
		// The comment may follow, so any number of words may belong to the key; a key has few.
		for n := 2; n <= min(len(c.words), 64); n++ {
			if blob, m := decode(kind, strings.Join(c.words[:n], c.join)); m == "" && whole(kind, blob) {
				return c.message
			}
		}
	}
	return ""
}

// whole reports whether these bytes are a valid key of that type.
func whole(kind string, blob []byte) bool {
	_, m := check(kind, blob)
	return m == ""
}

// check checks the key itself. kind is the type at the beginning of the line.
func check(kind string, blob []byte) (key ssh.PublicKey, message string) {
	parts, complete := split(blob)
	if len(parts) > 0 && string(parts[0]) != kind {
		return nil, "The type of the line and the type of the key differ: two keys were mixed. " + pasteLine
	}
	switch want := kinds[kind]; {
	case !complete || len(parts) < want:
		return nil, "This key ends too early: part of it was cut off. " + pasteLine
	case len(parts) > want:
		return nil, "This key has more data than keys of its type. " + pasteLine
	}
	var m string
	switch kind {
	case ssh.KeyAlgoRSA:
		m = checkRSA(parts[1], parts[2])
	case ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519:
		m = checkEd25519(parts[1])
	default:
		m = checkCurve(kind, string(parts[1]))
	}
	if m == "" && strings.HasPrefix(kind, "sk-") && len(parts[len(parts)-1]) == 0 {
		m = "This security key's application is empty, so it could not log in anywhere. Create it again with: " +
			"ssh-keygen -t ed25519-sk"
	}
	if m != "" {
		return nil, m
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		if strings.Contains(kind, "ecdsa") {
			return nil, "The point of this ECDSA key is not on its curve: the key is damaged. " + pasteLine
		}
		return nil, "This key is damaged. " + pasteLine
	}
	if !bytes.Equal(key.Marshal(), blob) {
		return nil, "This key is not encoded as SSH requires, so tools would show different fingerprints. Write it " +
			"again with: ssh-keygen -y -f <your private key file>"
	}
	return key, ""
}

// split splits the key into its length-prefixed parts; complete is false if it ends within one.
func split(blob []byte) (parts [][]byte, complete bool) {
	for len(blob) > 0 {
		if len(blob) < 4 {
			return parts, false
		}
		n := uint64(binary.BigEndian.Uint32(blob))
		if blob = blob[4:]; n > uint64(len(blob)) {
			return parts, false
		}
		parts, blob = append(parts, blob[:n]), blob[n:]
	}
	return parts, true
}

const makeNew = "Create a new key with: ssh-keygen -t ed25519"

func checkRSA(exponent, modulus []byte) string {
	e, n := new(big.Int).SetBytes(exponent), new(big.Int).SetBytes(modulus)
	negative := func(mpint []byte) bool { return len(mpint) > 0 && mpint[0]&0x80 != 0 }
	switch bits := n.BitLen(); {
	case negative(exponent) || negative(modulus):
		return "A number in this RSA key is negative, so it is not a real key: it is damaged, or a faulty tool " +
			"created it. " + makeNew
	case bits <= 1024:
		return "This RSA key has 1024 bits or fewer, which can be broken; at least 2048 are required. " + makeNew
	case bits < MinRSABits:
		return "This RSA key has fewer than the required 2048 bits. " + makeNew
	case bits > MaxRSABits:
		return "This RSA key has more than 16384 bits; servers refuse such keys. " + makeNew
	case n.Bit(0) == 0:
		return "The modulus of this RSA key is even, so it is not a real key: it is damaged, or a faulty tool " +
			"created " +
			"" +
			"it. " + makeNew
	case e.Bit(0) == 0 || e.Cmp(big.NewInt(3)) <= 0:
		return "The public exponent of this RSA key is weak: it must be odd and more than 3 (65537 is usual). " +
			makeNew
	case e.BitLen() > 24:
		return "The public exponent of this RSA key is too large: 65537 is usual. " + makeNew
	}
	return ""
}

// The curve of Ed25519: −x² + y² = 1 + d·x²·y² modulo p = 2²⁵⁵ − 19, d = −121665/121666.
var (
	one      = big.NewInt(1)
	edPrime  = new(big.Int).Sub(new(big.Int).Lsh(one, 255), big.NewInt(19))
	edFactor = func() *big.Int {
		d := new(big.Int).ModInverse(big.NewInt(121666), edPrime)
		d.Mul(d, big.NewInt(-121665))
		return d.Mod(d, edPrime)
	}()
)

// checkEd25519 refuses everything but a point of the curve's large group. Anyone can sign for a
// point of small order, and the parser of x/crypto accepts it.
func checkEd25519(key []byte) string {
	if len(key) != 32 {
		return "This Ed25519 key does not have 32 bytes: it is damaged. " + pasteLine
	}
	be := bytes.Clone(key)
	for i := range 16 {
		be[i], be[31-i] = be[31-i], be[i]
	}
	be[0] &= 0x7f // the sign of x
	y := new(big.Int).SetBytes(be)
	if y.Cmp(edPrime) >= 0 {
		return "This Ed25519 key is not encoded as it must be: it is damaged. " + pasteLine
	}
	y2 := new(big.Int).Mul(y, y)
	y2.Mod(y2, edPrime)
	u := new(big.Int).Sub(y2, one) // x² = u/v
	v := new(big.Int).Mul(edFactor, y2)
	v.Add(v, one).Mod(v, edPrime)
	// Small order: y = 0 (order 4), x = 0 (order 1 and 2), or a doubling that leads to y = 0, where
	// y² = −x² (order 8).
	eighth := new(big.Int).Mul(y2, v)
	eighth.Add(eighth, u).Mod(eighth, edPrime)
	if y.Sign() == 0 || u.Sign() == 0 || eighth.Sign() == 0 || y.Cmp(new(big.Int).Sub(edPrime, one)) == 0 {
		return "This is one of the few Ed25519 keys with which anyone can log in (a point of small order, such as " +
			"all " +
			"" +
			"zeros). " + makeNew
	}
	if big.Jacobi(u.Mul(u, v).Mod(u, edPrime), edPrime) != 1 {
		return "These 32 bytes are not a point of the Ed25519 curve: the key is damaged. " + pasteLine
	}
	return ""
}

func checkCurve(kind, curve string) string {
	if !strings.HasSuffix(strings.TrimSuffix(kind, "@openssh.com"), "-"+curve) {
		return "The curve of the line and the curve of the key differ: the key is damaged. " + pasteLine
	}
	return ""
}

func checkComment(comment string) string {
	switch n := len([]rune(comment)); {
	case n > MaxComment:
		return "The comment after the key has more than 256 characters; shorten or remove it."
	case !apierr.Printable(comment):
		return "The comment after the key has a tab or another unprintable character; remove it."
	}
	return ""
}
