package sshkey_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"math/big"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/billetcloud/billet/internal/sshkey"
	"golang.org/x/crypto/ssh"
)

// wire encodes the parts of a key as SSH does, each behind its length.
func wire(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func line(kind string, parts ...[]byte) string {
	return kind + " " + b64(wire(append([][]byte{[]byte(kind)}, parts...)...))
}

// number encodes n as SSH does: big-endian, with a zero before a high bit.
func number(n *big.Int) []byte {
	b := n.Bytes()
	if len(b) > 0 && b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return b
}

// odd returns an odd number of that many bits.
func odd(bits int) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return n.Add(n, big.NewInt(12345))
}

func rsaLine(bits int, e int64) string {
	return line("ssh-rsa", number(big.NewInt(e)), number(odd(bits)))
}

func publicLine(key any) string {
	k, err := ssh.NewPublicKey(key)
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
}

type pairs struct {
	ed, ed2, rsa, p256, p384, p521 string
	edRaw                          ed25519.PublicKey
	p256Point                      []byte
}

var keys = sync.OnceValue(func() pairs {
	var p pairs
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	// A key whose base64 holds both characters that get lost on the way.
	for !strings.Contains(p.ed, "+") || !strings.Contains(p.ed, "/") {
		var err error
		p.edRaw, _, err = ed25519.GenerateKey(rand.Reader)
		must(err)
		p.ed = publicLine(p.edRaw)
	}
	other, _, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	p.ed2 = publicLine(other)
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	p.rsa = publicLine(r.Public())
	for curve, to := range map[elliptic.Curve]*string{elliptic.P256(): &p.p256, elliptic.P384(): &p.p384,
		elliptic.P521(): &p.p521} {
		k, err := ecdsa.GenerateKey(curve, rand.Reader)
		must(err)
		*to = publicLine(k.Public())
		if curve == elliptic.P256() {
			p.p256Point, err = k.PublicKey.Bytes()
			must(err)
		}
	}
	return p
})

func TestParse_CanonicalLine(t *testing.T) {
	p := keys()
	sk := line("sk-ssh-ed25519@openssh.com", p.edRaw, []byte("ssh:"))
	skEC := line("sk-ecdsa-sha2-nistp256@openssh.com", []byte("nistp256"), p.p256Point, []byte("ssh:"))
	for name, c := range map[string]struct{ in, line, comment string }{
		"ed25519":                  {p.ed, p.ed, ""},
		"with a comment":           {p.ed + " me@laptop", p.ed + " me@laptop", "me@laptop"},
		"comment of several words": {p.ed + "  my  old laptop \n", p.ed + " my  old laptop", "my  old laptop"},
		"comment of Windows":       {p.ed + ` CORP\nick@pc`, p.ed + ` CORP\nick@pc`, `CORP\nick@pc`},
		"comment in Chinese":       {p.ed + " 训练 🤖", p.ed + " 训练 🤖", "训练 🤖"},
		"comment as long as may": {p.ed + " " + strings.Repeat("é", 256), p.ed + " " + strings.Repeat("é", 256),
			strings.Repeat("é", 256)},
		"space around":          {"\r\n  " + p.ed + "\t\r\n", p.ed, ""},
		"several spaces within": {strings.Replace(p.ed, " ", " \t ", 1), p.ed, ""},
		"rsa":                   {p.rsa, p.rsa, ""},
		"rsa 16384":             {rsaLine(16384, 65537), rsaLine(16384, 65537), ""},
		"rsa of old PuTTYgen":   {rsaLine(2048, 37), rsaLine(2048, 37), ""},
		"p256":                  {p.p256, p.p256, ""},
		"p384":                  {p.p384, p.p384, ""},
		"p521":                  {p.p521, p.p521, ""},
		"sk ed25519":            {sk + " yubikey", sk + " yubikey", "yubikey"},
		"sk ecdsa":              {skEC, skEC, ""},
	} {
		got, err := sshkey.Parse(c.in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		parsed, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(got.Line))
		if err != nil || len(options)+len(rest) > 0 {
			t.Errorf("%s: the line cannot be parsed again: %v", name, err)
			continue
		}
		if got.Line != c.line || got.Comment != c.comment || got.Type != parsed.Type() ||
			got.Fingerprint != ssh.FingerprintSHA256(parsed) {
			t.Errorf("%s: got %+v", name, got)
		}
		if again, err := sshkey.Parse(got.Line); err != nil || again != got {
			t.Errorf("%s: parsing the line again: got %+v, %v", name, again, err)
		}
	}
}

