package account

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

// The bounds of the throttle.
const (
	TriesPerEmail, TriesPerAddress, TriesPerBrowser = triesPerEmail, triesPerAddress, triesPerBrowser
)
