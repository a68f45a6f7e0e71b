package upstream

import (
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
)

// Plain tells whether a cloud's text can stand in an offer as it is: 1 to 128 bytes of UTF-8 without control or hidden characters, and without a
// space at either end.
func Plain(text string) bool {
	return text != "" && len(text) <= 128 && text == strings.TrimSpace(text) && apierr.Printable(text)
}

// BareKey is a line of an authorized_keys file without its comment, which often is a user's address and no cloud's business.
func BareKey(line string) string {
	fields := strings.Fields(line)
	return strings.Join(fields[:min(len(fields), 2)], " ")
}
