package account

import (
	"net/netip"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/id"
)

const (
	throttleWindow = 15 * time.Minute
	// triesPerPair may fail from one address for one e-mail address within the window.
	triesPerPair = 5
	// triesPerAddress may fail from one address for all e-mail addresses together.
	triesPerAddress = 30
	// codesPerPerson may be wrong for one person within the window, wherever they come from: see takeCode and takeGuess.
	codesPerPerson = 10
	// maxThrottled bounds the memory: below 10 MB.
	maxThrottled = 20_000
	// sweepEvery keeps a flood from paying for a look through all of them at each try.
	sweepEvery = time.Minute
)

// throttle counts sign-ins by where they come from. It counts by person alone only what whoever has the
// password tries: a stranger who fails on purpose must not lock the owner out.
type throttle struct {
	mu    sync.Mutex
	tries map[source]*tries
	// sweepAt is when to look through all of them again, once there is no room.
	sweepAt time.Time
}

// source is an address and, for the count of the pair, an e-mail address.
type source struct {
	network netip.Prefix
	email   string
}

type tries struct {
	n     int
	until time.Time
}

func newThrottle() *throttle { return &throttle{tries: map[source]*tries{}} }

// network returns what counts as one address: IPv4 as it is, IPv6 by /64, the least that anybody is given.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := min(a.BitLen(), 64)
	p, _ := a.Prefix(bits) // fails for no address only: all of those count as one
	return p
}

// take counts a try before it is made, so that no number of parallel tries exceeds the limits, of which mostPerPair is that of the
// pair. It returns 0, or how long to wait.
func (t *throttle) take(now time.Time, from netip.Addr, email string, mostPerPair int) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	address, pair := t.at(now, source{network: network(from)}), t.at(now, source{network(from), email})
	switch {
	case pair.n >= mostPerPair:
		return pair.until.Sub(now)
	case address.n >= triesPerAddress:
		return address.until.Sub(now)
	}
	address.n++
	pair.n++
	return 0
}

// takeCode counts a try of a six-digit code by person, whatever its address: such codes are few enough to be guessed from
// many addresses. Whoever gets here has given the right password, so no stranger can lock anybody out, and a recovery code
// or a passkey still lets the person in.
func (t *throttle) takeCode(now time.Time, person id.ID) time.Duration {
	return t.takeOf(now, source{email: "code/" + string(person)})
}

func (t *throttle) takeOf(now time.Time, from source) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.at(now, from)
	if c.n >= codesPerPerson {
		return c.until.Sub(now)
	}
	c.n++
	return 0
}

// forgetCodes is for a code that was right.
func (t *throttle) forgetCodes(person id.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.tries, source{email: "code/" + string(person)})
}

// takeGuess counts a try of a login's code by the person who types it. A code that leads somewhere is given back, and takes back no other.
func (t *throttle) takeGuess(now time.Time, person id.ID) time.Duration {
	return t.takeOf(now, source{email: "login/" + string(person)})
}

func (t *throttle) giveBackGuess(person id.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.tries[source{email: "login/" + string(person)}]; c != nil && c.n > 0 {
		c.n--
	}
}

// giveBack takes back a try that did not fail: all of the pair's when the sign-in succeeded.
func (t *throttle) giveBack(from netip.Addr, email string, succeeded bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if address := t.tries[source{network: network(from)}]; address != nil && address.n > 0 {
		address.n--
	}
	key := source{network(from), email}
	if succeeded {
		delete(t.tries, key)
	} else if pair := t.tries[key]; pair != nil && pair.n > 0 {
		pair.n--
	}
}

// at returns the count of a source, a fresh one where there is none or its window has passed.
func (t *throttle) at(now time.Time, s source) *tries {
	c := t.tries[s]
	if c == nil || !now.Before(c.until) {
		if c == nil && len(t.tries) >= maxThrottled {
			t.makeRoom(now)
		}
		c = &tries{until: now.Add(throttleWindow)}
		t.tries[s] = c
	}
	return c
}

// makeRoom drops the windows that have passed or, where it looked for those a short while ago, any one. To push
// a certain one out takes thousands of addresses, each good for few tries, and hashes run two at once anyway.
func (t *throttle) makeRoom(now time.Time) {
	if !now.Before(t.sweepAt) {
		t.sweepAt = now.Add(sweepEvery)
		for s, c := range t.tries {
			if !now.Before(c.until) {
				delete(t.tries, s)
			}
		}
	}
	for s := range t.tries {
		if len(t.tries) < maxThrottled {
			return
		}
		delete(t.tries, s)
	}
}
