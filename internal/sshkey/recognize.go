package sshkey

import (
	"encoding/base64"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const pasteLine = "Paste the one line of your .pub file, as `cat ~/.ssh/id_ed25519.pub` shows it."

// A guess recognizes one thing that users paste instead of a public key.
type guess struct {
	is      func(text string) bool
	message string
}

func first(guesses []guess, text string) string {
	for _, g := range guesses {
		if g.is(text) {
			return g.message
		}
	}
	return ""
}

func begins(prefixes ...string) func(string) bool {
	return func(s string) bool {
		for _, p := range prefixes {
			if len(s) >= len(p) && strings.EqualFold(s[:len(p)], p) {
				return true
			}
		}
		return false
	}
}

func holds(parts ...string) func(string) bool {
	return func(s string) bool {
		for _, p := range parts {
			if strings.Contains(s, p) {
				return true
			}
		}
		return false
	}
}

func matches(expression string) func(string) bool {
	return regexp.MustCompile(expression).MatchString
}

func private(form, publicHalf string) string {
	return "This is a private key (" + form + "): never share it with anyone. " + publicHalf +
		" If you have sent this one anywhere, consider it compromised: create a new pair with ssh-keygen -t ed25519 " +
		"and remove the old one everywhere."
}

const pubBeside = "Paste the .pub file next to it instead; `ssh-keygen -y -f <the private key file>` prints it too."

// secrets are checked first: a user who pastes one must learn it, whatever else is wrong with the
// text.
var secrets = []guess{
	{holds("BEGIN OPENSSH PRIVATE KEY"), private("OpenSSH format", pubBeside)},
	// The same without its first line: "openssh-key-v1" in base64.
	{holds("b3BlbnNzaC1rZXktdjE"), private("OpenSSH format, without its first line", pubBeside)},
	{holds("BEGIN RSA PRIVATE KEY"), private("RSA in PEM format", pubBeside)},
	{holds("BEGIN EC PRIVATE KEY"), private("ECDSA in PEM format", pubBeside)},
	{holds("BEGIN DSA PRIVATE KEY"), private("DSA in PEM format, a type that is no longer secure", pubBeside)},
	{holds("BEGIN ENCRYPTED PRIVATE KEY"), private("PKCS #8 with a passphrase, which does not make it safe to send",
		pubBeside)},
	{holds("SSH2 ENCRYPTED PRIVATE KEY"), private("SSH2 format", pubBeside)},
	{holds("BEGIN PGP PRIVATE KEY"), private("PGP", "Paste the public half of an SSH key.")},
	{holds("BEGIN PRIVATE KEY"), private("PKCS #8", pubBeside)},
	{holds("PRIVATE KEY-----", "PRIVATE KEY ----"), private("PEM format", pubBeside)},
	{holds("PuTTY-User-Key-File-"), private("PuTTY's .ppk file",
		"To get the public half, open it in PuTTYgen and paste the text of the box \"Public key for pasting into "+
			"OpenSSH authorized_keys file\".")},
	{holds("AGE-SECRET-KEY-"), private("age", "Paste the public half of an SSH key.")},
	{matches(`(?s)<RSAKeyValue>.*<D>|"kty".*"d"\s*:`), private("XML or JWK format",
		"Paste the public half of an SSH key.")},
	{holds("pk_live_"),
		"This is an API key, not an SSH key. Revoke it in the dashboard if anyone else may have seen it. " + pasteLine},
}

// unlikeText describes why the bytes are not a line of text; "" if they may be one.
func unlikeText(s string) string {
	if m := first(secrets, s); m != "" {
		return m
	}
	switch {
	case s == "":
		return "The public key is empty. " + pasteLine
	case len(s) > MaxText:
		return "This is longer than any public key (16 KB). " + pasteLine
	case strings.HasPrefix(s, "\xff\xfe"), strings.HasPrefix(s, "\xfe\xff"), len(s) > 3 &&
		(s[1] == 0 && s[3] == 0 || s[0] == 0 && s[2] == 0):
		return "This text is UTF-16, as older PowerShells write files. Save it as UTF-8, or copy the line from an " +
			"editor."
	case strings.ContainsRune(s, 0):
		return "There are NUL characters in this text: a binary file, or a string that ends too late. " + pasteLine
	case !utf8.ValidString(s):
		return "This is a binary file, or text in an old encoding. " + pasteLine
	}
	return unlikeCharacters(s)
}

// unlikeCharacters describes characters that no public key has.
func unlikeCharacters(s string) string {
	switch {
	case strings.HasPrefix(s, "\uFEFF"):
		return "The text begins with a byte-order mark, which editors on Windows add. Save the file as UTF-8 without " +
			"it, or copy the line itself."
	case strings.TrimFunc(s, isSpace) == "":
		return "There are only spaces or line breaks here. " + pasteLine
	case strings.ContainsRune(s, 0x1b):
		return "There are color codes of a terminal in this text. Copy the line from the file itself. " + pasteLine
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && !isSpace(r) }):
		return "There is a control character in this text. " + pasteLine
	case strings.ContainsFunc(s, func(r rune) bool {
		return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)
	}):
		return "There is an invisible character in this text (zero-width or of text direction), as web pages and " +
			"chats add. Copy the line from the .pub file itself."
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Zs, r) && r != ' ' }):
		return "A space in this text is a no-break or other special space, as word processors write. Copy the line " +
			"from the .pub file itself."
	}
	return ""
}

