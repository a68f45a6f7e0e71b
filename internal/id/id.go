package id

import (
	"io"
	"strings"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/oklog/ulid/v2"
)

// ID identifies one thing: "dep_01jd…". The text before the underscore is its Kind.
type ID string

// Kind is the prefix of an ID, without the underscore.
type Kind string

// The kinds of things that have IDs.
const (
	Offer               Kind = "off"
	Deployment          Kind = "dep"
	APIKey              Kind = "key"
	SSHKey              Kind = "ssh"
	Volume              Kind = "vol"
	Transaction         Kind = "txn"
	Event               Kind = "evt"
	Account             Kind = "acc"
	User                Kind = "usr"
	Session             Kind = "ses"
	Invitation          Kind = "inv"
	Passkey             Kind = "psk"
	Challenge           Kind = "chl"
	Audit               Kind = "aud"
	Job                 Kind = "job"
	Request             Kind = "req"
	Issue               Kind = "iss"
	ServiceCredit       Kind = "svc"
	Incident            Kind = "inc"
	Announcement        Kind = "ann"
	Quote               Kind = "quo"
	Webhook             Kind = "whk"
	Delivery            Kind = "whd"
	DeviceAuthorization Kind = "dau"
	Mail                Kind = "eml"
	PriceRule           Kind = "prl"
	Budget              Kind = "bud"
	Adjustment          Kind = "adj"
	Invoice             Kind = "ivc"
	Installation        Kind = "ins"
	TopUp               Kind = "top"
	Refund              Kind = "ref"
	PaymentMethod       Kind = "pmt"
	Credit              Kind = "crd"
	PromoCode           Kind = "prm"
	Machine             Kind = "mac"
	RackJob             Kind = "rjb"
	GPUCheck            Kind = "chk"
	Console             Kind = "con"
	Image               Kind = "img"
)

// MaxLength is the maximum length that Valid accepts.
const MaxLength = 40

// Kind returns the ID's prefix, or "" if it has none.
func (i ID) Kind() Kind {
	k, _, found := strings.Cut(string(i), "_")
	if !found {
		return ""
	}
	return Kind(k)
}

// Valid reports whether the text has the form of an ID of that kind: the prefix and 1 to 36
// characters of [a-z0-9]. The thing need not exist.
func (i ID) Valid(k Kind) bool {
	rest, found := strings.CutPrefix(string(i), string(k)+"_")
	if !found || rest == "" || len(i) > MaxLength {
		return false
	}
	for _, r := range rest {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return false
		}
	}
	return true
}

// First returns the text that sorts before all IDs of the kind that are made at that time or later,
// and after all earlier ones.
func First(k Kind, at time.Time) ID {
	var u ulid.ULID
	if err := u.SetTime(ulid.Timestamp(at)); err != nil {
		panic("id: " + err.Error()) // the year 10889
	}
	return ID(string(k) + "_" + strings.ToLower(u.String()))
}

// MadeAt returns when the ID was made, to the millisecond; the zero time if it does not say so.
func (i ID) MadeAt() time.Time {
	_, text, _ := strings.Cut(string(i), "_")
	u, err := ulid.ParseStrict(text)
	if err != nil {
		return time.Time{}
	}
	return u.Timestamp().UTC()
}

// Maker makes IDs. It is safe for concurrent use.
type Maker struct {
	clock clock.Clock

	mu      sync.Mutex
	entropy *ulid.MonotonicEntropy
	last    uint64
}

// NewMaker returns a Maker that uses the time of c and the randomness of r (crypto/rand.Reader
// outside tests).
func NewMaker(c clock.Clock, r io.Reader) *Maker {
	if c == nil || r == nil {
		panic("id: NewMaker needs a clock and a source of randomness")
	}
	return &Maker{clock: c, entropy: ulid.Monotonic(r, 0)}
}

// New returns a new ID of that kind, greater than every earlier one of this Maker. It panics when
// the source of randomness fails.
func (m *Maker) New(k Kind) ID {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = max(m.last, ulid.Timestamp(m.clock.Now()))
	u, err := ulid.New(m.last, m.entropy)
	if err != nil {
		panic("id: no randomness: " + err.Error())
	}
	b := make([]byte, len(k)+1+ulid.EncodedSize)
	n := copy(b, k)
	b[n] = '_'
	if err := u.MarshalTextTo(b[n+1:]); err != nil {
		panic("id: " + err.Error()) // only a place of another size makes it fail
	}
	for i := n + 1; i < len(b); i++ {
		if 'A' <= b[i] && b[i] <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return ID(b)
}
