package upstream

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Mark is the reference in a form that every cloud accepts as a name, host name or tag:
// "dep-01jd…".
func Mark(reference id.ID) string { return strings.Replace(string(reference), "_", "-", 1) }

// ParseMark returns the reference of that kind in the first text that is a mark; "" where none is.
func ParseMark(kind id.Kind, texts ...string) id.ID {
	for _, text := range texts {
		rest, found := strings.CutPrefix(text, string(kind)+"-")
		if reference := id.ID(string(kind) + "_" + rest); found && reference.Valid(kind) {
			return reference
		}
	}
	return ""
}

// BareKey is a line of an authorized_keys file without its comment, which often is a user's email
// address and none of the cloud's business.
func BareKey(line string) string {
	fields := strings.Fields(line)
	return strings.Join(fields[:min(len(fields), 2)], " ")
}

// KeyName names a public key, a line of an authorized_keys file, where a cloud stores keys. The
// same key always has the same name, so it is uploaded once however many machines use it. It has 39
// letters, digits and hyphens.
func KeyName(line string) string {
	sum := sha256.Sum256([]byte(BareKey(line)))
	return "billet-" + hex.EncodeToString(sum[:16])
}

// SameKey reports whether two lines hold the same public key, whatever their comments.
func SameKey(a, b string) bool { return BareKey(a) == BareKey(b) }

// maxText is the most bytes of a text that the catalog accepts.
const maxText = 128

// CleanText is the text as the catalog accepts it: UTF-8 in one line, without spaces around it. It
// is "" where the text is too long or empty.
func CleanText(text string) string {
	text = strings.TrimSpace(apierr.Visible(text))
	if len(text) > maxText {
		return ""
	}
	return text
}

// IsPlain reports whether CleanText leaves the text as it is, and it is not empty.
func IsPlain(text string) bool {
	return text != "" && len(text) <= maxText && text == strings.TrimSpace(text) && apierr.Printable(text)
}

// ContainsAny reports whether the text contains one of the words.
func ContainsAny(text string, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

// ParseTime parses a time as clouds write it, with a zone or without, which means UTC. It returns
// the zero time where the text is none.
func ParseTime(text string) time.Time {
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999",
	} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// Slug is the text in the form of a region's slug: "US, Dallas 1" is "us-dallas-1". It is "" where
// nothing remains of the text.
func Slug(text string) string {
	s := strings.Trim(notSlug.ReplaceAllString(strings.ToLower(text), "-"), "-")
	return strings.Trim(s[:min(len(s), 64)], "-")
}

// Dollars is an amount that a cloud writes in US dollars, as a JSON number or string with any
// number of decimals. It is rounded half-up to the micro-dollar once, without a float in between.
// Null and "" leave it 0 with Known false.
type Dollars struct {
	Amount money.Micros
	Known  bool
}

// Cents is the same in US cents.
type Cents struct {
	Amount money.Micros
	Known  bool
}

// UnmarshalJSON parses the amount.
func (d *Dollars) UnmarshalJSON(b []byte) (err error) {
	d.Amount, d.Known, err = amount(b, int64(money.USD))
	return err
}

// UnmarshalJSON parses the amount.
func (c *Cents) UnmarshalJSON(b []byte) (err error) {
	c.Amount, c.Known, err = amount(b, int64(money.USD)/100)
	return err
}

// decimal is the form of an amount; it bounds the exponent, too.
var decimal = regexp.MustCompile(`^-?[0-9]{1,15}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?$`)

func amount(b []byte, unit int64) (money.Micros, bool, error) {
	text := string(b)
	if strings.HasPrefix(text, `"`) {
		if err := json.Unmarshal(b, &text); err != nil {
			return 0, false, err
		}
		text = strings.TrimSpace(text)
	}
	if text == "" || text == "null" {
		return 0, false, nil
	}
	if !decimal.MatchString(text) {
		return 0, false, fmt.Errorf("%.40q is not an amount of money", text)
	}
	r, _ := new(big.Rat).SetString(text)
	r.Mul(r, new(big.Rat).SetInt64(unit))
	// Half-up: floor(x + 1/2).
	r.Add(r, big.NewRat(1, 2))
	n := new(big.Int).Div(r.Num(), r.Denom()) // Euclidean, which is floor for a positive denominator
	if !n.IsInt64() {
		return 0, false, fmt.Errorf("%.40q is out of range", text)
	}
	return money.Micros(n.Int64()), true, nil
}

// maxStated is the largest hourly price of a machine that is believed.
const maxStated = 1_000_000 * money.USD

// StatedDollars is a machine's hourly price as a cloud states it, in US dollars as Dollars parses
// them. It is 0 where the price is missing or malformed, so that a bad price does not hide the
// machine.
type StatedDollars money.Micros

// StatedCents is the same in US cents.
type StatedCents money.Micros

// UnmarshalJSON parses the amount.
func (d *StatedDollars) UnmarshalJSON(b []byte) error {
	*d = StatedDollars(stated(b, int64(money.USD)))
	return nil
}

// UnmarshalJSON parses the amount.
func (c *StatedCents) UnmarshalJSON(b []byte) error {
	*c = StatedCents(stated(b, int64(money.USD)/100))
	return nil
}

func stated(b []byte, unit int64) money.Micros {
	if n, known, err := amount(b, unit); err == nil && known && n > 0 && n <= maxStated {
		return n
	}
	return 0
}