// blocks are formats of several lines.
var blocks = []guess{
	{begins("---- BEGIN SSH2 PUBLIC KEY"),
		"This public key is in SSH2 format (PuTTY's \"Save public key\" writes it). Convert it with: ssh-keygen " +
			"-i -f " +
			"" +
			"<the file> — and paste the line that prints."},
	{begins("-----BEGIN RSA PUBLIC KEY"),
		"This is an RSA public key in PEM format. Convert it with: ssh-keygen -i -m PEM -f <the file> — and paste " +
			"the " +
			"" +
			"line that prints."},
	{begins("-----BEGIN PUBLIC KEY"),
		"This is a public key in PKCS #8 format, as openssl writes it. Convert it with: ssh-keygen -i -m PKCS8 -f " +
			"<the file> — and paste the line that prints."},
	{begins("-----BEGIN CERTIFICATE REQUEST", "-----BEGIN NEW CERTIFICATE REQUEST"),
		"This is a request for an X.509 certificate, as for a web server, not an SSH key. " + pasteLine},
	{begins("-----BEGIN CERTIFICATE", "-----BEGIN TRUSTED CERTIFICATE", "-----BEGIN X509"),
		"This is an X.509 certificate, as of a web server, not an SSH key. " + pasteLine},
	{begins("-----BEGIN PGP"), "This is a PGP key or message, not an SSH key. " + pasteLine},
	{begins("-----BEGIN SSH SIGNATURE"), "This is a signature that was made with an SSH key, not the key. " +
		pasteLine},
	{begins("-----BEGIN AGE"), "This is a file encrypted with age, not an SSH key. " + pasteLine},
	{begins("-----", "---- "), "This is a PEM block, not a line of an SSH public key. " + pasteLine},
	{begins("untrusted comment:"), "This is a key of signify or minisign, not an SSH key. " + pasteLine},
	{begins("<RSAKeyValue", "<?xml"), "This is an RSA key in XML, not in SSH format. " + pasteLine},
	{matches("^\\+-+\\["), "This is the picture (randomart) of a key, not the key. " + pasteLine},
	{begins("Generating public/private", "Your identification has been", "Your public key has been"),
		"This is the output of ssh-keygen while it creates a key, not the key. " + pasteLine},
	{begins("```", "~~~"), "The key is inside a Markdown code block. Paste only the line within it."},
	{matches(`^\{\s*"k(ty|id)"`), "This is a key in JWK (JSON), not in SSH format. " + pasteLine},
	{matches(`^(\{[^{]|\[\s*["{\[])`),
		"This is JSON around a key, or a list of keys. Send the key's line alone as the value, without braces and " +
			"brackets."},
	{matches(`(?i)&(quot|amp|lt|gt|nbsp|#\d+|#x[0-9a-f]+);`),
		"This text is HTML-escaped (it has &…; in it). Send the characters themselves. " + pasteLine},
	{matches(`(?i)^<(!|/?(html|pre|code|body|div|p|span|br)\b)`),
		"There is HTML around this text. Paste only the key's line."},
}

