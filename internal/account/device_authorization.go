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
	// DeviceCodeLifetime is how long a device authorization can be approved and exchanged for its
	// key.
	DeviceCodeLifetime = 10 * time.Minute
	// DevicePollInterval is the least time between two token requests with the same device code.
	DevicePollInterval = 5 * time.Second
	// pollTolerance is how much earlier a token request may arrive, because the network delays some
	// more than others.
	pollTolerance = time.Second
	// expiredKept is how long an expired authorization is kept, so that a late program learns that
	// it expired.
	expiredKept = time.Hour
	// unclaimedGrace is how much longer than its authorization a key lives that no program fetched,
	// so that a token request in the last second gets a key that lasts.
	unclaimedGrace = time.Minute
	// At most so many authorizations may be pending at once, from one network and in total.
	maxPendingPerNetwork, maxPending = 100, 2000

	// codeLetters has no vowels, so that no code is a word, and no letter that looks like a digit.
	codeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	codeLength  = 8
)

// DeviceStatus is the state of a device authorization.
type DeviceStatus string

// The statuses of a device authorization.
const (
	DevicePending  DeviceStatus = "pending"
	DeviceApproved DeviceStatus = "approved"
	DeviceDenied   DeviceStatus = "denied"
	DeviceExpired  DeviceStatus = "expired"
)

// DeviceAuthorization is the request of a program for an API key (RFC 8628), which a signed-in user
// approves or denies.
type DeviceAuthorization struct {
	ID id.ID
	// ClientID is the name that the program gives itself. It is not verified.
	ClientID string
	// Scopes are the scopes requested; none where the program requests none in particular.
	Scopes []Scope
	// Address is the IP address of the request.
	Address              string
	CreatedAt, ExpiresAt time.Time
	Status               DeviceStatus

	account, key id.ID
}

// NewDeviceAuthorization is a device authorization with its codes, of which only hashes are stored.
type NewDeviceAuthorization struct {
	DeviceAuthorization
	// DeviceCode is for the program alone: 256 random bits.
	DeviceCode string
	// UserCode is what the user types, such as BCDF-GHJK.
	UserCode string
}

// AuthorizeDevice starts a device authorization. It returns INVALID_REQUEST for an invalid client
// id, invalid_scope, RATE_LIMIT_EXCEEDED if too many from the same network are pending, and
// SERVICE_UNAVAILABLE if too many are in total.
func (s *Service) AuthorizeDevice(
	ctx context.Context, tx *db.Tx, clientID string, scopes []Scope, from netip.Addr,
) (NewDeviceAuthorization, error) {
	if err := apierr.Invalid(apierr.CheckName("client_id", clientID)).OrNil(); err != nil {
		return NewDeviceAuthorization{}, err
	}
	if scopes != nil {
		var c checker
		if scopes = c.scopes(scopes, false); len(c.faults) > 0 {
			return NewDeviceAuthorization{}, apierr.New(apierr.InvalidScope, "scope: %s", c.faults[0].Message)
		}
	}
	at := network(from).String()
	if err := checkPending(ctx, tx, at); err != nil {
		return NewDeviceAuthorization{}, err
	}
	n := NewDeviceAuthorization{DeviceAuthorization: DeviceAuthorization{
		ID: s.cfg.IDs.New(id.DeviceAuthorization), ClientID: clientID, Scopes: scopes,
		CreatedAt: tx.Now, ExpiresAt: tx.Now.Add(DeviceCodeLifetime), Status: DevicePending,
	}}
	if from.IsValid() {
		n.Address = from.String()
	}
	var err error
	if n.DeviceCode, err = randomText(s.cfg.Rand); err != nil {
		return NewDeviceAuthorization{}, err
	}
	for range 3 { // two codes are equal once in millions of authorizations
		code, err := newUserCode(s.cfg.Rand)
		if err != nil {
			return NewDeviceAuthorization{}, err
		}
		n.UserCode = code[:codeLength/2] + "-" + code[codeLength/2:]
		inserted, err := insertDeviceAuthorization(ctx, tx, n.DeviceAuthorization, at, hashOf(n.DeviceCode),
			hashOf(code))
		if err != nil || inserted {
			return n, err
		}
	}
	return NewDeviceAuthorization{}, errors.New("account: found no unused user code")
}

