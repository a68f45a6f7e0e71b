package upstream

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Mark is the reference in a form that every cloud takes as a name, host name or tag: "dep-01jd…".
func Mark(reference id.ID) string { return strings.Replace(string(reference), "_", "-", 1) }

// Marked returns the reference of that kind that the text is the mark of; "" where it is none.
func Marked(text string, kind id.Kind) id.ID {
	rest, ours := strings.CutPrefix(text, string(kind)+"-")
	if reference := id.ID(string(kind) + "_" + rest); ours && reference.Valid(kind) {
		return reference
	}
	return ""
}

// KeyName names a public key, a line of an authorized_keys file, where a cloud wants it as an object: the same key always has the same name, so
// it is uploaded once however many machines it opens. It has 39 letters, digits and hyphens.
func KeyName(line string) string {
	fields := strings.Fields(line)
	if len(fields) > 2 { // the comment makes no other key
		fields = fields[:2]
	}
	sum := sha256.Sum256([]byte(strings.Join(fields, " ")))
	return "billet-" + hex.EncodeToString(sum[:16])
}

// SameKey tells whether two lines hold the same public key, whatever their comments.
func SameKey(a, b string) bool { return KeyName(a) == KeyName(b) }

// maxLine is the most bytes of a text that the catalogue takes.
const maxLine = 128

// Line is the text as the catalogue takes one: UTF-8 in one line, without spaces around it. It is "" where the text is too long or nothing remains of it.
func Line(text string) string {
	text = strings.TrimSpace(apierr.Visible(text))
	if len(text) > maxLine {
		return ""
	}
	return text
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// Slug is the text in the form of a region's slug: "US, Dallas 1" is "us-dallas-1". It is "" where nothing of the text remains.
func Slug(text string) string {
	s := strings.Trim(notSlug.ReplaceAllString(strings.ToLower(text), "-"), "-")
	return strings.Trim(s[:min(len(s), 64)], "-")
}

// Dollars is an amount that a cloud writes in US dollars, as a JSON number or as a string, with as many decimals as it likes: rounded half-up to
// the micro-dollar once, and never a float in between. Null and "" leave it 0 with Known false.
type Dollars struct {
	Amount money.Micros
	Known  bool
}

// Cents is the same in US cents.
type Cents struct {
	Amount money.Micros
	Known  bool
}

// UnmarshalJSON reads the amount.
func (d *Dollars) UnmarshalJSON(b []byte) (err error) {
	d.Amount, d.Known, err = amount(b, int64(money.USD))
	return err
}

// UnmarshalJSON reads the amount.
func (c *Cents) UnmarshalJSON(b []byte) (err error) {
	c.Amount, c.Known, err = amount(b, int64(money.USD)/100)
	return err
}

// decimal bounds what is taken for an amount, exponent and all.
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
		return 0, false, fmt.Errorf("%.40q is no amount of money", text)
	}
	r, _ := new(big.Rat).SetString(text)
	r.Mul(r, new(big.Rat).SetInt64(unit))
	// Half-up: floor(x + 1/2).
	r.Add(r, big.NewRat(1, 2))
	n := new(big.Int).Div(r.Num(), r.Denom()) // Euclidean, which is floor for a positive denominator
	if !n.IsInt64() {
		return 0, false, fmt.Errorf("%.40q is more money than there is", text)
	}
	return money.Micros(n.Int64()), true, nil
}

// maxStated is the largest price of an hour of one machine that is taken for one.
const maxStated = 1_000_000 * money.USD

// StatedDollars is what a cloud states that a machine costs an hour, in US dollars as Dollars reads
// them. It is 0 where nothing, or nothing that can be a price, is stated: a price that cannot be
// read must not hide the machine.
type StatedDollars money.Micros

// StatedCents is the same in US cents.
type StatedCents money.Micros

// UnmarshalJSON reads the amount.
func (d *StatedDollars) UnmarshalJSON(b []byte) error {
	*d = StatedDollars(stated(b, int64(money.USD)))
	return nil
}

// UnmarshalJSON reads the amount.
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