// things are single lines that are no key's line at all.
var things = []guess{
	{begins("SHA256:", "SHA1:"), "This is a key's fingerprint, which does not contain the key. " + pasteLine},
	{matches(`(?i)^(MD5:)?([0-9a-f]{2}:){15}[0-9a-f]{2}$`),
		"This is a key's old MD5 fingerprint, which does not contain the key. " + pasteLine},
	{matches(`^\d+ (SHA256|MD5|SHA1):`),
		"This is what `ssh-keygen -l` prints, the key's fingerprint, which does not contain the key. " + pasteLine},
	{matches(`^\d+ \d+ \d{20,}`), "This is a key of SSH version 1, which is obsolete. " + makeNew},
	{begins("age1"), "This is an age public key, not an SSH key. " + pasteLine},
	{matches(`^(?i)(https?|ssh|git|file|ftp|s3)://`),
		"This is a URL. Keys are not fetched from other sites: open it and paste the key's line."},
	{matches(`^(gh|lp):\S+$`), "This names an account with keys to import. Keys are not fetched from other sites. " +
		pasteLine},
	{matches(`^@\S`),
		"This is a file name after @, which only some options of curl replace with the file's content. Send the " +
			"file's line."},
	{matches(`^\$[({]?\s*(cat|<)`),
		"This is a shell command that was not run: in single quotes the shell replaces nothing. Use double " +
			"quotes, or " +
			"paste what the command prints."},
	{matches(`^(\$\{?\w+\}?|%\w+%)$`),
		"This is the name of a variable that was not replaced by its value. Use double quotes in the shell, and " +
			"check " +
			"that it is set."},
	{holds("{{", "}}"), "This is a template whose placeholder was not filled in. " + pasteLine},
	{holds("No such file or directory", "cannot find the path", "Permission denied"),
		"This is an error message: the file was not found or not readable. If you have no key yet, create one with: " +
			"ssh-keygen -t ed25519"},
	{holds("agent has no identities", "Could not open a connection to your authentication agent"),
		"This is a message of ssh-add: its agent has no key. " + pasteLine},
	{matches(`(?i)^(null|undefined|none|nil|nan|true|false)$`),
		"The program that sent this has no key in its variable. " + pasteLine},
	{matches(`^ssh_[0-9a-z]+$`),
		"This is the id of a saved SSH key, not the key. To deploy with a saved key, give the id as sshKeyId."},
	{matches(`^(~|\.{0,2}[/\\]|[A-Za-z]:[/\\])\S*$`),
		"This is the name of a file. Paste its content: run cat on the .pub file and copy the line."},
	{matches(`(?i)^\S+\.(pub|pem|ppk|key)$|^id_(rsa|ed25519|ecdsa|dsa)(_sk)?$`),
		"This is the name of a key file. Paste its content: run cat on the .pub file and copy the line."},
	{matches(`(?i)^<[^>]*>$|your.{0,8}(public|ssh).{0,5}key`),
		"This is a placeholder. Put your own key in its place. " + pasteLine},
	{begins("c3NoLWVkMjU1MTkg", "c3NoLXJzYSBB", "ZWNkc2Etc2hhMi"),
		"This is the base64 of a key's whole line. Decode it once (base64 -d) and send the line."},
	{begins("AAAA"),
		"The type is missing before the key: the line begins with ssh-ed25519, ssh-rsa or the like, as in the .pub " +
			"file. " + pasteLine},
	{begins("MII"),
		"This is the inside of a PEM file, without its first and last line. If it is a private key, never share " +
			"it. " + pasteLine},
	{func(s string) bool { b, err := base64.StdEncoding.DecodeString(s); return err == nil && len(b) == 32 },
		"This is 32 bytes in base64, as keys of WireGuard are, not an SSH key. " + pasteLine},
	{matches(`^\S+@\S+$`), "This is an address or the comment that follows a key, not the key. " + pasteLine},
}

// frames are characters around a key's line that a tool or a habit adds.
var frames = []guess{
	{begins(`\"`),
		"There is a backslash before a quotation mark at the beginning: the text was escaped twice. Send only the " +
			"key's line."},
	{begins(`"`, "“", "”", "„", "«"), "There are quotation marks around the key. Send only what is between them."},
	{begins(`'`, "‘", "’"), "There are single quotation marks around the key. Send only what is between them."},
	{begins("`"), "There are backticks around the key. Send only what is between them."},
	{begins("- ", "* ", "• "),
		"A list marker is in front of the key. Remove it, so that the line begins with the key's type."},
	{begins(">"),
		"A quotation mark (>) is in front of the key. Remove it, so that the line begins with the key's type."},
	{begins("#", "//"), "This line is commented out. Remove everything before the key's type. " + pasteLine},
	{func(s string) bool { return strings.HasSuffix(s, `\n`) || strings.HasSuffix(s, `\r`) },
		"The text ends in a backslash and a letter instead of a line break: it was escaped twice. " +
			`Remove the \n at its end.`},
	{func(s string) bool { return strings.HasSuffix(s, ";") || strings.HasSuffix(s, ",") },
		"A comma or semicolon follows the key. Remove it."},
}

