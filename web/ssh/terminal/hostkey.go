package terminal

import (
	"bytes"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// hostKeys returns the keys of known_hosts lines. Their host names are ignored: the lines come with
// the deployment.
func hostKeys(lines []string) ([]ssh.PublicKey, error) {
	var out []ssh.PublicKey
	for _, line := range lines {
		_, _, key, _, _, err := ssh.ParseKnownHosts([]byte(line))
		if err != nil {
			return nil, &Error{Code: Failed, Message: "The machine’s host keys could not be parsed."}
		}
		out = append(out, key)
	}
	return out, nil
}

// algorithms returns the algorithms of the known keys, so that the machine does not offer another
// key of its own; nil for any.
func algorithms(known []ssh.PublicKey) []string {
	var out []string
	for _, k := range known {
		forms := []string{k.Type()}
		if k.Type() == ssh.KeyAlgoRSA {
			forms = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
		}
		for _, f := range forms {
			if !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}

// check accepts one of the known keys, or any where none are known.
func check(known []ssh.PublicKey, status func(Status)) ssh.HostKeyCallback {
	return func(_ string, _ net.Addr, key ssh.PublicKey) error {
		trusted := slices.ContainsFunc(known, func(k ssh.PublicKey) bool {
			return bytes.Equal(k.Marshal(), key.Marshal())
		})
		fingerprint := ssh.FingerprintSHA256(key)
		if !trusted && len(known) > 0 {
			var expected []string
			for _, k := range known {
				expected = append(expected, ssh.FingerprintSHA256(k))
			}
			return &Error{Code: HostKeyMismatch, Message: "The host key " + fingerprint +
				" does not match this deployment’s host keys (" + strings.Join(expected, ", ") +
				"). Nothing was sent to the machine."}
		}
		status(Status{Phase: PhaseHostKey, Fingerprint: fingerprint, Known: trusted})
		status(Status{Phase: PhaseSigningIn, Fingerprint: fingerprint, Known: trusted})
		return nil
	}
}
