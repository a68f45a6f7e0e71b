package account

import (
	"net/netip"
	"time"
)

// CheapPasswords makes hashing quick, so that tests of sign-in need not wait for it.
func (s *Service) CheapPasswords() { s.passwords.cost = cheapCost }

// FillPasswordQueue takes every turn and returns what gives them back.
func (s *Service) FillPasswordQueue() (release func()) {
	for range cap(s.passwords.waiting) {
		s.passwords.waiting <- struct{}{}
	}
	return func() {
		for range cap(s.passwords.waiting) {
			<-s.passwords.waiting
		}
	}
}

// What tests of the inside need.
var (
	Checksum    = checksum
	NormalEmail = normalEmail
	DecodeHash  = func(hash string) error { _, _, _, err := decode(hash); return err }
)

// MaxThrottled is how many sources the throttle keeps at the most.
const MaxThrottled = maxThrottled

// Throttle is a throttle of its own.
type Throttle struct{ t *throttle }

// NewThrottle returns an empty one.
func NewThrottle() Throttle { return Throttle{newThrottle()} }

// Take counts a try.
func (t Throttle) Take(now time.Time, from netip.Addr, email string) time.Duration {
	return t.t.take(now, from, email, triesPerPair)
}

// Len returns how many sources it keeps.
func (t Throttle) Len() int { return len(t.t.tries) }
