package account

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const (
	// LoginLength is how long a login can be allowed and claimed.
	LoginLength = 10 * time.Minute
	// loginKept is how long an expired one is remembered, so that a program which comes late learns why it gets nothing.
	loginKept = time.Hour
	// loginGrace is what lies between the end of a login and that of a key which nobody claimed, so that a claim in the last moment gets a key that lasts.
	loginGrace = time.Minute
	// loginsPerNetwork and maxLogins may be under way at once.
	loginsPerNetwork, maxLogins = 100, 2000

	// codeLetters have no vowels, so that no code is a word, and nothing that looks like a digit.
	codeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	codeLength  = 8
)

// DeviceStatus says how far a login has come.
type DeviceStatus string

// The statuses of a login that can still come to something, and of those that cannot.
const (
	DevicePending  DeviceStatus = "pending"
	DeviceApproved DeviceStatus = "allowed"
	DeviceDenied   DeviceStatus = "denied"
	DeviceExpired  DeviceStatus = "expired"
)

// DeviceAuthorization is a program that asks for an API key by a code, which a signed-in user types and allows.
type DeviceAuthorization struct {
	ID id.ID
	// Client is what the program calls itself, which nobody has checked.
	Client string
	// Scopes are those that it asks for; none where it does not say.
	Scopes []Scope
	// Address is from where it was begun.
	Address              string
	CreatedAt, ExpiresAt time.Time
	Status               DeviceStatus

	account, key id.ID
}

// NewDeviceAuthorization is a login with its codes, of which only hashes are kept.
type NewDeviceAuthorization struct {
	DeviceAuthorization
	// DeviceCode is for the program alone: 256 random bits.
	DeviceCode string
	// UserCode is what the user types, such as BCDF-GHJK.
	UserCode string
}

// StartDeviceAuthorization begins a login for whoever asks from that address. It answers INVALID_REQUEST with all faults at once, and RATE_LIMIT_EXCEEDED where
// too many from the address, or SERVICE_UNAVAILABLE where too many at all, are under way.
func (s *Service) StartDeviceAuthorization(ctx context.Context, tx *db.Tx, client string, scopes []Scope, from netip.Addr) (NewDeviceAuthorization, error) {
	var c checker
	c.add(apierr.CheckName("client", client))
	if scopes != nil {
		scopes = c.scopes(scopes, false)
	}
	if err := apierr.Invalid(c.faults).OrNil(); err != nil {
		return NewDeviceAuthorization{}, err
	}
	at := network(from).String()
	mine, all, err := countOpenLogins(ctx, tx, at)
	switch {
	case err != nil:
		return NewDeviceAuthorization{}, err
	case mine >= loginsPerNetwork:
		e := apierr.New(apierr.RateLimitExceeded, "Too many logins from your address wait to be allowed. Allow or deny one in the dashboard, or wait until they expire.")
		e.RetryAfter, e.Details = time.Minute, map[string]any{"limit": loginsPerNetwork, "of": "logins"}
		return NewDeviceAuthorization{}, e
	case all >= maxLogins:
		e := apierr.New(apierr.ServiceUnavailable, "Too many logins wait to be allowed. Try again in a minute, or make an API key in the dashboard.")
		e.RetryAfter = time.Minute
		return NewDeviceAuthorization{}, e
	}
	n := NewDeviceAuthorization{DeviceAuthorization: DeviceAuthorization{
		ID: s.c.IDs.New(id.DeviceAuthorization), Client: client, Scopes: scopes, CreatedAt: tx.Now, ExpiresAt: tx.Now.Add(LoginLength), Status: DevicePending,
	}}
	if from.IsValid() {
		n.Address = from.String()
	}
	if n.DeviceCode, err = randomText(s.c.Rand); err != nil {
		return NewDeviceAuthorization{}, err
	}
	for range 3 { // two codes meet once in millions of logins
		code, err := newUserCode(s.c.Rand)
		if err != nil {
			return NewDeviceAuthorization{}, err
		}
		n.UserCode = code[:codeLength/2] + "-" + code[codeLength/2:]
		if made, err := insertDeviceAuthorization(ctx, tx, n.DeviceAuthorization, at, hashOf(n.DeviceCode), hashOf(code)); err != nil || made {
			return n, err
		}
	}
	return NewDeviceAuthorization{}, errors.New("account: no code for a login is free")
}