// checkPending refuses another pending authorization from that network if there are too many.
func checkPending(ctx context.Context, tx *db.Tx, network string) error {
	mine, all, err := countPending(ctx, tx, network)
	switch {
	case err != nil:
		return err
	case mine >= maxPendingPerNetwork:
		e := apierr.New(apierr.RateLimitExceeded,
			"Too many device authorizations from your address are pending. Approve or deny one in the dashboard, "+
				"or wait until they expire.")
		e.RetryAfter, e.Details = time.Minute, map[string]any{"limit": maxPendingPerNetwork,
			"of": "deviceAuthorizations"}
		return e
	case all >= maxPending:
		e := apierr.New(apierr.ServiceUnavailable,
			"Too many device authorizations are pending. Try again in a minute, or create an API key in the dashboard.")
		e.RetryAfter = time.Minute
		return e
	}
	return nil
}

// newUserCode returns random letters of codeLetters, all equally likely.
func newUserCode(r io.Reader) (string, error) {
	code := make([]byte, 0, codeLength)
	var b [1]byte
	for len(code) < codeLength {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return "", fmt.Errorf("no randomness: %w", err)
		}
		if b[0] < 240 { // the greatest multiple of 20 in a byte; above it the first letters would be more likely
			code = append(code, codeLetters[b[0]%20])
		}
	}
	return string(code), nil
}