func pem(label string) string {
	return "-----BEGIN " + label + "-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END " + label + "-----\n"
}

func utf16(s string) string {
	b := []byte{0xff, 0xfe}
	for _, c := range []byte(s) {
		b = append(b, c, 0)
	}
	return string(b)
}

// reverse turns a number into the little-endian 32 bytes of Ed25519.
func reverse(n *big.Int) []byte {
	b := n.FillBytes(make([]byte, 32))
	for i := range 16 {
		b[i], b[31-i] = b[31-i], b[i]
	}
	return b
}

// offCurve returns 32 bytes that are no point: about every second y is none.
func offCurve() []byte {
	b := make([]byte, 32)
	b[0] = 2 // y = 2 is not on the curve
	return b
}

type badInput struct{ name, text, reason string }

func badInputs() []badInput {
	p := keys()
	body := strings.Fields(p.ed)[1]
	blob, _ := base64.StdEncoding.DecodeString(body)
	prime := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	plus := func(n int64) []byte { return reverse(new(big.Int).Add(prime, big.NewInt(n))) }
	// Of order 8, in little-endian hex: a published constant of the curve.
	eight, _ := new(big.Int).SetString("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826", 16)
	ed := func(key []byte) string { return line("ssh-ed25519", key) }
	even := odd(2048)
	even.Sub(even, big.NewInt(1))
	paddedRSA := line("ssh-rsa", number(big.NewInt(65537)), append([]byte{0, 0}, number(odd(2048))...))
	p256Padded := strings.TrimRight(p.p256, "=")
	return []badInput{
		{"empty", "", "is empty"},
		{"white space", " \n\t ", "only spaces"},
		{"too long", p.ed + strings.Repeat(" x", 9000), "longer than any"},
		{"not UTF-8", p.ed + " caf\xe9", "a binary file"},
		{"UTF-16", utf16(p.ed), "UTF-16"},
		{"UTF-16 without its mark", utf16(p.ed)[2:], "UTF-16"},
		{"NUL", p.ed + " me\x00", "NUL"},
		{"byte-order mark", "\ufeff" + p.ed, "byte-order mark"},
		{"control character", p.ed + " me\x07", "control character"},
		{"terminal colors", "\x1b[32m" + p.ed + "\x1b[0m", "color codes"},
		{"zero-width space", strings.Replace(p.ed, " ", " \u200b", 1), "invisible"},
		{"text direction", p.ed + " \u202egpj", "invisible"},
		{"no-break space", strings.Replace(p.ed, " ", "\u00a0", 1), "no-break"},

		{"private OpenSSH",
			"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----",
			"private key (OpenSSH format)"},
		{"private without its first line", "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW",
			"without its first line"},
		{"private RSA", pem("RSA PRIVATE KEY"), "private key (RSA"},
		{"private EC", pem("EC PRIVATE KEY"), "private key (ECDSA"},
		{"private DSA", pem("DSA PRIVATE KEY"), "private key (DSA"},
		{"private PKCS 8", pem("PRIVATE KEY"), "private key (PKCS #8)"},
		{"private encrypted", pem("ENCRYPTED PRIVATE KEY"), "does not make it safe"},
		{"private of another kind", pem("ANY PRIVATE KEY"), "private key (PEM"},
		{"private SSH2",
			"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nP2/56wAAAi4AAAA3\n---- END SSH2 ENCRYPTED PRIVATE KEY ----",
			"private key (SSH2"},
		{"private PuTTY", "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: me\nPublic-Lines: 2",
			"PuTTY"},
		{"private PGP", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQVYBF\n-----END PGP PRIVATE KEY BLOCK-----",
			"private key (PGP)"},
		{"private age", "AGE-SECRET-KEY-1QQQQQQQQQQQQ", "private key (age)"},
		{"private JWK", `{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`,
			"private key (XML or JWK"},
		{"private after a public", p.ed + "\n" + pem("RSA PRIVATE KEY"), "private key (RSA"},
		{"API key", "pk_live_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHI", "This is an API key"},

		{"SSH2 public", "---- BEGIN SSH2 PUBLIC KEY ----\nComment: \"me\"\n" + body +
			"\n---- END SSH2 PUBLIC KEY ----", "SSH2 form"},
		{"PEM RSA public", pem("RSA PUBLIC KEY"), "-m PEM"},
		{"PKCS 8 public", pem("PUBLIC KEY"), "-m PKCS8"},
		{"X.509", pem("CERTIFICATE"), "X.509 certificate, as of"},
		{"X.509 request", pem("CERTIFICATE REQUEST"), "request for an X.509"},
		{"PGP public", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQINBF\n-----END PGP PUBLIC KEY BLOCK-----", "PGP key"},
		{"SSH signature", pem("SSH SIGNATURE"), "a signature"},
		{"other PEM", pem("DH PARAMETERS"), "PEM block"},
		{"age public", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", "age public key"},
		{"minisign",
			"untrusted comment: minisign public key\nRWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
			"minisign"},
		{"randomart", "+--[ED25519 256]--+\n|   o+*B=.        |\n+----[SHA256]-----+", "randomart"},
		{"ssh-keygen's output", "Generating public/private ed25519 key pair.\nYour public key has been saved",
			"while it creates a key"},
		{"Markdown", "```\n" + p.ed + "\n```", "Markdown"},
		{"JWK", `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS"}`, "JWK"},
		{"JSON", `{"publicKey": "` + p.ed + `"}`, "JSON around"},
		{"JSON list", `["` + p.ed + `"]`, "JSON around"},
		{"HTML-escaped", strings.Replace(p.ed, "+", "&#43;", 1), "HTML-escaped"},
		{"HTML", "<pre>" + p.ed + "</pre>", "HTML around"},
		{"XML", "<RSAKeyValue><Modulus>xA7SEU</Modulus></RSAKeyValue>", "key in XML"},

		{"two keys", p.ed + "\n" + p.ed2, "several keys"},
		{"two keys on a line", p.ed + " " + p.ed2, "two keys in this line"},
		{"the same key twice", p.ed + " a\n" + p.ed + " b\n", "The same key is there twice"},
		{"comment lines above", "# my laptop\n" + p.ed, "lines of comment"},
		{"lines above", "Here it is:\n" + p.ed, "other lines above"},
		{"lines below", p.ed + " me\nThank you!", "other lines below"},
		{"wrapped", p.rsa[:76] + "\n" + p.rsa[76:152] + "\n" + p.rsa[152:] + " me", "broken over several lines, as"},
		{"wrapped without type", p.rsa[8:84] + "\n" + p.rsa[84:], "broken over several lines and its type"},
		{"break after the type", strings.Replace(p.ed, " ", "\n", 1), "line break between"},
		{"prose", "Hello\nplease add my key", "None of these lines"},

		{"double quotes", `"` + p.ed + `"`, "quotation marks around"},
		{"curly quotes", "“" + p.ed + "”", "quotation marks around"},
		{"single quotes", "'" + p.ed + "'", "single quotation marks"},
		{"backticks", "`" + p.ed + "`", "backticks"},
		{"escaped quotes", `\"` + p.ed + `\"`, "backslash before a quotation mark"},
		{"list", "- " + p.ed, "list marker"},
		{"quoted mail", "> " + p.ed, "quotation mark (>)"},
		{"commented out", "#" + p.ed, "commented out"},
		{"escaped newline", p.ed + `\n`, "escaped twice. Remove the"},
		{"semicolon", p.ed + ";", "semicolon"},

		{"options", `command="/bin/date",no-pty ` + p.ed, "options before"},
		{"one option", "restrict " + p.ed, "options before"},
		{"known_hosts", "gpu1.example.com,203.0.113.9 " + p.ed, "host name is in front"},
		{"known_hosts with port", "[gpu1.example.com]:2222 " + p.ed, "host name is in front"},
		{"known_hosts hashed", "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= " + p.ed,
			"hashed host name"},
		{"known_hosts authority", "@cert-authority *.example.com " + p.ed, "marked line of a known_hosts"},
		{"allowed_signers", `me@example.com namespaces="git" ` + p.ed, "allowed_signers"},
		{"variable", "SSH_KEY=" + p.ed, "name of a variable or field"},
		{"words before", "my key is " + p.ed, "text before the key"},

		{"certificate", "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29t me",
			"SSH certificate"},
		{"DSA", "ssh-dss AAAAB3NzaC1kc3MAAACBAP me", "DSA key"},
		{"signature's name", "rsa-sha2-512 " + strings.Fields(p.rsa)[1], "name of a signature"},
		{"Ed448", "ssh-ed448 AAAAC3", "Ed448"},
		{"capitals", strings.Replace(p.ed, "ssh-ed25519", "SSH-ED25519", 1), "lower case"},
		{"no space", strings.Replace(p.ed, " ", "", 1), "The space between"},
		{"short type", strings.Replace(p.ed, "ssh-", "", 1), "not written out"},
		{"unknown type", "ssh-mldsa65 AAAAC3NzaC1tbGRzYTY1", "not supported"},
		{"unknown curve", "ecdsa-sha2-nistp224 AAAAE2VjZHNh", "not supported"},

		{"the example of the documentation", "ssh-ed25519 AAAA... user@machine", "placeholder of the example"},
		{"the example with an ellipsis", "ssh-ed25519 AAAA… user@machine", "placeholder of the example"},
		{"shortened", "ssh-ed25519 " + body[:20] + "... me", "shortened with dots"},
		{"placeholder for the body", "ssh-ed25519 <base64> me", "placeholder is in place"},
		{"URL-encoded", strings.ReplaceAll(p.ed, "+", "%2B"), "URL-encoded"},
		{"plus became space", strings.ReplaceAll(p.ed, "+", " ") + " me", "+ signs"},
		{"pluses in a row became spaces", strings.ReplaceAll(keyWith(`\+\+.*[^+]$`), "+", " ") + " me", "+ signs"},
		{"last plus became a space", strings.ReplaceAll(keyWith(`\+$`), "+", " ") + " me", "+ signs"},
		{"pluses became spaces, no comment", strings.ReplaceAll(keyWith(`\+.*[^+]$`), "+", " "), "+ signs"},
		{"wrapped by spaces", p.ed[:40] + " " + p.ed[40:] + " me", "spaces within"},
		{"fingerprint after the type", "ssh-ed25519 SHA256:uNiVztksCsDhcc0u9e8BrrQXVUpKZIDTMczCvj3tD2s",
			"fingerprint is in place"},
		{"type twice", "ssh-ed25519 " + p.ed, "twice. Remove one"},
		{"comment only", "ssh-ed25519 me@laptop", "between its type and its comment"},
		{"type only", "ssh-ed25519", "only the type"},
		{"something else after the type", "ssh-ed25519 laptop", "begins with AAAA"},
		{"URL's base64", strings.NewReplacer("+", "-", "/", "_").Replace(p.ed), "base64 variant for URLs"},
		{"padding lost", p256Padded, "signs that end this key"},
		{"bad base64", strings.Replace(p.ed, "+", "*", 1), "base64 does not have"},
		{"cut within a group", p.ed[:len(p.ed)-1], "cut short or has been changed"},
		{"cut between groups", p.ed[:len(p.ed)-4], "ends too early"},
		{"cut after its type", "ssh-ed25519 " + b64(wire([]byte("ssh-ed25519"))), "ends too early"},
		{"more data", "ssh-ed25519 " + b64(append(blob, wire([]byte("x"))...)), "more data"},
		{"other inner type", "ssh-rsa " + body, "differ: two keys"},

		{"RSA 512", rsaLine(512, 65537), "1024 bits or fewer"},
		{"RSA 1024", rsaLine(1024, 65537), "1024 bits or fewer"},
		{"RSA 2047", rsaLine(2047, 65537), "fewer than the required 2048"},
		{"RSA too big", rsaLine(16385, 65537), "more than 16384"},
		{"RSA even modulus", line("ssh-rsa", number(big.NewInt(65537)), number(even)),
			"modulus of this RSA key is even"},
		{"RSA negative modulus", line("ssh-rsa", number(big.NewInt(65537)), odd(2048).Bytes()), "negative"},
		{"RSA exponent 1", rsaLine(2048, 1), "exponent of this RSA key is weak"},
		{"RSA exponent 3", rsaLine(2048, 3), "exponent of this RSA key is weak"},
		{"RSA even exponent", rsaLine(2048, 65536), "exponent of this RSA key is weak"},
		{"RSA huge exponent", rsaLine(2048, 1<<40+1), "too large"},
		{"RSA padded number", paddedRSA, "not encoded as SSH requires"},
		{"Ed25519 short", ed(p.edRaw[:31]), "not have 32 bytes"},
		{"Ed25519 zero", ed(make([]byte, 32)), "small order"},
		{"Ed25519 one", ed(reverse(big.NewInt(1))), "small order"},
		{"Ed25519 minus one", ed(plus(-1)), "small order"},
		{"Ed25519 order eight", ed(reverse(eight)), "small order"},
		{"Ed25519 minus order eight", ed(reverse(new(big.Int).Sub(prime, eight))), "small order"},
		{"Ed25519 not reduced", ed(plus(3)), "not encoded as it must be"},
		{"Ed25519 off the curve", ed(offCurve()), "not a point of the Ed25519"},
		{"security key without application", line("sk-ssh-ed25519@openssh.com", p.edRaw, nil), "application is empty"},
		{"curve mismatch", line("ecdsa-sha2-nistp384", []byte("nistp256"), p.p256Point), "The curve of the line"},
		{"no curve", line("ecdsa-sha2-nistp256", nil, p.p256Point), "The curve of the line"},
		{"off the curve", line("ecdsa-sha2-nistp256", []byte("nistp256"),
			append(p.p256Point[:64:64], p.p256Point[64]^1)), "not on its curve"},
		{"long comment", p.ed + " " + strings.Repeat("x", 257), "more than 256 characters"},
		{"tab in the comment", p.ed + " a b\u00ad", "invisible"},
		{"private-use character in the comment", p.ed + " \ue000", "unprintable character"},

		{"fingerprint", "SHA256:uNiVztksCsDhcc0u9e8BrrQXVUpKZIDTMczCvj3tD2s", "key's fingerprint, which"},
		{"MD5 fingerprint", "16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48", "old MD5"},
		{"ssh-keygen -l", "256 SHA256:uNiVztksCsDhcc0u9e8BrrQXVUpKZIDTMczCvj3tD2s me (ED25519)",
			"ssh-keygen -l` prints"},
		{"version 1", "1024 35 15670988123456789012345678901234567890 me", "version 1"},
		{"URL", "https://github.com/octocat.keys", "This is a URL"},
		{"import id", "gh:octocat", "names an account"},
		{"curl's file", "@key.pub", "options of curl"},
		{"shell not run", "$(cat ~/.ssh/id_ed25519.pub)", "command that was not run"},
		{"variable not replaced", "${SSH_KEY}", "variable that was not replaced"},
		{"template", "{{ ssh_public_key }}", "template"},
		{"template within", "key-{{ user }}", "template"},
		{"command", "ssh-keygen -t ed25519", "This is a command. Run it"},
		{"login", "ssh root@203.0.113.42", "command that logs in"},
		{"error message", "cat-error: /root/.ssh/id_ed25519.pub: No such file or directory", "error message"},
		{"agent's message", "The agent has no identities.", "its agent has no key"},
		{"undefined", "undefined", "has no key in its variable"},
		{"our id", "ssh_01jd3v6r0a5m8x2k9qwertyuio", "id of a saved SSH key"},
		{"file path", "~/.ssh/id_ed25519.pub", "name of a file"},
		{"Windows path", `C:\Users\me\.ssh\id_rsa.pub`, "name of a file"},
		{"file name", "id_ed25519.pub", "name of a key file"},
		{"placeholder", "<your public key>", "This is a placeholder"},
		{"placeholder in words", "YOUR_PUBLIC_KEY", "This is a placeholder"},
		{"encoded twice", b64([]byte(p.ed)), "base64 of a key's whole line"},
		{"type missing", body + " me", "type is missing before"},
		{"inside of PEM", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "inside of a PEM"},
		{"WireGuard", "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", "WireGuard"},
		{"address", "me@laptop", "address or the comment"},
		{"one word", "hello", "does not look like"},
	}
}

// keyWith returns the line of a key of which a part is written as that pattern says.
func keyWith(pattern string) string {
	for re := regexp.MustCompile(pattern); ; {
		raw, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		if line := publicLine(raw); re.MatchString(line) {
			return line
		}
	}
}

func TestParse_Messages(t *testing.T) {
	messages := map[string]bool{}
	for _, c := range badInputs() {
		got, err := sshkey.Parse(c.text)
		if err == nil {
			t.Errorf("%s: got %+v, want an error", c.name, got)
			continue
		}
		m := err.Error()
		messages[m] = true
		if !strings.Contains(m, c.reason) {
			t.Errorf("%s: got %q, want %q in it", c.name, m, c.reason)
		}
		if strings.HasPrefix(c.name, "private ") != strings.HasPrefix(m, "This is a private key") &&
			!strings.Contains(c.name, "private-use") {
			t.Errorf("%s: got %q; only private keys are called so", c.name, m)
		}
		if strings.HasPrefix(m, "This is a private key") && (!strings.Contains(m, "never share") ||
			!strings.Contains(m, "compromised") || !strings.Contains(m, ".pub") && !strings.Contains(m, "public")) {
			t.Errorf("%s does not say what to do: %q", c.name, m)
		}
		if !strings.HasSuffix(m, ".") && !strings.Contains(m, "ssh-keygen") ||
			strings.ContainsFunc(m, unicode.IsControl) {
			t.Errorf("%s is not a sentence: %q", c.name, m)
		}
	}
	if len(messages) < 100 {
		t.Errorf("got %d different messages, want 100 or more", len(messages))
	}
}

// A part of the input in a message could be a part of a private key in a log.
func TestParse_MessagesDoNotRepeatInput(t *testing.T) {
	const canary = "Q9zX7vCanary"
	for _, c := range badInputs() {
		for _, text := range []string{c.text + canary, canary + c.text, c.text + " " + canary, canary + " " + c.text,
			c.text + "\n" + canary} {
			if _, err := sshkey.Parse(text); err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("%s: the message repeats the input: %v", c.name, err)
			}
		}
	}
}

// Parse accepts one valid key, the same one that every other reader of such lines finds. It refuses
// everything else in one sentence that repeats nothing of the input, which may be part of a private
// key.
func FuzzParse(f *testing.F) {
	for _, c := range badInputs() {
		f.Add(c.text)
	}
	f.Add(keys().ed + " me@laptop")
	f.Add(keys().rsa)
	f.Add("\r\n " + keys().ed + "\t me@laptop \n")
	const canary = "Q9zX7vCanary"
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range []string{text, text + canary, canary + " " + text} {
			if _, err := sshkey.Parse(s); err != nil {
				checkMessage(t, s, err.Error(), canary)
			}
		}
		k, err := sshkey.Parse(text)
		if strings.Contains(text, "PRIVATE KEY-----") {
			if err == nil || !strings.Contains(err.Error(), "never share it") &&
				!strings.Contains(err.Error(), "API key") {
				t.Fatalf("Parse of a private key: got %v, want a warning", err)
			}
		}
		if err == nil {
			checkParsed(t, text, k)
		}
	})
}