// newUserCode returns letters of codeLetters, each as likely as any other.
func newUserCode(r io.Reader) (string, error) {
	code := make([]byte, 0, codeLength)
	var b [1]byte
	for len(code) < codeLength {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return "", fmt.Errorf("no randomness: %w", err)
		}
		if b[0] < 240 { // the greatest multiple of 20 in a byte: beyond it the first letters would come more often
			code = append(code, codeLetters[b[0]%20])
		}
	}
	return string(code), nil
}

// plainCode is a code as it is hashed, however it was typed; "" where it cannot be one.
func plainCode(typed string) string {
	code := strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToUpper(strings.TrimSpace(typed)))
	if len(code) != codeLength || strings.Trim(code, codeLetters) != "" {
		return ""
	}
	return code
}

// errUserCode is one error for every way in which a code leads nowhere.
var errUserCode = apierr.New(apierr.NotFound, "No program waits for this code: it was mistyped, was allowed or denied already, or its ten minutes are over. Compare it with what the program shows, or begin there again.")

// FindDeviceAuthorization returns the login that waits for this code. It answers INVALID_REQUEST for what cannot be a code, and NOT_FOUND
// alike for every code that leads nowhere. Who types one is counted by Guess, which goes before it, AllowDeviceAuthorization and DenyDeviceAuthorization.
func (s *Service) FindDeviceAuthorization(ctx context.Context, r db.Reader, code string) (DeviceAuthorization, error) {
	plain := plainCode(code)
	if plain == "" {
		return DeviceAuthorization{}, apierr.Invalid([]apierr.FieldError{{Field: "userCode", Message: "has 8 letters, such as BCDF-GHJK, without vowels and digits."}})
	}
	now := s.now()
	l, found, err := loginByUserHash(ctx, r, hashOf(plain))
	if err == nil && (!found || l.at(now).Status != DevicePending) {
		return DeviceAuthorization{}, errUserCode
	}
	return l.at(now), err
}

// AllowDeviceAuthorization makes the key that the program with this code will claim, in the account and by the user that req.CreatedBy names. Nobody knows the key's secret
// before it is claimed. It answers as FindDeviceAuthorization and CreateKey do.
func (s *Service) AllowDeviceAuthorization(ctx context.Context, tx *db.Tx, account id.ID, code string, req KeyRequest) (Key, error) {
	l, err := s.FindDeviceAuthorization(ctx, tx, code)
	if err != nil {
		return Key{}, err
	}
	k, _, err := s.CreateKey(ctx, tx, account, req)
	if err != nil {
		return Key{}, err
	}
	if k.Prefix, err = hidePrefix(ctx, tx, k.ID); err != nil {
		return Key{}, err
	}
	return k, s.decide(ctx, tx, l.ID, account, req.CreatedBy.ID, &k.ID)
}

// DenyDeviceAuthorization has the program with this code get nothing. It answers as FindDeviceAuthorization does.
func (s *Service) DenyDeviceAuthorization(ctx context.Context, tx *db.Tx, account, user id.ID, code string) (DeviceAuthorization, error) {
	l, err := s.FindDeviceAuthorization(ctx, tx, code)
	if err != nil {
		return DeviceAuthorization{}, err
	}
	l.Status = DeviceDenied
	return l, s.decide(ctx, tx, l.ID, account, user, nil)
}

func (s *Service) decide(ctx context.Context, tx *db.Tx, login, account, user id.ID, key *id.ID) error {
	decided, err := decideDeviceAuthorization(ctx, tx, login, account, user, key)
	if err == nil && !decided { // somebody else was quicker
		err = errUserCode
	}
	tx.AfterCommit(s.decisions.tell)
	return err
}