// normalizedCode is a user code in the form that is hashed; "" if the text cannot be a code.
func normalizedCode(typed string) string {
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

// errUserCode is the same for every reason why a user code is of no use, so that it gives nothing
// away.
var errUserCode = apierr.New(apierr.NotFound,
	"No pending device authorization has this code. It may be mistyped, already approved or denied, or older than "+
		"ten minutes. "+
		"Compare it with the code that the program shows, or start again in the program.")

// LookUpDeviceAuthorization returns the pending authorization with this user code. It returns
// INVALID_REQUEST for text that cannot be a code, and the same NOT_FOUND for every other code that
// is of no use. CountGuess limits how often a user may call it, ApproveDeviceAuthorization and
// DenyDeviceAuthorization.
func (s *Service) LookUpDeviceAuthorization(ctx context.Context, r db.Reader, code string) (DeviceAuthorization,
	error) {
	normalized := normalizedCode(code)
	if normalized == "" {
		return DeviceAuthorization{}, apierr.Invalid([]apierr.FieldError{{
			Field: "userCode", Message: "must have 8 letters such as BCDF-GHJK, without vowels and digits.",
		}})
	}
	now := s.now()
	d, found, err := deviceByUserHash(ctx, r, hashOf(normalized))
	if err == nil && (!found || d.at(now).Status != DevicePending) {
		return DeviceAuthorization{}, errUserCode
	}
	return d.at(now), err
}

// ApproveDeviceAuthorization creates the key for the program with this user code, in the account,
// by the user that req.CreatedBy names. The key has no secret until the program fetches it. It
// returns the errors of LookUpDeviceAuthorization and CreateKey.
func (s *Service) ApproveDeviceAuthorization(ctx context.Context, tx *db.Tx, account id.ID, code string,
	req KeyRequest) (Key, error) {
	d, err := s.LookUpDeviceAuthorization(ctx, tx, code)
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
	return k, decide(ctx, tx, d.ID, account, req.CreatedBy.ID, &k.ID)
}

// DenyDeviceAuthorization refuses the program with this user code a key. It returns the errors of
// LookUpDeviceAuthorization.
func (s *Service) DenyDeviceAuthorization(ctx context.Context, tx *db.Tx, account, user id.ID,
	code string) (DeviceAuthorization, error) {
	d, err := s.LookUpDeviceAuthorization(ctx, tx, code)
	if err != nil {
		return DeviceAuthorization{}, err
	}
	d.Status = DeviceDenied
	return d, decide(ctx, tx, d.ID, account, user, nil)
}

// decide records the decision, unless another request was faster.
func decide(ctx context.Context, tx *db.Tx, authorization, account, user id.ID, key *id.ID) error {
	decided, err := decideDeviceAuthorization(ctx, tx, authorization, account, user, key)
	if err == nil && !decided {
		err = errUserCode
	}
	return err
}

// The errors of a token request, with the codes of RFC 8628 section 3.5 and RFC 6749 section 5.2.
var (
	errPending = apierr.New(apierr.AuthorizationPending,
		"The user has not decided yet. Ask again after the interval.")
	errSlowDown = apierr.New(apierr.SlowDown, "Token requests are too frequent. Wait 5 seconds longer between them.")
	errDenied   = apierr.New(apierr.AccessDenied, "The user denied the request.")
	errExpired  = apierr.New(apierr.ExpiredToken, "The device code expired after %d minutes. Request another.",
		DeviceCodeLifetime/time.Minute)
	errDeviceCode = apierr.New(apierr.InvalidGrant,
		"The device code is unknown, or belongs to another client_id. Request another.")
	errRevokedKey = apierr.New(apierr.InvalidGrant,
		"The API key was revoked before the program fetched it. Request another device code.")
	errUsedKey = apierr.New(apierr.InvalidGrant,
		"The device code was exchanged for an API key that is already in use. If that was not you, revoke the key "+
			"in the dashboard under Settings → API keys.")
)

// deviceByCode returns the authorization with that device code, if the same client requested it.
func (s *Service) deviceByCode(ctx context.Context, r db.Reader, deviceCode,
	clientID string) (DeviceAuthorization, error) {
	if !isToken(deviceCode) {
		return DeviceAuthorization{}, errDeviceCode
	}
	d, found, err := deviceByDeviceHash(ctx, r, hashOf(deviceCode))
	if err == nil && (!found || d.ClientID != clientID) {
		err = errDeviceCode
	}
	return d.at(s.now()), err
}

func (d DeviceAuthorization) at(now time.Time) DeviceAuthorization {
	if d.Status != DeviceDenied && !now.Before(d.ExpiresAt) {
		d.Status = DeviceExpired
	}
	return d
}

// DeviceToken is the result of a token request.
type DeviceToken struct {
	Key    Key
	Secret string
	// NotYet is authorization_pending or slow_down, and nil with a key. It is no error of the call,
	// because the transaction must commit: it records the time of the request.
	NotYet error
}

// ExchangeDeviceCode gives the key of an approved authorization a fresh secret and returns both. It
// may be repeated until the authorization expires or the key is used, by a program that lost the
// answer: each call replaces the secret. It returns access_denied, expired_token, or invalid_grant
// for an unknown code and for a key that was revoked or used.
func (s *Service) ExchangeDeviceCode(ctx context.Context, tx *db.Tx, deviceCode, clientID string) (DeviceToken, error) {
	d, err := s.deviceByCode(ctx, tx, deviceCode, clientID)
	if err != nil {
		return DeviceToken{}, err
	}
	switch d.Status {
	case DevicePending:
		inTime, err := recordPoll(ctx, tx, d.ID, tx.Now.Add(pollTolerance-DevicePollInterval))
		if !inTime {
			return DeviceToken{NotYet: errSlowDown}, err
		}
		return DeviceToken{NotYet: errPending}, err
	case DeviceDenied:
		return DeviceToken{}, errDenied
	case DeviceExpired:
		return DeviceToken{}, errExpired
	}
	if err := recordIssue(ctx, tx, d.ID); err != nil { // locks the row: concurrent requests follow each other
		return DeviceToken{}, err
	}
	k, err := s.GetKey(ctx, tx, d.account, d.key)
	if err != nil {
		return DeviceToken{}, err
	}
	s.mu.Lock()
	_, used := s.keysUsed[k.ID]
	s.mu.Unlock()
	switch {
	case k.RevokedAt != nil:
		return DeviceToken{}, errRevokedKey
	case used || k.LastUsedAt != nil:
		return DeviceToken{}, errUsedKey
	}
	secret, err := newSecret(s.cfg.Rand)
	if err != nil {
		return DeviceToken{}, err
	}
	tx.AfterCommit(s.remembered.forget) // the previous secret
	k.Prefix = secret[:shownLength] + "…"
	return DeviceToken{Key: k, Secret: secret}, setSecret(ctx, tx, k.ID, hashOf(secret), k.Prefix)
}

// ForgetDeviceAuthorizations revokes the keys that no program fetched in time. It deletes the
// authorizations that expired long ago, expired links of mails, and the failed-attempt counts whose
// window has passed.
func (s *Service) ForgetDeviceAuthorizations(ctx context.Context) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := deleteTries(ctx, tx); err != nil {
			return err
		}
		if err := deleteExpiredLinks(ctx, tx); err != nil {
			return err
		}
		if err := revokeUnclaimed(ctx, tx, tx.Now.Add(-unclaimedGrace)); err != nil {
			return err
		}
		return deleteDeviceAuthorizations(ctx, tx, tx.Now.Add(-expiredKept))
	})
}