func checkMessage(t *testing.T, text, message, canary string) {
	t.Helper()
	sentence := strings.HasSuffix(message, ".") || strings.Contains(message, "ssh-keygen")
	if !sentence || strings.Contains(message, canary) || strings.ContainsFunc(message, unicode.IsControl) {
		t.Fatalf("Parse(%q): got %q, want a sentence without the input", text, message)
	}
}

// checkParsed compares a parsed key with what golang.org/x/crypto/ssh finds in its text.
func checkParsed(t *testing.T, text string, k sshkey.PublicKey) {
	t.Helper()
	if strings.ContainsFunc(k.Line, unicode.IsControl) || !strings.HasPrefix(k.Line, k.Type+" AAAA") {
		t.Fatalf("got line %q", k.Line)
	}
	for _, line := range []string{k.Line, text} {
		parsed, comment, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil || len(options)+len(bytes.TrimSpace(rest)) > 0 ||
			strings.TrimFunc(comment, unicode.IsSpace) != k.Comment {
			t.Fatalf("ParseAuthorizedKey(%q): got comment %q, options %q, rest %q, %v", line, comment, options, rest,
				err)
		}
		if ssh.FingerprintSHA256(parsed) != k.Fingerprint || parsed.Type() != k.Type {
			t.Fatalf("ParseAuthorizedKey(%q): got another key", line)
		}
		c, is := parsed.(ssh.CryptoPublicKey)
		if !is {
			continue
		}
		if r, is := c.CryptoPublicKey().(*rsa.PublicKey); is &&
			(r.N.BitLen() < sshkey.MinRSABits || r.N.BitLen() > sshkey.MaxRSABits) {
			t.Fatalf("got an RSA key of %d bits", r.N.BitLen())
		}
	}
	if again, err := sshkey.Parse(k.Line); err != nil || again != k {
		t.Fatalf("parsing the line again: got %+v, %v, want %+v", again, err, k)
	}
}