const typeName = `(ssh-(ed25519|rsa|dss|ed448)|(sk-)?ecdsa-sha2-nistp\d+|sk-ssh-ed25519)(-cert-v0[01])?(@openssh\.com)?`

var aKey = regexp.MustCompile(`(^|[\s"'=:,;>])` + typeName + `\s+AAAA`)

const optionNames = `(command|from|environment|permitopen|permitlisten|principals|tunnel|expiry-time|restrict|cert-authority|` +
	`no-touch-required|verify-required|(no-)?(agent-forwarding|port-forwarding|pty|user-rc|X11-forwarding))`

// leads are words before the type, in a line that contains a key.
var leads = []guess{
	{begins("@cert-authority", "@revoked"),
		"This is a marked line of a known_hosts file: a server's key, not yours. " + pasteLine},
	{matches(`(?i)^` + optionNames + `([=,\s])`),
		"There are options before the key, as in an authorized_keys file; they are not accepted. Remove everything " +
			"before the key's type."},
	{begins("|1|"), "This is a line of a known_hosts file with a hashed host name: a server's key, not yours. " +
		pasteLine},
	{matches(`^\S+@\S+\s+(\S+=\S*\s+)?` + typeName),
		"This is a line of an allowed_signers file: an address is in front of the key. Remove it, so that the line " +
			"begins with the key's type."},
	{matches(`^(export\s+)?\w+\s*[=:]`),
		"The name of a variable or field is in front of the key. Send only what follows it."},
	{matches(`^\S+\s+` + typeName),
		"A host name is in front of the key, as in a known_hosts file. If it is a server's key, paste your own. " +
			"Otherwise remove everything before the key's type."},
	{aKey.MatchString, "There is text before the key. Remove it, so that the line begins with the key's type."},
}

// commands are checked before types, because some of their names resemble a type.
var commands = []guess{
	{matches(`(?i)^(cat|type|ssh-keygen|ssh-add|ssh-copy-id|pbcopy|less|more|clip|Get-Content)\s`),
		"This is a command. Run it and paste its output. " + pasteLine},
	{matches(`(?i)^ssh\s+(-\w|\S*@)`), "This is a command that logs in, not a key. " + pasteLine},
}

// types are first words that resemble a type and are none of the accepted ones.
var types = []guess{
	{holds("-cert-v0"),
		"This is an SSH certificate (a -cert.pub file), not a plain key. Paste the .pub file from which it was made."},
	{begins("ssh-dss"), "This is a DSA key; OpenSSH no longer accepts that type. " + makeNew},
	{begins("rsa-sha2-"),
		"This is the name of a signature, not of a key's type: the line of an RSA key begins with ssh-rsa. " +
			pasteLine},
	{begins("ssh-ed448"), "Hardly any server accepts Ed448 keys. " + makeNew},
	{func(s string) bool { _, ok := kinds[strings.ToLower(s)]; return ok },
		"The key's type must be in lower case, as in the .pub file. " + pasteLine},
	{func(s string) bool {
		for k := range kinds {
			if strings.HasPrefix(s, k+"AAAA") {
				return true
			}
		}
		return false
	}, "The space between the key's type and the key is missing. " + pasteLine},
	{matches(`(?i)^(ed25519|rsa|ecdsa|nistp\d+|ecdsa-sha2|sk-ed25519|ed25519-sk)$`),
		"The key's type is not written out: it is ssh-ed25519, ssh-rsa or the like, as in the .pub file. " + pasteLine},
	{matches(`(?i)^(sk-|webauthn-)?(ssh|ecdsa|sk|pgp|x509v3|spki)-`),
		"This key type is not supported. The supported types are ssh-ed25519, ssh-rsa (2048 bits or more), " +
			"ecdsa-sha2-nistp256, -nistp384, -nistp521, and the security keys sk-ssh-ed25519@openssh.com and " +
			"sk-ecdsa-sha2-nistp256@openssh.com."},
}