// DeviceAuthorizationOf returns the login of this device code. It answers NOT_FOUND, LOGIN_DENIED or LOGIN_EXPIRED; without an error it is pending or allowed.
func (s *Service) DeviceAuthorizationOf(ctx context.Context, r db.Reader, deviceCode string) (DeviceAuthorization, error) {
	if !isToken(deviceCode) {
		return DeviceAuthorization{}, errDeviceCode
	}
	l, found, err := loginByDeviceHash(ctx, r, hashOf(deviceCode))
	if err == nil && !found {
		err = errDeviceCode
	}
	if err != nil {
		return DeviceAuthorization{}, err
	}
	l = l.at(s.now())
	return l, l.Status.err()
}

var errDeviceCode = apierr.New(apierr.NotFound, "There is no login with this device code. Begin another.")

func (s DeviceStatus) err() error {
	switch s {
	case DeviceDenied:
		return apierr.New(apierr.LoginDenied, "The login was denied in the dashboard.")
	case DeviceExpired:
		return apierr.New(apierr.LoginExpired, "The login was not allowed and claimed within %d minutes. Begin another.", LoginLength/time.Minute)
	}
	return nil
}

func (l DeviceAuthorization) at(now time.Time) DeviceAuthorization {
	if l.Status != DeviceDenied && !now.Before(l.ExpiresAt) {
		l.Status = DeviceExpired
	}
	return l
}

// Decisions returns a channel that is closed when somebody in this process next allows or denies a login.
func (s *Service) Decisions() <-chan struct{} { return s.decisions.next() }

// ClaimDeviceAuthorization gives the key of an allowed login a fresh secret and returns both. While the login lasts and the key was not used, it may be claimed again, by a
// program that did not get the answer: the secret of before ceases to work. It answers as DeviceAuthorizationOf does, CONFLICT where the login is still pending or the key was
// revoked meanwhile, and LOGIN_CLAIMED where the key was used.
func (s *Service) ClaimDeviceAuthorization(ctx context.Context, tx *db.Tx, deviceCode string) (Key, string, error) {
	none := func(err error) (Key, string, error) { return Key{}, "", err }
	l, err := s.DeviceAuthorizationOf(ctx, tx, deviceCode)
	if err != nil {
		return none(err)
	}
	if l.Status != DeviceApproved {
		return none(apierr.New(apierr.Conflict, "The login is still pending."))
	}
	if err := claimDeviceAuthorization(ctx, tx, l.ID); err != nil { // holds the row: claims at once follow each other
		return none(err)
	}
	k, err := s.GetKey(ctx, tx, l.account, l.key)
	if err != nil {
		return none(err)
	}
	s.mu.Lock()
	_, used := s.keysUsed[k.ID]
	s.mu.Unlock()
	switch {
	case k.RevokedAt != nil:
		return none(apierr.New(apierr.Conflict, "The key of this login was revoked before it was claimed. Begin another login."))
	case used || k.LastUsedAt != nil:
		return none(apierr.New(apierr.LoginClaimed, "The key of this login was claimed and used already. If that was not you, revoke it in the dashboard under Settings → API Keys."))
	}
	secret, err := newSecret(s.c.Rand)
	if err != nil {
		return none(err)
	}
	tx.AfterCommit(s.remembered.forget) // what was told before
	k.Prefix = secret[:shownLength] + "…"
	return k, secret, setSecret(ctx, tx, k.ID, hashOf(secret), k.Prefix)
}

// ForgetDeviceAuthorizations revokes the keys that nobody claimed in time, and deletes the logins that ended long ago
// and the counts of tries whose window has passed.
func (s *Service) ForgetDeviceAuthorizations(ctx context.Context) error {
	return s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := deleteTries(ctx, tx); err != nil {
			return err
		}
		if err := revokeUnclaimed(ctx, tx, tx.Now.Add(-loginGrace)); err != nil {
			return err
		}
		return deleteLogins(ctx, tx, tx.Now.Add(-loginKept))
	})
}