// bodies are texts in place of the key's base64.
var bodies = []guess{
	{func(s string) bool { return s == "AAAA..." || s == "AAAA…" },
		"That is the placeholder of the example. Put your own key in its place. " + pasteLine},
	{holds("...", "…"), "The key was shortened with dots. " + pasteLine},
	{matches(`^[<\[{$]`), "A placeholder is in place of the key. Put your own key there. " + pasteLine},
	{matches(`%(2[BbFf]|3[Dd])`),
		"The key is URL-encoded (it has %2B, %2F or %3D in it). Send the characters themselves. " + pasteLine},
	{begins("SHA256:", "MD5:"), "A fingerprint is in place of the key. " + pasteLine},
	{func(s string) bool { _, ok := kinds[s]; return ok }, "The key's type is there twice. Remove one."},
	{matches(`^\S+@\S+$`), "The key itself is missing between its type and its comment. " + pasteLine},
}

// unlikeKey describes the text, without the spaces around it, unless it is one line that begins
// with an accepted type.
func unlikeKey(s string) string {
	if m := first(blocks, s); m != "" {
		return m
	}
	if strings.ContainsAny(s, "\r\n") {
		return unlikeLine(strings.FieldsFunc(s, func(r rune) bool { return r == '\r' || r == '\n' }))
	}
	if m := first(frames, s); m != "" {
		return m
	}
	words := strings.Fields(s)
	if _, ok := kinds[words[0]]; ok {
		if len(aKey.FindAllStringIndex(s, 2)) == 2 {
			return "There are two keys in this line. Send one, and add the other with a second request."
		}
		if len(words) > 1 {
			return first(bodies, words[1])
		}
		return ""
	}
	if m := first(commands, s); m != "" {
		return m
	}
	if m := first(types, words[0]); m != "" {
		return m
	}
	if aKey.MatchString(s) {
		return first(leads, s)
	}
	if m := first(things, s); m != "" {
		return m
	}
	return "This does not look like an SSH public key, which begins with ssh-ed25519, ssh-rsa or the like. " + pasteLine
}

// unlikeLine describes several lines.
func unlikeLine(lines []string) string {
	kept, keys := keysIn(lines)
	const below = "There are other lines below the key. Paste only the key's line."
	begin := strings.Fields(kept[0])
	_, known := kinds[begin[0]]
	switch {
	case len(keys) > 1 && keys[0] == keys[1] && len(keys) == 2:
		return "The same key is there twice. Paste its line once."
	case len(keys) > 1:
		return "There are several keys, one on each line. Send one, and add the others with requests of their own."
	case len(keys) == 1 && strings.HasPrefix(kept[0], "#"):
		return "There are lines of comment (beginning with #) above the key, as ssh-keyscan or an authorized_keys " +
			"file has them. Paste only the key's line."
	case len(keys) == 1 && !aKey.MatchString(kept[0]):
		return "There are other lines above the key. Paste only the key's line."
	case known && len(begin) == 1:
		return "There is a line break between the key's type and the key. Join them with one space, or copy the line " +
			"of the .pub file again."
	case known && len(keys) == 1 && completeLine(begin):
		return below
	case known && allBase64(kept[1:]):
		return "The key is broken over several lines, as a terminal or mail wraps it. Join them into one line " +
			"without " +
			"" +
			"spaces, or copy the line of the .pub file again."
	case len(keys) == 1:
		return below
	case strings.HasPrefix(kept[0], "AAAA") && allBase64(kept):
		return "The key is broken over several lines and its type is missing. " + pasteLine
	}
	if m := first(things, kept[0]); m != "" {
		return m
	}
	return "None of these lines is an SSH public key. " + pasteLine
}

// keysIn returns the lines that are not blank, and the type and base64 of the keys in them.
func keysIn(lines []string) (kept, keys []string) {
	for _, l := range lines {
		if l = strings.TrimFunc(l, isSpace); l == "" {
			continue
		}
		kept = append(kept, l)
		if w := strings.Fields(l); aKey.MatchString(l) && len(w) > 1 {
			keys = append(keys, w[0]+" "+w[1])
		}
	}
	return kept, keys
}

// completeLine reports whether the words begin with a type and a whole key of it.
func completeLine(words []string) bool {
	if len(words) < 2 {
		return false
	}
	blob, m := decode(words[0], words[1])
	return m == "" && whole(words[0], blob)
}

// allBase64 reports whether each line is one word of base64. A comment may follow the last one.
func allBase64(lines []string) bool {
	for i, l := range lines {
		word, rest, _ := strings.Cut(l, " ")
		if strings.ContainsFunc(word, func(r rune) bool { return !isBase64(r) }) || rest != "" && i < len(lines)-1 {
			return false
		}
	}
	return true
}
